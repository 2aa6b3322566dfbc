"""What `experiments.json` of a run looks like: one entry per method and seed, and what is compared with what."""

from typing import Self

from pydantic import Field, FiniteFloat, model_validator

from schemas.choices import EvaluationProtocol
from schemas.frozen_model import FrozenModel
from schemas.metrics import MetricName


class MeasuredMetric(FrozenModel):
    """One metric of one method and seed."""

    value: FiniteFloat = Field(description="overall value")
    low: FiniteFloat | None = Field(default=None, description="lower end of the interval over the pictures")
    high: FiniteFloat | None = Field(default=None, description="upper end of it")
    extractor: str = Field(description="identity of the feature extractor")


class MethodRun(FrozenModel):
    """One method, trained and drawn with one seed."""

    method: str = Field(min_length=1, description="name of the method")
    seed: int = Field(ge=0, description="of its training; its pictures start from the noise that all methods share for this seed")
    metrics: dict[MetricName, MeasuredMetric] = Field(description="a metric that could not be computed is left out")
    recognised: dict[str, str] = Field(
        description="by emotion, for every picture in order 1 where the probe of Emo-A saw the wanted emotion, else 0; empty when some "
        "picture could not be read"
    )
    training_run: str | None = Field(description="folder below runs/ that holds the trained model; null for a method without a training")
    samples_run: str = Field(min_length=1, description="folder below runs/ that holds its pictures")


class Experiments(FrozenModel):
    """A matrix of methods and seeds, as far as it is done."""

    methods: tuple[str, ...] = Field(min_length=1, description="names of the methods, in the order of the matrix")
    labels: dict[str, str] = Field(default_factory=dict, description="what people call the methods, where not by their name")
    seeds: tuple[int, ...] = Field(min_length=1, description="seeds of the matrix")
    compared_with: tuple[str, ...] = Field(description="methods that every other one is tested against")
    protocol: EvaluationProtocol = Field(description="how pictures were measured")
    images_per_emotion: int = Field(ge=1, description="pictures of every run, per emotion")
    budgets: dict[str, int] = Field(
        default_factory=dict,
        description="samples that each trained method saw per seed, those of the model that it began with too",
    )
    runs: tuple[MethodRun, ...] = Field(description="finished runs, method by method")

    @model_validator(mode="after")
    def _runs_belong(self) -> Self:
        if odd := sorted({run.method for run in self.runs} - set(self.methods)):
            raise ValueError(f"runs of methods that the matrix does not have: {', '.join(odd)}")
        return self

    def label(self, method: str) -> str:
        """What people call a method."""
        return self.labels.get(method, method)

    def runs_of(self, method: str) -> list[MethodRun]:
        """The finished runs of a method, by seed."""
        return sorted((run for run in self.runs if run.method == method), key=lambda run: run.seed)
