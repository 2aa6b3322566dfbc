"""Features of the pictures of a workspace, part by part: the real ones of a source, and the samples of a run.

Parts lie under `evaluation/<features id>/...` as safetensors. A real part is keyed by its name (which hashes its listing), samples by
the hash of their pictures; what exists is never computed again.
"""

import hashlib
import time
from collections.abc import Sequence

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.emotions import Emotion, parse_emotion
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures, LabelledImage, block_order, compute_features, concatenate, is_decodable
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.storage.workspace import Workspace
from schemas.choices import EvaluationProtocol
from schemas.outcomes import PartOutcome


class ReferenceSelection(BaseModel):
    """Which real images the generated ones are compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1, description="name of the image source")
    split: str | None = Field(description="the split that is taken; null for all labelled images")
    parts: tuple[str, ...] = Field(description="image parts that hold such images")
    images: int = Field(ge=1, description="number of images")


def select_reference(workspace: Workspace, source: str, minimum: int, protocol: EvaluationProtocol = "corrected") -> ReferenceSelection:
    """The labelled images of the test split where there are at least `minimum`, else of all splits.

    Images that the model was trained on flatter its FID, so a held-out split comes first; a small one says less than a mixed one.
    Protocol "emogen" takes all splits, as the public evaluation code does.

    Raises:
        FileNotFoundError: the source was not ingested.
        ValueError: it has no labelled images.
    """
    table = workspace.table("images", source)
    counts = [table.read_part(part, ["label", "split"]).with_columns(part=pl.lit(part)) for part in table.parts()]
    if not counts:
        raise FileNotFoundError(f"table {table.uri} has no parts: ingest the source {source!r} first")
    labelled = pl.concat(counts).filter(pl.col("label").is_not_null())
    if labelled.is_empty():
        raise ValueError(f"source {source!r} has no labelled images: an evaluation needs real images with an emotion each")
    test = labelled.filter(pl.col("split") == "test")
    split, chosen = ("test", test) if test.height >= minimum and protocol == "corrected" else (None, labelled)
    return ReferenceSelection(source=source, split=split, parts=tuple(sorted(set(chosen["part"]))), images=chosen.height)


def reference_part(
    workspace: Workspace, selection: ReferenceSelection, part: str, recipe: EvaluationRecipe, extractors: ExtractorSet
) -> PartOutcome:
    """Compute the features of one part of the real images; nothing is done where they exist."""
    started = time.perf_counter()
    place = _reference_place(selection, part, recipe, extractors)
    if workspace.exists(*place):
        return _outcome(part, ImageFeatures.from_bytes(workspace.read_file(*place)), started, reused=True)
    rows = workspace.table("images", selection.source).read_part(part, ["image_id", "image", "label", "split"])
    wanted = rows.filter(pl.col("label").is_not_null() if selection.split is None else pl.col("split") == selection.split)
    images = [
        LabelledImage(row["image_id"], parse_emotion(row["label"]), row["image"]["bytes"])
        for row in wanted.filter(pl.col("label").is_not_null()).iter_rows(named=True)
    ]
    features = _compute(images, recipe, extractors)
    workspace.write_file(features.to_bytes(), *place)
    return _outcome(part, features, started, reused=False)


def load_reference(
    workspace: Workspace, selection: ReferenceSelection, recipe: EvaluationRecipe, extractors: ExtractorSet
) -> ImageFeatures:
    """Features of all real images. Raises FileNotFoundError when a part has not been computed (`reference_part`)."""
    places = [_reference_place(selection, part, recipe, extractors) for part in selection.parts]
    return concatenate([ImageFeatures.from_bytes(workspace.read_file(*place)) for place in places])


def sample_part(
    workspace: Workspace, run_id: str, method: str, emotion: Emotion, recipe: EvaluationRecipe, extractors: ExtractorSet
) -> tuple[PartOutcome, ImageFeatures]:
    """Features of the samples of one method and emotion, computed or read.

    Raises:
        FileNotFoundError: there are no such samples: generate them first.
    """
    started = time.perf_counter()
    images = _labelled(SampleSet(workspace, run_id, method), emotion)
    place = ("evaluation", recipe.features_id(extractors), "samples", f"{emotion}-{_digest(images)}.safetensors")
    if workspace.exists(*place):
        features = ImageFeatures.from_bytes(workspace.read_file(*place))
        return _outcome(emotion, features, started, reused=True), features
    features = _compute(images, recipe, extractors)
    workspace.write_file(features.to_bytes(), *place)
    return _outcome(emotion, features, started, reused=False), features


def sample_rows(workspace: Workspace, run_id: str, method: str, emotion: Emotion, recipe: EvaluationRecipe, rejected: int) -> list[int]:
    """Which of the emotion's samples each row of their features (`sample_part`) is of; `rejected` of them could not be decoded."""
    samples = SampleSet(workspace, run_id, method)
    order = block_order(samples.count(emotion), recipe.seed)
    if not rejected:
        return [int(row) for row in order]
    images = _labelled(samples, emotion)
    return [int(row) for row in order if is_decodable(images[row].data)]


def sampled_emotions(workspace: Workspace, run_id: str, method: str) -> list[Emotion]:
    """Emotions of which a method has samples, in the order of EMOTIONS. Raises FileNotFoundError when there are none."""
    return SampleSet(workspace, run_id, method).emotions()


def _labelled(samples: SampleSet, emotion: Emotion) -> list[LabelledImage]:
    rows = samples.read(emotion, ["index", "image"])
    return [LabelledImage(str(row["index"]), emotion, row["image"]["bytes"]) for row in rows.iter_rows(named=True)]


def _compute(images: Sequence[LabelledImage], recipe: EvaluationRecipe, extractors: ExtractorSet) -> ImageFeatures:
    return compute_features(images, extractors, seed=recipe.seed, neighbours=recipe.pair_neighbours, batch_size=recipe.batch_size)


def _reference_place(
    selection: ReferenceSelection, part: str, recipe: EvaluationRecipe, extractors: ExtractorSet
) -> tuple[str, str, str, str, str]:
    split = selection.split or "all"
    return "evaluation", recipe.features_id(extractors), "real", f"{selection.source}-{split}", f"{part}.safetensors"


def _outcome(part: str, features: ImageFeatures, started: float, *, reused: bool) -> PartOutcome:
    seconds = time.perf_counter() - started
    return PartOutcome(part=part, rows=len(features.emotions), dropped=int(features.rejected.sum()), reused=reused, seconds=seconds)


def _digest(images: Sequence[LabelledImage]) -> str:
    digest = hashlib.sha256()
    for image in images:
        digest.update(hashlib.sha256(image.data).digest())
    return digest.hexdigest()[:12]
