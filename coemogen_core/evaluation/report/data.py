"""What a report shows: its single input, ready to be laid out."""

from pydantic import BaseModel, ConfigDict, Field

from schemas.ablations import Ablations
from schemas.metrics import Metrics


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Picture(_Part):
    """An inline picture."""

    data_uri: str = Field(pattern="^data:image/", description="the encoded picture itself")
    width: int = Field(ge=1, description="pixels")
    height: int = Field(ge=1, description="pixels")
    alt: str = Field(min_length=1, description="what it shows, for those who cannot see it")


class GalleryRow(_Part):
    """The samples of one emotion: picture k of every method started from the same noise."""

    emotion: str = Field(description="the emotion")
    pictures: dict[str, list[Picture]] = Field(description="by method")


class Example(_Part):
    """A picture and what the curation decided about it."""

    picture: Picture = Field(description="the picture")
    emotion: str | None = Field(description="its label, or the one that the classifier gave")
    caption: str | None = Field(description="its caption, null where it was dropped before")
    similarity: float | None = Field(description="CLIP similarity of picture and caption")
    confidence: float | None = Field(description="calibrated confidence of the emotion classifier; null for labelled pictures")
    kept: bool = Field(description="kept or dropped")
    reason: str = Field(description="why")
    origin: str | None = Field(default=None, description="artist and style, where the source says so")


class FunnelStep(_Part):
    """One reason of the curation."""

    reason: str = Field(description="why pictures were dropped here")
    dropped: int = Field(ge=0, description="pictures dropped for it")
    remaining: int = Field(ge=0, description="pictures left after it")


class CorpusPart(_Part):
    """What became of one corpus."""

    name: str = Field(description="name of the dataset")
    candidates: int = Field(ge=0, description="pictures that came in")
    kept: int = Field(ge=0, description="pictures that were kept")
    steps: list[FunnelStep] = Field(description="reasons, in the order in which they were asked; those without pictures left out")
    per_emotion: dict[str, int] = Field(description="kept pictures by emotion")
    examples: list[Example] = Field(description="kept and dropped ones")


class LossCurves(_Part):
    """One loss over the steps of a training."""

    overall: list[float] = Field(description="over all samples, smoothed")
    per_emotion: dict[str, list[float | None]] = Field(description="over those of one emotion, smoothed; null before its first sample")


class TrainingPart(_Part):
    """How the training went."""

    run_id: str = Field(description="the training's run")
    steps: list[int] = Field(min_length=1, description="ends of the intervals that are shown")
    diffusion: LossCurves = Field(description="L_LDM")
    semantic: LossCurves = Field(description="L_SEM")


class ReportData(_Part):
    """Everything that `render_report` needs."""

    title: str = Field(min_length=1, description="headline")
    metrics: Metrics = Field(description="the content of metrics.json")
    labels: dict[str, str] = Field(description="what each method is called")
    gallery: list[GalleryRow] = Field(description="one row per emotion")
    training: TrainingPart | None = Field(default=None, description="the losses of the model's training")
    photos: CorpusPart | None = Field(default=None, description="the labelled training corpus")
    art: CorpusPart | None = Field(default=None, description="EmoArt")
    ablations: Ablations | None = Field(default=None, description="the workspace's ablation study, where there is one")
