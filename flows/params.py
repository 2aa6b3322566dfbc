"""Parameters of the flows: what Prefect's form shows, and what is refused before any work starts.

They are put together from the recipes of the core, so a setting is described and bounded in one place only.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.captioning.recaption.candidates import RecaptionReasons
from coemogen_core.captioning.recipe import BackendSettings, CaptionRecipe, LocalSettings, ServerSettings
from coemogen_core.classifier.cross_validation import FoldsRecipe
from coemogen_core.classifier.emotion_probe import ProbeRecipe
from coemogen_core.curation.decisions import CurationRecipe
from coemogen_core.curation.near_duplicates import NearDuplicateRecipe
from coemogen_core.curation.selection import MIN_CONFIDENCE, Selection
from coemogen_core.data.plan import DEFAULT_PART_SIZE
from coemogen_core.emotions import EMOART_EMOTIONS, Emotion
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from coemogen_core.encoders.efficientnet import EfficientNetRecipe
from coemogen_core.encoders.image_encoder import ImageEncoderRecipe
from coemogen_core.recipe import merge
from coemogen_core.storage.names import DatasetName, SourceName
from flows.execution import Execution, ThreadExecution
from flows.profiles import FlowName, Profile, profile_values, training_recipe
from schemas.choices import Layout
from schemas.frozen_model import FrozenModel, each_once


class FlowParams(FrozenModel):
    """What all flows have in common; those of `train-and-eval` stand in `train_params`, where diffusers is imported."""

    flow: ClassVar[FlowName]

    workspace: str = Field(min_length=1, description="folder or URI of all tables")
    execution: Execution = Field(
        default=ThreadExecution(), description="where parts are worked on: threads of this process, or a Ray cluster"
    )


class Source(FrozenModel):
    """A picture set on disk or in a bucket."""

    name: SourceName = Field(description="name of the set in the workspace, e.g. emoset or wikiart")
    layout: Layout = Field(description="how its folders are arranged")
    root: str = Field(min_length=1, description="folder or URI of the set")
    licence: str | None = Field(default=None, description="licence of the pictures, written to every row")
    image_column: str | None = Field(default=None, description="hf_parquet: column of the pictures; none = found by its name or type")


class CaptioningParams(FlowParams):
    """What the flows have in common that ask for captions."""

    encoder: EncoderRecipe = Field(description="CLIP that scores the captions; the classifier's as well unless it has another encoder")
    caption: CaptionRecipe = Field(description="what decides a caption; recaption wants another model or prompt, or a temperature above 0")
    captioner: BackendSettings = Field(default=LocalSettings(), description="where captions come from: this process, or a server")

    @model_validator(mode="after")
    def _own_server_serves_the_recipe(self) -> Self:
        own = self.captioner.own if isinstance(self.captioner, ServerSettings) else None
        if own is not None and (own.model, own.revision) != (self.caption.model, self.caption.revision):
            raise ValueError(
                f"captioner.own serves {own.model!r}, but caption.model is {self.caption.model!r}: give both the same model and revision"
            )
        return self


class CorpusParams(CaptioningParams):
    """What the flows have in common that build a dataset."""

    source: Source = Field(description="the pictures: labelled photos, or paintings without labels")
    dataset: DatasetName = Field(description="name of the dataset that comes out")
    part_size: int = Field(default=DEFAULT_PART_SIZE, ge=1, le=100_000, description="pictures per part: the unit of work and of retry")
    current: CaptionPolicy | None = Field(
        default=None,
        description="which of a picture's captions counts; none = this flow's own, best_alignment or latest = recaptioned ones too",
    )
    drop_fraction: float = Field(default=0.2, ge=0.0, lt=1.0, description="share of worst aligned captions to drop within each emotion")
    near_duplicates: NearDuplicateRecipe | None = Field(
        default=None,
        description="keep only the largest of near-duplicate pictures, by the distance of their embeddings; none = keep all of them",
    )
    pause_for_audit: bool = Field(
        default=False,
        description="write the page of the caption audit and wait until somebody resumes the run, before its version counts; deployments",
    )

    @property
    def caption_policy(self) -> CaptionPolicy:
        """The policy, spelled out."""
        return self.current or CaptionPolicy.pinned(self.caption.recipe_id(self.captioner.backend))

    def curation_recipe(self, selection: Selection) -> CurationRecipe:
        """How the selected pictures are decided."""
        return CurationRecipe(
            dataset=self.dataset,
            selection=selection,
            captions=self.caption_policy,
            encoder_id=self.encoder.encoder_id,
            drop_fraction=self.drop_fraction,
            near_duplicates=self.near_duplicates,
        )


class BuildEmosetParams(CorpusParams):
    """Labelled photos to a captioned, filtered training corpus."""

    flow = "build-emoset"
    dataset: DatasetName = Field(default="emoset", description="name of the corpus that comes out")


class BuildEmoartParams(CorpusParams):
    """Unlabelled paintings to a scored, captioned, filtered and published dataset."""

    flow = "build-emoart"
    labelled_source: SourceName = Field(description="labelled set in the workspace that the emotion classifier learns from")
    labelled_set: Source | None = Field(default=None, description="where to ingest it from; none = build-emoset has ingested it")
    dataset: DatasetName = Field(default="emoart", description="name of the dataset that comes out")
    probe_encoder: ImageEncoderRecipe | None = Field(
        default=None, description="image encoder of the emotion classifier, CLIP or another backbone; none = `encoder`"
    )
    probe: ProbeRecipe = Field(default=ProbeRecipe(), description="how the emotion classifier is trained")
    published_head: str | None = Field(
        default=None,
        description="EmoGen's published classifier, path or URI of the .pth, instead of a trained one; reads CLIP ViT-L/14",
    )
    cross_validation: FoldsRecipe | None = Field(
        default=None, description="measure the classifier's recipe in folds of the labelled set as well; none = leave that out"
    )
    valence_ratings: str | None = Field(
        default=None, description="CSV with people's valence ratings of the labelled set (OASIS), to compare the cross-validation with"
    )
    art_ratings: str | None = Field(default=None, description="WikiArt-Emotions' TSV, to compare the scores of the paintings with")
    emotions: Annotated[tuple[Emotion, ...], AfterValidator(each_once)] = Field(
        default=EMOART_EMOTIONS, min_length=1, description="emotions to collect"
    )
    min_confidence: float = Field(default=MIN_CONFIDENCE, ge=0.0, lt=1.0, description="a painting's confidence must be greater than this")

    @property
    def classifier_encoder(self) -> EncoderRecipe | EfficientNetRecipe:
        """The image encoder of the emotion classifier."""
        return self.probe_encoder or self.encoder

    @model_validator(mode="after")
    def _classifier_fits(self) -> Self:
        if self.labelled_set is not None and self.labelled_set.name != self.labelled_source:
            raise ValueError(f"labelled_set is {self.labelled_set.name!r}, labelled_source {self.labelled_source!r}: name them alike")
        if self.published_head is not None:
            reads = self.classifier_encoder
            if not isinstance(reads, EncoderRecipe) or reads.unit_length:
                raise ValueError("published_head reads CLIP's raw vectors: set probe_encoder to that CLIP with unit_length = false")
            if self.cross_validation is not None or self.valence_ratings is not None:
                raise ValueError("published_head is not trained here: leave cross_validation and valence_ratings out")
        if self.valence_ratings is not None and self.cross_validation is None:
            raise ValueError("valence_ratings are compared with out-of-fold predictions: set cross_validation too")
        return self


class RecaptionParams(CaptioningParams):
    """Weak, failed or stale captions of a built dataset to better ones."""

    flow = "recaption"
    dataset: DatasetName = Field(description="dataset whose captions are looked through, e.g. emoset or emoart")
    version: str = Field(default="current", description="version of its decisions; current = the last one that was built")
    reasons: RecaptionReasons = Field(default=RecaptionReasons(), description="which pictures to caption again")
    current: CaptionPolicy = Field(
        default=CaptionPolicy(choose="best_alignment"), description="decides whether a new caption becomes the current one"
    )
    max_images: int | None = Field(default=None, ge=1, description="budget: at most so many pictures; none = all that the reasons name")
    max_minutes: float | None = Field(default=None, gt=0, description="budget: after so many minutes nothing more is asked")
    max_tries: int = Field(default=3, ge=1, le=100, description="a picture that this recipe was asked about so often is left alone")


Params = TypeVar("Params", bound=FlowParams)


def load_params(profile: Profile, model: type[Params], overrides: Mapping[str, Any]) -> Params:
    """Parameters of a flow: the profile's, with some replaced.

    Args:
        profile: name of the profile.
        model: the parameters of the flow whose section is read.
        overrides: values that replace the profile's; a mapping is merged into the profile's mapping. `training.recipe` and
            `training.for_batch` are no fields: they name a recipe and the batch size that it is brought to.

    Raises:
        ValueError: there is no such training recipe, or `training.for_batch` is no batch size.
        pydantic.ValidationError: a value is refused; the message names the field.
    """
    values = merge(profile_values(profile, model.flow), overrides)
    training = values.get("training")
    if isinstance(training, Mapping) and "recipe" in training:
        changed = {key: value for key, value in training.items() if key not in ("recipe", "for_batch")}
        if "for_batch" in training:
            from coemogen_core.training.optimisation import refuse_beside_for_batch

            refuse_beside_for_batch(changed)
        values["training"] = merge(training_recipe(training["recipe"], training.get("for_batch")), changed)
    return model.model_validate(values)
