"""A small evaluated run for tests of the report: photos with cached features, and samples of three methods, one of them a copied photo."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
import polars as pl
from PIL import Image, ImageOps
from safetensors.numpy import save

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.extractors import ExtractorSet, decode_rgb
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.reference import ReferenceSelection, reference_part, select_reference
from coemogen_core.evaluation.run_files import evaluate_real_images, evaluate_samples
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import Metrics
from schemas.tables import Images, Samples

RECIPE = EvaluationRecipe(resamples=40)
RUNS = {"coemogen": "run", "sd": "run", "a-third-method": "run"}
COPIED = (2, 1)
"""Emotion and number of the sample of the first method that is a training photo."""
MIRRORED = (5, 2)
"""The same of one that is a training photo's mirror image."""


def mirror_image(data: bytes) -> bytes:
    """The mirror image of an encoded picture."""
    buffer = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(data))).save(buffer, "PNG")
    return buffer.getvalue()


def reference_of(workspace: Workspace) -> ReferenceSelection:
    return select_reference(workspace, "photos", RECIPE.minimum_reference, RECIPE.protocol)


def evaluated_run(workspace: Workspace, extractors: ExtractorSet, png: Callable[..., bytes], per_emotion: int = 6) -> Metrics:
    """Fill the workspace; returns the numbers."""
    photos = [[png(index, 500 + k) for k in range(12)] for index in range(8)]
    _write_photos(workspace, photos, extractors)
    for number, method in enumerate(RUNS):
        for index, emotion in enumerate(EMOTIONS):
            shift = 3 if method == "sd" else 0  # its pictures look like another emotion
            pictures = [png((index + shift) % 8, 100 * number + k) for k in range(per_emotion)]
            if method == "coemogen" and index == COPIED[0]:
                pictures[COPIED[1]] = photos[index][4]
            if method == "coemogen" and index == MIRRORED[0]:
                pictures[MIRRORED[1]] = mirror_image(photos[index][7])
            rows = [
                {"emotion": emotion, "index": k, "seed": k, "image": {"bytes": data, "path": "x.png"}} for k, data in enumerate(pictures)
            ]
            workspace.table("runs", "run", "samples", method).write_part(emotion, pl.DataFrame(rows), Samples)
    workspace.write_json({"method": "coemogen", "model": "train-a"}, "runs", "run", "samples", "coemogen.recipe.json")
    workspace.write_json({"training": {"dataset": "emoset", "features": "features-x.v1.all"}}, "runs", "train-a", "model", "config.json")
    selection = reference_of(workspace)
    for part in selection.parts:
        reference_part(workspace, selection, part, RECIPE, extractors)
    measured = {method: evaluate_samples(workspace, run, method, selection, RECIPE, extractors).metrics for method, run in RUNS.items()}
    real = evaluate_real_images(workspace, selection, RECIPE, extractors)
    return Metrics(run_id="run", protocol="corrected", seed=0, confidence_level=0.95, methods=measured, reference=real)


def _write_photos(workspace: Workspace, photos: list[list[bytes]], extractors: ExtractorSet) -> None:
    nothing = dict.fromkeys(("split", "artist", "style", "genre", "licence", "attributes"))
    for part, emotions in (("part-00000", range(4)), ("part-00001", range(4, 8))):
        rows = [
            {"image_id": hashlib.sha256(data).hexdigest(), "image": {"bytes": data, "path": "x.png"}, "width": 64, "height": 64}
            | nothing
            | {"label": EMOTIONS[index]}
            for index in emotions
            for data in photos[index]
        ]
        workspace.table("images", "photos").write_part(part, pl.DataFrame(rows), Images)
        vectors = extractors.clip.embeddings([decode_rgb(row["image"]["bytes"]) for row in rows])
        mirrored = extractors.clip.embeddings([decode_rgb(row["image"]["bytes"])[:, ::-1] for row in rows])
        ids = np.array([list(bytes.fromhex(row["image_id"])) for row in rows], dtype=np.uint8)
        features = {"image_id": ids, "visual": np.stack([vectors, mirrored], axis=1).astype(np.float16)}
        workspace.write_file(save(features), "features", "emoset", "features-x.v1.all", f"{part}.safetensors")
    empty = {"image_id": np.empty((0, 32), np.uint8), "visual": np.empty((0, 2, vectors.shape[1]), np.float16)}
    workspace.write_file(save(empty), "features", "emoset", "features-x.v1.all", "part-00002.safetensors")
