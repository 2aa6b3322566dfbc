"""What every training shares, CoEmoGen's and the baselines': batches, optimizer, noise, precision, and what is kept on the way."""

import math
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from coemogen_core.recipe import NotIdentifying, Recipe, merge
from schemas.choices import Device, Precision


class OptimisationRecipe(Recipe):
    """How something is trained on cached features by predicting noise."""

    steps: int = Field(ge=1, description="optimizer steps")
    batch_size: int = Field(ge=1, description="samples per step over all processes; emotions are mixed")
    accumulate: int = Field(default=1, ge=1, le=4096, description="compute a step in so many pieces one after the other, to save memory")
    base_batch: int | None = Field(
        default=None,
        ge=1,
        description="samples per step that learning_rate is given for: another batch_size follows by the square-root rule "
        "(docs/training.md); null = batch_size",
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled weight decay of AdamW")
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        default="constant", description="course of the learning rate after the warm-up; cosine and linear fall to zero"
    )
    max_gradient_norm: float = Field(default=1.0, gt=0, description="gradients are scaled down to this norm")
    min_snr_gamma: float | None = Field(
        default=None, gt=0, description="weight steps with little noise less (Min-SNR, Hang et al. 2023; 5 is usual); null weighs all alike"
    )
    condition_dropout: float = Field(default=0.0, ge=0, le=1, description="share of samples that see the empty prompt")
    offset_noise: float = Field(default=0.0, ge=0, description="strength of a noise that is constant over each latent channel")
    mirror: bool = Field(default=True, description="show half of the samples mirrored, where the features have mirror images")
    ema_decay: float | None = Field(default=None, gt=0, lt=1, description="keep the weights' exponential moving average, and save that")
    precision: Precision = Field(default="float32", description="of the frozen models and their activations; trained weights stay float32")
    seed: int = Field(default=0, ge=0, description="of initial weights, sample order and all noise")

    compile: bool = Field(default=False, description="torch.compile the U-Net: minutes to begin with, faster steps on a GPU")
    channels_last: bool = Field(
        default=False, description="keep the U-Net's pictures channels-last in memory: faster convolutions on a GPU"
    )

    checkpoint_every: Annotated[int, NotIdentifying] = Field(default=500, ge=1, description="steps between checkpoints")
    keep_checkpoints: Annotated[int, NotIdentifying] = Field(default=2, ge=1, description="newest checkpoints to keep")
    keep_best: Annotated[int, NotIdentifying] = Field(default=1, ge=0, description="checkpoints of lowest smoothed loss to keep besides")
    log_every: Annotated[int, NotIdentifying] = Field(default=25, ge=1, description="steps per line of the log")
    explosion_factor: Annotated[float | None, NotIdentifying] = Field(
        default=20.0, gt=1, le=1e6, description="stop when an interval's loss is so many times the running median; null never stops"
    )
    device: Annotated[Device, NotIdentifying] = Field(
        default="auto", description="where it computes; auto takes the GPU where there is one"
    )
    gradient_checkpointing: Annotated[bool, NotIdentifying] = Field(default=False, description="recompute activations to save memory")

    @property
    def optimisation(self) -> dict[str, Any]:
        """The fields of this class alone, for another training under the same conditions."""
        return {name: getattr(self, name) for name in OptimisationRecipe.model_fields}

    def for_batch(self, batch_size: int) -> Self:
        """The same training with another batch size: as many samples, and per sample as far (`batch_rule`).

        Steps and warm-up take as many samples as before, rounded up to whole steps; a moving average as long a memory; a step has as
        many pieces as divide it. Learning rate and decay rates follow while it trains, by `base_batch`.

        Raises:
            ValueError: it is no number of at least 1.
        """
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"a batch of {batch_size!r} samples: training.for_batch must be a whole number of at least 1")
        base, ratio = self.base_batch or self.batch_size, Fraction(batch_size, self.batch_size)
        changed = {
            "batch_size": batch_size,
            "accumulate": math.gcd(self.accumulate, batch_size),
            "base_batch": None if base == batch_size else base,
            "steps": math.ceil(self.steps / ratio),
            "warmup_steps": math.ceil(self.warmup_steps / ratio),
            "ema_decay": None if self.ema_decay is None else self.ema_decay ** float(ratio),
        }
        return type(self).model_validate({**self.model_dump(exclude_unset=True), **changed})

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """The recipe with some fields replaced. `for_batch` is none: it names the batch size that the recipe is brought to first.

        Raises:
            ValueError: `for_batch` is no batch size, or stands beside the fields that it sets for good.
            pydantic.ValidationError: a field is unknown or refused.
        """
        fields = {name: value for name, value in settings.items() if name != "for_batch"}
        begun = self
        if "for_batch" in settings:
            refuse_beside_for_batch(fields)
            begun = self.for_batch(settings["for_batch"])
        return type(self).model_validate(merge(begun.model_dump(), fields))

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} does not divide by accumulate {self.accumulate}: choose a divisor")
        return self


def refuse_beside_for_batch(fields: Collection[str]) -> None:
    """`training.for_batch` says the batch size; steps, warm-up and the rest can be set over what it makes of them.

    Raises:
        ValueError: `batch_size` or `base_batch` is among the fields that are set besides.
    """
    if twice := sorted({"batch_size", "base_batch"} & set(fields)):
        raise ValueError(f"training.for_batch beside {' and '.join(f'training.{name}' for name in twice)}: give one of them")
