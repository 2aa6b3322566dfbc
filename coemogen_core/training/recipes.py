"""Training recipes: everything that decides what a trained model becomes, as data."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.model.clusters import Covariance
from coemogen_core.model.conditioner import ConditionerConfig
from coemogen_core.model.hilora import ATTENTION_TARGETS
from coemogen_core.model.losses import SemanticLoss

Precision = Literal["float32", "bfloat16", "float16"]
NOT_IDENTIFYING = frozenset({"checkpoint_every", "keep_checkpoints", "log_every", "device", "gradient_checkpointing"})


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
    learning_rate: float = Field(default=1e-3, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled weight decay of AdamW")
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up")
    schedule: Literal["constant", "cosine"] = Field(default="constant", description="course of the learning rate after the warm-up")
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

    checkpoint_every: int = Field(default=500, ge=1, description="steps between checkpoints; not part of the run id")
    keep_checkpoints: int = Field(default=2, ge=1, description="newest checkpoints to keep; not part of the run id")
    log_every: int = Field(default=25, ge=1, description="steps per line of the log; not part of the run id")
    device: str = Field(default="auto", description="auto, cpu or cuda; not part of the run id")
    gradient_checkpointing: bool = Field(default=False, description="recompute activations to save memory; not part of the run id")

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that can change the trained weights."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in NOT_IDENTIFYING}


RECIPES: dict[str, TrainingRecipe] = {
    "paper": TrainingRecipe(steps=130_000, batch_size=1, checkpoint_every=5_000, log_every=100),
    "paper-batched": TrainingRecipe(
        steps=4_063, batch_size=32, warmup_steps=100, schedule="cosine", precision="bfloat16", checkpoint_every=500
    ),
    "lab": TrainingRecipe(
        steps=2_600, batch_size=4, learning_rate=3e-3, warmup_steps=50, schedule="cosine", min_snr_gamma=5, checkpoint_every=500
    ),
}
"""`paper`: SD 1.5 as published, 130,000 samples one by one. `paper-batched`: as many samples in mixed batches. `lab`: the small world."""
