"""Fields that are no part of an id change no byte of what the recipe makes: each of them is tried, with the models of the lab."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coemogen_core.captioning.backend import CaptionRequest, Chunk
from coemogen_core.captioning.local_backend import LocalBackend
from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from coemogen_core.encoders.compute_settings import ComputeSettings
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.evaluation.features import LabelledImage, compute_features
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.evaluation.reference import ReferenceSelection, load_reference, reference_part
from coemogen_core.methods.prompted import LlmPrompts, PromptFile, write_prompt_file
from coemogen_core.methods.sample_sheets import PipelineSheets
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.recipe import NotIdentifying, Recipe
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.features import FeatureRecipe, cache_features_part
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train
from schemas.tables import Decisions
from tests.coemogen_core.curation.small_tables import decisions_frame, labelled_photos, write_images
from tests.test_recipes import CLASSES

PART = "part-00000-aaaaaaaa"
LAB = BaseModels(diffusion="lab:diffusion", clip="lab:clip")
FEATURES = FeatureRecipe(models=LAB, resolution=64, device="cpu")
TRAINING = TrainingRecipe(steps=4, batch_size=2, log_every=2, checkpoint_every=4, warmup_steps=1, device="cpu")
DRAWN = GenerationRecipe(num_inference_steps=1)


def _tables(folder: Path) -> Workspace:
    """Photos, all of them kept."""
    workspace = Workspace(str(folder))
    photos = write_images(workspace, "photos", PART, labelled_photos(2))
    rows = [
        {
            "image_id": image_id,
            "kept": True,
            "reason": "kept",
            "label": label,
            "confidence": None,
            "caption": f"a {label}",
            "similarity": 0.2,
        }
        for image_id, label in photos.select("image_id", "label").iter_rows()
    ]
    for dataset, version in (("emoset", "v1"), ("emoset", "v2"), ("twin", "v1")):
        workspace.table("decisions", dataset, version).write_part(PART, decisions_frame(rows), Decisions)
    return workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The same, with features."""
    found = _tables(tmp_path_factory.mktemp("workspace"))
    cache_features_part(found, "emoset", "v1", "photos", PART, FEATURES)
    return found


def embedded(folder: Path, _workspace: Workspace, **changed: Any) -> bytes:
    recipe = EncoderRecipe(model="lab:clip", device="cpu").model_copy(update=changed)
    tables = _tables(folder)
    embed_part(tables, "photos", PART, recipe)
    return tables.read_file("embeddings", "photos", recipe.encoder_id, f"{PART}.parquet")


def cached(folder: Path, _workspace: Workspace, **changed: Any) -> bytes:
    tables, recipe = _tables(folder), FEATURES.model_copy(update=changed)
    cache_features_part(tables, "emoset", "v1", "photos", PART, recipe)
    return tables.read_file("features", "emoset", recipe.feature_id("v1"), f"{PART}.safetensors")


def measured(_folder: Path, workspace: Workspace, **changed: Any) -> bytes:
    recipe = EvaluationRecipe(device="cpu", lpips_neighbours=1).model_copy(update=changed)
    rows = workspace.table("images", "photos").read_part(PART, ["image_id", "image", "label"]).iter_rows(named=True)
    block = [LabelledImage(row["image_id"], "awe", row["image"]["bytes"]) for row in rows]
    return compute_features(block, load_extractors(recipe), recipe).to_bytes()


def referenced(_folder: Path, workspace: Workspace, **changed: Any) -> bytes:
    """The real pictures of decisions that agree."""
    recipe = EvaluationRecipe(device="cpu", lpips_neighbours=1)
    given = {"source": "photos", "dataset": "emoset", "version": "v1", "split": None, "parts": (PART,), "images": 16, "rows": "0"}
    selection = ReferenceSelection(**{**given, **changed})
    extractors = load_extractors(recipe)
    reference_part(workspace, selection, PART, recipe, extractors)
    return load_reference(workspace, selection, recipe, extractors).to_bytes()


def trained(_folder: Path, workspace: Workspace, **changed: Any) -> bytes:
    """All files of the model."""
    recipe, run = TRAINING.model_copy(update=changed), f"run-{'-'.join(changed) or 'plain'}"
    train(workspace, "emoset", FEATURES.feature_id("v1"), LAB, recipe, run_id=run, sheets=PipelineSheets)
    return b"".join(workspace.read_file("runs", run, "model", name) for name in sorted(workspace.list_files("runs", run, "model")))


def prompted(folder: Path, _workspace: Workspace, **changed: Any) -> bytes:
    """The prompts that a diffusion model gets."""
    write_prompt_file(
        PromptFile(**{"model": "m", "request": "r", "prompts": dict.fromkeys(EMOTIONS, ("a", "b")), **changed}), folder / "prompts.toml"
    )
    return repr(LlmPrompts("llm", str(folder / "prompts.toml")).prompts.prompts).encode()


Make = Callable[..., bytes]
TRIED: dict[tuple[type[Recipe], str], tuple[Make, dict[str, Any]]] = {
    (ComputeSettings, "batch_size"): (embedded, {"batch_size": 3}),
    (FeatureRecipe, "batch_size"): (cached, {"batch_size": 3}),
    (EvaluationRecipe, "batch_size"): (measured, {"batch_size": 3}),
    (ReferenceSelection, "dataset"): (referenced, {"dataset": "twin"}),
    (ReferenceSelection, "version"): (referenced, {"version": "v2"}),
    (OptimisationRecipe, "checkpoint_every"): (trained, {"checkpoint_every": 1}),
    (OptimisationRecipe, "keep_checkpoints"): (trained, {"keep_checkpoints": 1}),
    (OptimisationRecipe, "keep_best"): (trained, {"keep_best": 0}),
    (OptimisationRecipe, "log_every"): (trained, {"log_every": 1}),
    (OptimisationRecipe, "explosion_factor"): (trained, {"explosion_factor": None}),
    (OptimisationRecipe, "gradient_checkpointing"): (trained, {"gradient_checkpointing": True}),
    (TrainingRecipe, "sample_every"): (trained, {"sample_every": 3, "sampling": DRAWN, "samples_per_emotion": 1}),
    (TrainingRecipe, "samples_per_emotion"): (trained, {"samples_per_emotion": 2, "sampling": DRAWN, "sample_every": 3}),
    (TrainingRecipe, "sampling"): (trained, {"sampling": DRAWN.model_copy(update={"num_inference_steps": 2}), "sample_every": 3}),
    (PromptFile, "model"): (prompted, {"model": "other"}),
    (PromptFile, "request"): (prompted, {"request": "other"}),
    (PromptFile, "written"): (prompted, {"written": "2026-01-01"}),
}
"""By field, what makes something with the recipe, and the change."""
DEVICES = {(kind, "device") for kind in (ComputeSettings, EvaluationRecipe, FeatureRecipe, GenerationRecipe, OptimisationRecipe)}
"""Another device rounds otherwise; that its rows count as the same is a choice (docs/architecture.md)."""


def test_every_field_that_does_not_identify_is_tried() -> None:
    def first_with(kind: type[Recipe], name: str) -> type[Recipe]:
        return next(each for each in reversed(kind.__mro__) if name in getattr(each, "model_fields", {}))

    marked = {
        (first_with(kind, name), name) for kind in CLASSES for name, field in kind.model_fields.items() if NotIdentifying in field.metadata
    }
    assert marked == set(TRIED) | DEVICES


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory, workspace: Workspace) -> Callable[[Make], bytes]:
    """What is made without a change, once."""
    made: dict[str, bytes] = {}

    def of(make: Make) -> bytes:
        if make.__name__ not in made:
            made[make.__name__] = make(tmp_path_factory.mktemp(make.__name__), workspace)
        return made[make.__name__]

    return of


@pytest.mark.parametrize(("kind", "name"), list(TRIED), ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_a_field_that_does_not_identify_changes_no_byte(
    kind: type[Recipe], name: str, tmp_path: Path, workspace: Workspace, unchanged: Callable[[Make], bytes]
) -> None:
    make, change = TRIED[kind, name]
    assert make(tmp_path, workspace, **change) == unchanged(make)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_batch_size_of_a_local_captioner_changes_no_caption(workspace: Workspace, temperature: float) -> None:
    pictures = workspace.table("images", "photos").read_part(PART, ["image"])["image"].struct.field("bytes")
    requests = [CaptionRequest(str(row), data, "", "Describe the picture.", seed=row) for row, data in enumerate(pictures)]
    recipe = CaptionRecipe(model="lab:captioner", max_new_tokens=24, temperature=temperature)

    def answers(batch_size: int) -> list[str | None]:
        backend = LocalBackend(recipe, LocalSettings(batch_size=batch_size, device="cpu"))
        return [answer.text for _, done in backend.answer([Chunk(0, list(requests))], lambda _: None) for answer in done]

    assert answers(3) == answers(16)
