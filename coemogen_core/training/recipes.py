"""Training recipes: everything that decides what a trained model becomes, as data. Those with a name are files in `recipe_files/`."""

import tomllib
from importlib.resources import files
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.model.clusters import Covariance
from coemogen_core.model.conditioner import ConditionerConfig
from coemogen_core.model.hilora import ATTENTION_TARGETS
from coemogen_core.model.losses import SemanticLoss

Precision = Literal["float32", "bfloat16", "float16"]
RECIPE_FOLDER = files("coemogen_core.training") / "recipe_files"
NOT_IDENTIFYING = frozenset(
    {
        *("checkpoint_every", "keep_checkpoints", "keep_best", "log_every", "explosion_factor"),
        *("sample_every", "samples_per_emotion", "sampling", "device", "gradient_checkpointing"),
    }
)
ADDED_LATER = frozenset({"accumulate", "compile", "channels_last"})
"""Identifying, because sums in another order differ in their last bits; left out at their default, so that older run ids stay valid."""


class TrainingRecipe(BaseModel):
    """How HiLoRA and the conditioner are trained (paper, section on the implementation)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conditioner: ConditionerConfig = Field(default=ConditionerConfig(), description="shape of mapper and visual-perception encoder")
    rank: int = Field(default=4, ge=1, le=256, description="rank of each of the ten low-rank pairs")
    alpha: float | None = Field(default=None, gt=0, description="LoRA alpha; null takes alpha = rank (scale 1)")
    targets: tuple[str, ...] = Field(default=ATTENTION_TARGETS, min_length=1, description="ends of the names of the adapted linears")
    use_emotion_pairs: bool = Field(default=True, description="off: the ablation without emotion-specific LoRAs")
    use_polarity_pairs: bool = Field(default=True, description="off: the ablation without polarity-shared LoRAs")

    steps: int = Field(ge=1, description="optimizer steps")
    batch_size: int = Field(ge=1, description="samples per step over all processes; emotions are mixed")
    accumulate: int = Field(default=1, ge=1, le=4096, description="compute a step in so many pieces one after the other, to save memory")
    learning_rate: float = Field(default=1e-3, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled weight decay of AdamW")
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        default="constant", description="course of the learning rate after the warm-up; cosine and linear fall to zero"
    )
    max_gradient_norm: float = Field(default=1.0, gt=0, description="gradients are scaled down to this norm")
    semantic_weight: float = Field(default=1.0, ge=0, description="weight of L_SEM; 0 is the ablation without it")
    semantic_loss: SemanticLoss = Field(default="cosine", description="form of L_SEM")
    min_snr_gamma: float | None = Field(
        default=None, gt=0, description="weight steps with little noise less (Min-SNR, Hang et al. 2023; 5 is usual); null weighs all alike"
    )
    condition_dropout: float = Field(default=0.0, ge=0, le=1, description="share of samples that see the empty prompt")
    offset_noise: float = Field(default=0.0, ge=0, description="strength of a noise that is constant over each latent channel")
    mirror: bool = Field(default=True, description="show half of the samples mirrored, where the features have mirror images")
    ema_decay: float | None = Field(default=None, gt=0, lt=1, description="keep the weights' exponential moving average, and save that")
    covariance: Covariance = Field(default="diagonal", description="of the emotion clusters")
    precision: Precision = Field(default="float32", description="of the frozen models and their activations; trained weights stay float32")
    seed: int = Field(default=0, ge=0, description="of initial weights, sample order and all noise")

    compile: bool = Field(default=False, description="torch.compile the U-Net: minutes to begin with, faster steps on a GPU")
    channels_last: bool = Field(
        default=False, description="keep the U-Net's pictures channels-last in memory: faster convolutions on a GPU"
    )

    checkpoint_every: int = Field(default=500, ge=1, description="steps between checkpoints; not part of the run id")
    keep_checkpoints: int = Field(default=2, ge=1, description="newest checkpoints to keep; not part of the run id")
    keep_best: int = Field(default=1, ge=0, description="checkpoints of lowest smoothed loss to keep besides; not part of the run id")
    log_every: int = Field(default=25, ge=1, description="steps per line of the log; not part of the run id")
    explosion_factor: float | None = Field(
        default=20.0, gt=1, le=1e6, description="stop when an interval's loss is so many times the running median; null never stops"
    )
    sample_every: int = Field(default=0, ge=0, description="steps between sheets of sample pictures, 0 = none; not part of the run id")
    samples_per_emotion: int = Field(default=4, ge=1, le=32, description="pictures per emotion on a sheet; not part of the run id")
    sampling: GenerationRecipe = Field(default=GenerationRecipe(), description="how sample pictures are denoised; not part of the run id")
    device: str = Field(default="auto", description="auto, cpu or cuda; not part of the run id")
    gradient_checkpointing: bool = Field(default=False, description="recompute activations to save memory; not part of the run id")

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that can change the trained weights."""
        defaults = {name: type(self).model_fields[name].default for name in ADDED_LATER}
        fields = {name: value for name, value in self.model_dump(mode="json").items() if name not in NOT_IDENTIFYING}
        return {name: value for name, value in fields.items() if name not in defaults or value != defaults[name]}

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} does not divide by accumulate {self.accumulate}: choose a divisor")
        return self


def _load(name: str) -> TrainingRecipe:
    return TrainingRecipe.model_validate(tomllib.loads((RECIPE_FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


RECIPES: dict[str, TrainingRecipe] = {
    name: _load(name) for name in sorted(file.name.removesuffix(".toml") for file in RECIPE_FOLDER.iterdir() if file.name.endswith(".toml"))
}
"""`paper`: SD 1.5 as published, 130,000 samples one by one. `paper-batched`: as many samples in mixed batches. `lab`: the small world."""
