"""Samples of one method and one emotion as a part of a run."""

import io
import threading
import time
from functools import lru_cache
from typing import Literal, get_args

import polars as pl
from PIL import Image

from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import parse_emotion
from coemogen_core.generation.denoising import image_seeds
from coemogen_core.generation.generator import CoEmoGenGenerator, Generator, PlainDiffusionGenerator
from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.model.base_models import BaseModels
from coemogen_core.recipe import recipe_id
from schemas.outcomes import PartOutcome
from schemas.tables import Samples

Method = Literal["coemogen", "sd"]
"""`coemogen`: the trained model of the run. `sd`: the base model prompted with "an image of {emotion}"."""

_LOADING = threading.Lock()


def samples_run_id(method: Method, count: int, seed: int, recipe: GenerationRecipe, models: BaseModels, model_run_id: str) -> str:
    """Recipe id of a run that holds the samples of one method with these settings; a baseline's does not change with the trained model."""
    return recipe_id("samples", _settings(method, count, seed, recipe, models, model_run_id))


def generate_part(
    workspace: Workspace,
    run_id: str,
    method: Method,
    emotion: str,
    count: int,
    seed: int,
    recipe: GenerationRecipe,
    models: BaseModels,
    model_run_id: str | None = None,
) -> PartOutcome:
    """Generate `count` pictures of one emotion into `runs/<run_id>/samples/<method>/<emotion>.parquet`; image k has seed `seed + k`.

    The first part writes `samples/<method>/recipe.json` beside the parts; later ones must agree with it, so that one folder never mixes
    settings. A run id that hashes them (`samples_run_id`) never meets that error.

    Args:
        workspace: holds the trained model and takes the samples.
        run_id: run that the samples belong to.
        method: coemogen or sd.
        emotion: one of the eight.
        count: how many pictures.
        seed: of the first picture; all methods and emotions start from the same noise for the same seed.
        recipe: denoising settings.
        models: base models.
        model_run_id: run that holds the trained model; None means `run_id` itself.

    Raises:
        ValueError: unknown method or emotion, or samples of other settings lie in that folder.
        FileNotFoundError: method coemogen, but no trained model in that run.
    """
    started = time.perf_counter()
    emotion = parse_emotion(emotion)
    if method not in get_args(Method):
        raise ValueError(f"unknown method {method!r}; expected {' or '.join(get_args(Method))}")
    samples = workspace.table("runs", run_id, "samples", method)
    settings = _settings(method, count, seed, recipe, models, model_run_id or run_id)
    _agree_on_settings(workspace, run_id, method, settings)
    reused = samples.has_part(emotion)
    if not reused:
        generator = _generator(method, models, workspace.path("runs", model_run_id or run_id, "model"), recipe)
        workspace.write_json(settings, "runs", run_id, "samples", method, "recipe.json")
        samples.write_part(emotion, _rows(generator, emotion, image_seeds(seed, count), recipe.batch_size), Samples)
    return PartOutcome(part=emotion, rows=samples.count([emotion]), reused=reused, seconds=time.perf_counter() - started)


def _rows(generator: Generator, emotion: str, seeds: list[int], batch_size: int) -> pl.DataFrame:
    """Sample rows; pictures become PNG batch by batch, so that only compressed ones pile up."""
    images: list[dict[str, object]] = []
    for start in range(0, len(seeds), batch_size):
        for picture in generator.generate(emotion, seeds[start : start + batch_size]):
            images.append({"bytes": _png(picture), "path": f"{emotion}-{len(images):05d}.png"})
    image_type = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    return pl.DataFrame(
        {
            "emotion": [emotion] * len(seeds),
            "index": pl.Series(range(len(seeds)), dtype=pl.Int32),
            "seed": pl.Series(seeds, dtype=pl.Int64),
            "image": pl.Series(images, dtype=image_type),
        }
    )


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _settings(method: str, count: int, seed: int, recipe: GenerationRecipe, models: BaseModels, model_run_id: str) -> dict[str, object]:
    trained = {"model": model_run_id} if method == "coemogen" else {}
    return {"method": method, "count": count, "seed": seed, "recipe": recipe.identity, "models": models.identity, **trained}


def _agree_on_settings(workspace: Workspace, run_id: str, method: str, settings: dict[str, object]) -> None:
    place = ("runs", run_id, "samples", method, "recipe.json")
    if not workspace.exists(*place):
        return
    found = workspace.read_json(*place)
    if found != settings:
        differing = sorted(key for key in found.keys() | settings.keys() if found.get(key) != settings.get(key))
        raise ValueError(
            f"{workspace.path(*place)} describes samples of other settings ({', '.join(differing)} differ): "
            "give these samples another run id, or remove that folder"
        )


def _generator(method: str, models: BaseModels, folder: str, recipe: GenerationRecipe) -> Generator:
    with _LOADING:
        return _load_generator(method, models, folder if method == "coemogen" else "", recipe)


@lru_cache(maxsize=2)
def _load_generator(method: str, models: BaseModels, folder: str, recipe: GenerationRecipe) -> Generator:
    if method == "coemogen":
        return CoEmoGenGenerator(models, folder, recipe)
    return PlainDiffusionGenerator(models, recipe)
