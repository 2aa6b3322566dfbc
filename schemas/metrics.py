"""What `metrics.json` of a run looks like: every number with its interval, the count of images and who measured it.

No number is ever NaN: where a metric could not be computed, `value` is null and `reason` says why.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from schemas.choices import EvaluationProtocol, LabelOrigin
from schemas.frozen_model import FrozenModel

MetricName = Literal["fid", "kid", "cmmd", "precision", "recall", "density", "coverage", "lpips", "emo_a", "sem_c", "sem_d"]
METRIC_NAMES: tuple[MetricName, ...] = (
    "fid",
    "kid",
    "cmmd",
    "precision",
    "recall",
    "density",
    "coverage",
    "lpips",
    "emo_a",
    "sem_c",
    "sem_d",
)
DistributionMetricName = Literal["fid", "kid", "cmmd", "precision", "recall", "density", "coverage"]
"""Those that compare with real images."""
Share = FiniteFloat | None


class Interval(FrozenModel):
    """A confidence interval."""

    low: FiniteFloat = Field(description="lower end")
    high: FiniteFloat = Field(description="upper end")


class Estimate(FrozenModel):
    """One metric: its value, its confidence interval, and what it rests on."""

    value: FiniteFloat | None = Field(description="the number; null when it could not be computed")
    low: FiniteFloat | None = Field(default=None, description="lower end of the confidence interval")
    high: FiniteFloat | None = Field(default=None, description="upper end of the confidence interval")
    images: int = Field(ge=0, description="images that the number rests on")
    resamples: int = Field(
        default=0,
        ge=0,
        description="recomputations behind the interval: bootstrap resamples, or sets without one image; 0 without an interval",
    )
    extractor: str = Field(description="identity of the feature extractor")
    reason: str | None = Field(default=None, description="why the value or the interval is missing")

    @model_validator(mode="after")
    def _missing_has_a_reason(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends or none")
        if (self.value is None or self.low is None) and self.reason is None:
            raise ValueError("a missing value or interval needs a reason")
        return self


NOT_MEASURED = Estimate(value=None, images=0, extractor="none", reason="not measured: these numbers are older than the metric")


class EmotionMetrics(FrozenModel):
    """The metrics of one emotion as plain numbers, and their intervals beside them."""

    images: int = Field(ge=0, description="images of this emotion")
    emo_a: Share = Field(description="share that the emotion probe recognises, 0 to 1")
    lpips: FiniteFloat | None = Field(description="mean perceptual distance between two images of this emotion")
    sem_c: Share = Field(description="mean of the larger top-1 probability, object or scene, 0 to 1")
    sem_d: FiniteFloat | None = Field(description="mean squared difference of the embeddings of two images of this emotion")
    brightness: Share = Field(description="mean luma, 0 to 1")
    colourfulness: FiniteFloat | None = Field(description="mean Hasler-Suesstrunk colourfulness, 0 is grey")
    fid: FiniteFloat | None = Field(default=None, description="Frechet distance to the real images of this emotion")
    kid: FiniteFloat | None = Field(default=None, description="kernel distance to the real images of this emotion")
    cmmd: FiniteFloat | None = Field(default=None, description="maximum mean discrepancy to the real images of this emotion")
    precision: Share = Field(default=None, description="share of these images that look like real ones of this emotion, 0 to 1")
    recall: Share = Field(default=None, description="share of the real images of this emotion that these look like, 0 to 1")
    density: FiniteFloat | None = Field(default=None, description="real neighbourhoods that an image of this emotion lies in, over k")
    coverage: Share = Field(default=None, description="share of the real images of this emotion with one of these nearby, 0 to 1")
    intervals: dict[str, Interval] = Field(default_factory=dict, description="confidence intervals by metric name")


class ProbeAnswers(FrozenModel):
    """What one emotion probe (a classifier with eight outputs) says."""

    accuracy: Share = Field(description="share of images whose most probable emotion is the wanted one")
    interval: Interval | None = Field(default=None, description="confidence interval of the accuracy")
    through_clip: bool | None = Field(
        default=None, description="it sees images through CLIP, whose space the method is driven by; null where that was not recorded"
    )
    confusion: list[list[int]] = Field(description="8 x 8 counts: row = wanted emotion, column = recognised emotion")
    majority_share: Share = Field(description="share of the commonest answer; near 1 the probe has collapsed to one class")
    majority_interval: Interval | None = Field(default=None, description="confidence interval of that share, the answer fixed")
    majority_emotion: str | None = Field(description="the commonest answer")
    majority_baseline: Share = Field(description="accuracy of always naming the commonest wanted emotion")
    collapsed: bool | None = Field(
        default=None,
        description="the commonest answer is suspiciously common; null when only one emotion was wanted, or images are too few",
    )


class ColourMetrics(FrozenModel):
    """Brightness and colourfulness of the images of one polarity, or of all images."""

    images: int = Field(ge=0, description="images that the means are of")
    brightness: Share = Field(description="mean luma, 0 to 1")
    colourfulness: FiniteFloat | None = Field(description="mean Hasler-Suesstrunk colourfulness")
    intervals: dict[str, Interval] = Field(default_factory=dict, description="confidence intervals by metric name")


class MethodMetrics(FrozenModel):
    """Everything measured on the images of one method."""

    images: int = Field(ge=0, description="images evaluated")
    rejected: int = Field(default=0, ge=0, description="images that could not be decoded, left out of every number")
    fid: Estimate = Field(description="Fréchet distance between the features of generated and of real images; lower is nearer")
    kid: Estimate = Field(
        default=NOT_MEASURED,
        description="the same features compared by a cubic kernel; lower is nearer, and small sets do not raise it as they raise FID",
    )
    cmmd: Estimate = Field(
        description="distance between the CLIP embeddings of generated and of real images as distributions; lower is nearer"
    )
    precision: Estimate = Field(description="share of generated images that lie among real ones; higher is more realistic")
    recall: Estimate = Field(description="share of real images that lie among generated ones; higher leaves fewer kinds out")
    density: Estimate = Field(description="like precision, but counts in how many real neighbourhoods an image lies; 1 is as real ones")
    coverage: Estimate = Field(description="share of real images with a generated one in their neighbourhood; higher leaves fewer out")
    lpips: Estimate = Field(description="mean perceptual distance between two images of the same emotion; higher is more varied")
    emo_a: Estimate = Field(description="share of images in which the first emotion probe recognises the emotion that was asked for")
    sem_c: Estimate = Field(description="mean of the larger top-1 probability of an object and a scene classifier; higher is clearer")
    sem_d: Estimate = Field(
        description="mean squared difference of the CLIP embeddings of two images of the same emotion; "
        "above real images is noise, far below is collapse"
    )
    per_emotion: dict[str, EmotionMetrics] = Field(description="the same by emotion")
    probes: dict[str, ProbeAnswers] = Field(description="by identity of the emotion probe; the first one gives emo_a")
    polarity: dict[str, ColourMetrics] = Field(description="brightness and colourfulness by polarity")
    colour: ColourMetrics | None = Field(default=None, description="brightness and colourfulness of all images")
    further: dict[str, Estimate] = Field(default_factory=dict, description="further numbers by name, e.g. prompt alignment")

    def estimate(self, metric: MetricName) -> Estimate:
        """The overall estimate of a metric."""
        estimate: Estimate = getattr(self, metric)
        return estimate


class ReferenceMetrics(MethodMetrics):
    """The same numbers for the real images: what a perfect generator would score. What compares with the reference is null."""

    source: str = Field(description="name of the image source")
    split: str | None = Field(description="the split that was taken, null for all images")
    of_each: int | None = Field(
        default=None,
        description="real images of each emotion, drawn with the seed, that all together are compared with, at most; null = all",
    )
    short: dict[str, int] = Field(
        default_factory=dict, description="emotions that have hardly any real images, and how many: both sides hold them as seldom"
    )
    labels: LabelOrigin = Field(default="source", description="who gave the emotions of the real images")


class EmoArtMetrics(FrozenModel):
    """How the art corpus came out."""

    candidates: int = Field(ge=0, description="paintings that were scored")
    kept: int = Field(ge=0, description="paintings kept")
    precision: Share = Field(description="share of the kept paintings that carry their true emotion; null when the truth is unknown")
    recall: Share = Field(description="share of the paintings with a collected true emotion that were kept under it; null likewise")
    reasons: dict[str, int] = Field(description="paintings by decision, 'kept' included")
    per_emotion: dict[str, int] = Field(description="kept paintings by emotion")


class StageTiming(FrozenModel):
    """Wall-clock time of one stage."""

    seconds: float = Field(ge=0, description="wall-clock time")
    rows: int | None = Field(default=None, ge=0, description="rows it made or found")
    reused: bool = Field(default=False, description="every part was there already")


class Metrics(FrozenModel):
    """The file metrics.json."""

    schema_version: Literal[1] = Field(default=1, description="version of this layout")
    run_id: str = Field(description="the run that these numbers belong to")
    protocol: EvaluationProtocol = Field(description="how images are preprocessed and paired (docs/metrics.md)")
    seed: int = Field(description="seed of pairs and resamples")
    confidence_level: float = Field(gt=0, lt=1, description="level of every interval")
    methods: dict[str, MethodMetrics] = Field(description="by name of the method, e.g. 'coemogen' and 'sd'")
    order: tuple[str, ...] = Field(default=(), description="names of the methods in the order of their matrix")
    reference: ReferenceMetrics | None = Field(description="real images")
    emoart: EmoArtMetrics | None = Field(default=None, description="the art corpus, where the run built one")
    stages: dict[str, StageTiming] = Field(default_factory=dict, description="by name of the stage, in running order")
    peak_memory_mib: FiniteFloat | None = Field(default=None, description="largest resident memory of the process and its children")
    versions: dict[str, str] = Field(default_factory=dict, description="versions of the libraries")
    configuration: dict[str, Any] = Field(default_factory=dict, description="parameters of the flows")

    def in_order(self) -> Mapping[str, MethodMetrics]:
        """The methods as they are shown: CoEmoGen in front, then in their order, then by name."""
        places = {name: index for index, name in enumerate(self.order)}
        names = sorted(self.methods, key=lambda name: (name != "coemogen", places.get(name, len(places)), name))
        return {name: self.methods[name] for name in names}
