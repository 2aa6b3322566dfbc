"""What a report shows: its single input, ready to be laid out."""

from pydantic import Field

from schemas.experiments import Experiments
from schemas.frozen_model import FrozenModel
from schemas.metrics import Metrics

INTRODUCTION = (
    "CoEmoGen learns from captioned pictures to draw what an emotion looks like: given one word, such as “awe”, it generates an image that "
    "evokes it. This page shows one run: pictures, numbers and how they came about."
)


class Picture(FrozenModel):
    """An inline picture."""

    data_uri: str = Field(pattern="^data:image/", description="the encoded picture itself")
    width: int = Field(ge=1, description="pixels")
    height: int = Field(ge=1, description="pixels")
    alt: str = Field(min_length=1, description="what it shows, for those who cannot see it")


class Example(FrozenModel):
    """A picture and what the curation decided about it."""

    picture: Picture = Field(description="the picture")
    emotion: str | None = Field(description="its label, or the one that the classifier gave")
    caption: str | None = Field(description="its caption, null where it was dropped before")
    similarity: float | None = Field(description="CLIP similarity of picture and caption")
    confidence: float | None = Field(description="calibrated confidence of the emotion classifier; null for labelled pictures")
    kept: bool = Field(description="kept or dropped")
    reason: str = Field(description="why")
    origin: str | None = Field(default=None, description="artist and style, where the source says so")


class FunnelStep(FrozenModel):
    """One reason of the curation."""

    reason: str = Field(description="why pictures were dropped here")
    dropped: int = Field(ge=0, description="pictures dropped for it")
    remaining: int = Field(ge=0, description="pictures left after it")


class TrainingPair(FrozenModel):
    """A sample and its nearest training picture."""

    sample: Picture = Field(description="the sample")
    nearest: Picture = Field(description="the training picture of highest CLIP similarity")
    similarity: float = Field(description="cosine of their CLIP embeddings, -1 to 1")
    share: float = Field(ge=0, le=1, description="share of training pictures whose own nearest one is less similar than this")
    pixel_distance: float = Field(ge=0, le=1, description="root mean squared difference of both, reduced to 32 x 32 pixels")
    mirrored: bool = Field(default=False, description="it is the training picture's mirror image that is near")
    near_copy: bool = Field(description="nearer by both than nearly all training pictures are to each other")


class NearestPairs(FrozenModel):
    """How near one method's samples are to training pictures."""

    samples: int = Field(ge=0, description="samples whose nearest training picture was searched for: those of the gallery")
    copies: int = Field(ge=0, description="near copies among them")
    nearest: list[TrainingPair] = Field(description="the nearest of them, near copies first")


class MemorisationPart(FrozenModel):
    """Whether samples are copies of training pictures."""

    images: int = Field(ge=0, description="pictures of the training set, all of which were searched")
    compared: int = Field(ge=0, description="training pictures whose own nearest ones say what is usual")
    similarity_limit: float = Field(description="a near copy is more similar than this")
    pixel_limit: float = Field(description="and nearer in pixels than this")
    percentile: float = Field(gt=0, lt=1, description="share of the training pictures that stay on the other side of each limit")
    methods: dict[str, NearestPairs] = Field(description="by method")
    rows: dict[str, dict[str, list[TrainingPair]]] = Field(description="by emotion and method the first samples, as many as the page bears")


class Failure(FrozenModel):
    """A sample in which the probe does not see the wanted emotion."""

    picture: Picture = Field(description="the sample")
    wanted: str = Field(description="the emotion that was asked for")
    seen: str = Field(description="the emotion that the probe names")
    wanted_probability: float = Field(ge=0, le=1, description="what the probe gives to the wanted one")
    seen_probability: float = Field(ge=0, le=1, description="and to the one that it names")


class FailurePart(FrozenModel):
    """The failures of one method."""

    images: int = Field(ge=0, description="samples")
    missed: int = Field(ge=0, description="those in which the probe does not see what was asked for")
    worst: list[Failure] = Field(description="of each emotion the sample with the lowest probability of what was wanted")
    drawn: list[Failure] = Field(description="others, drawn at random")


class MapPanel(FrozenModel):
    """One set of pictures on the map."""

    name: str | None = Field(description="the method; null for the real pictures")
    positions: list[tuple[float, float]] = Field(description="of its pictures")
    emotions: list[str] = Field(description="theirs")
    images: int = Field(ge=0, description="pictures of the set, drawn or not")


class MapPart(FrozenModel):
    """Where the pictures of all sets lie among the real ones."""

    panels: list[MapPanel] = Field(min_length=1, description="the real pictures first")
    variance: float = Field(ge=0, le=1, description="share of the real pictures' variance that the two axes show")
    extractor: str = Field(description="identity of the embedder")


class CorpusPart(FrozenModel):
    """What became of one corpus."""

    name: str = Field(description="name of the dataset")
    candidates: int = Field(ge=0, description="pictures that came in")
    kept: int = Field(ge=0, description="pictures that were kept")
    steps: list[FunnelStep] = Field(description="reasons, in the order in which they were asked; those without pictures left out")
    per_emotion: dict[str, int] = Field(description="kept pictures by emotion")
    examples: list[Example] = Field(description="kept and dropped ones")


class LossCurves(FrozenModel):
    """One loss over the steps of a training."""

    overall: list[float] = Field(description="over all samples, smoothed")
    per_emotion: dict[str, list[float | None]] = Field(description="over those of one emotion, smoothed; null before its first sample")


class TrainingPart(FrozenModel):
    """How the training went."""

    run_id: str = Field(description="the training's run")
    from_run: str | None = Field(default=None, description="the finished training whose weights it began with")
    steps: list[int] = Field(min_length=1, description="ends of the intervals that are shown")
    diffusion: LossCurves = Field(description="L_LDM")
    semantic: LossCurves = Field(description="L_SEM")


class ReportData(FrozenModel):
    """Everything that `render_report` needs."""

    title: str = Field(min_length=1, description="headline")
    introduction: str = Field(default=INTRODUCTION, min_length=1, description="what the page is about")
    metrics: Metrics = Field(description="the content of metrics.json")
    labels: dict[str, str] = Field(description="what each method is called")
    gallery: dict[str, dict[str, list[Picture]]] = Field(description="samples by emotion and method: picture k of all began as one noise")
    failures: dict[str, FailurePart] = Field(default_factory=dict, description="by method, those that fail at all")
    map: MapPart | None = Field(default=None, description="a map of all sets, where there are real pictures")
    memorisation: MemorisationPart | None = Field(default=None, description="the nearest training pictures of the gallery's samples")
    training: TrainingPart | None = Field(default=None, description="the losses of the model's training")
    corpora: list[CorpusPart] = Field(default_factory=list, description="what the run trains on")
    art: CorpusPart | None = Field(default=None, description="EmoArt")
    experiments: Experiments | None = Field(default=None, description="the matrix of methods and seeds that this run belongs to")
