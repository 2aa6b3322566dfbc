"""The lab's drawn photos with true captions: as a list of files for a plain loop, and as a curated corpus in a workspace for ours."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.scenes.captions import caption_of
from coemogen_core.lab.scenes.scene import render, sample_scene
from coemogen_core.model.base_models import BaseModels
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.features import FeatureRecipe, cache_features_part
from schemas.tables import Decisions, Images

DATASET, SOURCE, VERSION, PART = "emoset", "photos", "v1", "part-00000"
LAB_MODELS = BaseModels(diffusion="lab:diffusion", clip="lab:clip")
RESOLUTION = 64


@dataclass(frozen=True)
class DrawnPhoto:
    """One JPEG file with what belongs to it."""

    data: bytes
    emotion: str
    caption: str


def draw_photos(count: int, seed: int = 0) -> list[DrawnPhoto]:
    """`count` photos of 64 x 64 pixels, the emotions in turn."""
    rng = np.random.default_rng(seed)
    return [_draw(rng, index) for index in range(count)]


def cache_features(workspace: Workspace, photos: list[DrawnPhoto]) -> FeatureSet:
    """Put the photos into a workspace as a curated corpus and cache their features, as train-and-eval does."""
    rows = [{"image_id": hashlib.sha256(photo.data).hexdigest(), **_picture(photo)} for photo in photos]
    decided = [
        {"image_id": row["image_id"], "kept": True, "reason": "kept", "label": photo.emotion, "caption": photo.caption}
        for row, photo in zip(rows, photos, strict=True)
    ]
    workspace.table("images", SOURCE).write_part(PART, pl.DataFrame(rows, schema=Images.create_empty().schema), Images)
    decisions = pl.DataFrame(decided, schema=Decisions.create_empty().schema)
    workspace.table("decisions", DATASET, VERSION).write_part(PART, decisions, Decisions)
    recipe = FeatureRecipe(models=LAB_MODELS, resolution=RESOLUTION, device="cpu")
    cache_features_part(workspace, DATASET, VERSION, SOURCE, PART, recipe)
    return FeatureSet.open(workspace, DATASET, recipe.feature_id(VERSION))


def _draw(rng: np.random.Generator, index: int) -> DrawnPhoto:
    emotion = EMOTIONS[index % len(EMOTIONS)]
    scene = sample_scene(rng, emotion)
    buffer = io.BytesIO()
    render(scene).save(buffer, "JPEG", quality=95)
    return DrawnPhoto(buffer.getvalue(), emotion, caption_of(scene, index))


def _picture(photo: DrawnPhoto) -> dict[str, Any]:
    image = {"bytes": photo.data, "path": f"{photo.emotion}.jpg"}
    return {"image": image, "width": RESOLUTION, "height": RESOLUTION, "label": photo.emotion}
