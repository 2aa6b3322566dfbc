"""A small curated corpus in a workspace, and its cached features."""

import hashlib
import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.features import FeatureRecipe, cache_features_part
from schemas.tables import Decisions, Images
from tests.coemogen_core.curation.small_tables import decisions_frame

PARTS = ("part-00000-aaaaaaaa", "part-00001-bbbbbbbb")


@pytest.fixture(scope="session")
def feature_recipe(models) -> FeatureRecipe:
    return FeatureRecipe(models=models, resolution=64, batch_size=5, device="cpu")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory, feature_recipe) -> Workspace:
    """Two parts of ten pictures; every fifth was dropped by curation."""
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    rng = np.random.default_rng(0)
    for offset, part in enumerate(PARTS):
        images = [_image_row(rng, EMOTIONS[(index * 3 + offset) % 8], "test" if index == 7 else "train") for index in range(10)]
        decisions = [_decision(row, index) for index, row in enumerate(images)]
        workspace.table("images", "photos").write_part(part, pl.DataFrame(images, infer_schema_length=None), Images)
        workspace.table("decisions", "emoset", "v1").write_part(part, decisions_frame(decisions), Decisions)
    return workspace


@pytest.fixture(scope="session")
def cached(corpus, feature_recipe) -> str:
    """The feature id of the cached corpus."""
    for part in PARTS:
        cache_features_part(corpus, "emoset", "v1", "photos", part, feature_recipe)
    return feature_recipe.feature_id("v1")


@pytest.fixture(scope="session")
def features(corpus, cached) -> FeatureSet:
    return FeatureSet.open(corpus, "emoset", cached)


def _image_row(rng: np.random.Generator, emotion: str, split: str) -> dict:
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)).resize((90, 70)).save(buffer, "PNG")
    data = buffer.getvalue()
    columns = dict.fromkeys(("artist", "style", "genre", "licence", "attributes"))
    image = {"bytes": data, "path": "picture.png"}
    return {
        "image_id": hashlib.sha256(data).hexdigest(),
        "image": image,
        "width": 90,
        "height": 70,
        "label": emotion,
        "split": split,
        **columns,
    }


def _decision(row: dict, index: int) -> dict:
    kept = index % 5 != 4
    return {
        "image_id": row["image_id"],
        "kept": kept,
        "reason": "kept" if kept else "low alignment",
        "label": row["label"],
        "confidence": None,
        "caption": f"a photo of {index} dogs" if kept else None,
        "similarity": 0.2,
    }
