"""What `ablations.json` of a workspace looks like: one entry per variant of the method and training seed."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from schemas.metrics import MetricName

VariantName = Literal[
    "full",
    "without L_SEM",
    "without emotion-specific LoRAs",
    "without polarity-shared LoRAs",
    "L_SEM as MAE",
    "L_SEM as MSE",
    "L_SEM as KL divergence",
]


class AblationRun(BaseModel):
    """One variant, trained with one seed, and what its pictures measure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: VariantName = Field(description="what was left out or exchanged; full = nothing")
    seed: int = Field(ge=0, description="seed of the training; its pictures start from noise of their own")
    metrics: dict[MetricName, FiniteFloat] = Field(description="overall values; a metric that could not be computed is left out")
    training_run: str = Field(min_length=1, description="folder below runs/ that holds the trained model")
    samples_run: str = Field(min_length=1, description="folder below runs/ that holds its pictures")


class Ablations(BaseModel):
    """All runs of one ablation study: the same corpus, training length and pictures for every variant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(min_length=1, description="training corpus")
    steps: int = Field(ge=1, description="optimizer steps of every training")
    images_per_emotion: int = Field(ge=1, description="pictures that every run was measured on, per emotion")
    runs: tuple[AblationRun, ...] = Field(description="finished runs, seed by seed, variants in order")
