"""A part of the samples of a method: at most a hundred pictures of one emotion."""

import io
import threading
import time
from contextlib import nullcontext

import polars as pl
from PIL import Image

from coemogen_core.device import Slot
from coemogen_core.generation.denoising import batches, image_seeds
from coemogen_core.methods.generator import Generator
from coemogen_core.methods.sample_plan import SamplePlan, settings_place
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Samples

LOADED_AT_ONCE = 2
_LOADING = threading.Lock()
_loaded: dict[str, Generator] = {}


def generate_part(workspace: Workspace, plan: SamplePlan, part: str, *, slot: Slot = nullcontext) -> PartOutcome:
    """Generate the pictures of one part into `runs/<plan.run_id>/samples/<method>/<part>.parquet`, with the plan's settings beside them.

    Args:
        workspace: holds the trained model and takes the samples.
        plan: what is to be made.
        part: one of `plan.parts()`.
        slot: entered to load the generator and to draw.

    Raises:
        ValueError: no such part.
        FileNotFoundError: the method's model is not trained.
    """
    started = time.perf_counter()
    emotion, numbers = plan.pictures(part)
    samples = workspace.table("runs", plan.run_id, "samples", plan.method.name)
    reused = samples.has_part(part)
    if not reused:
        with slot():
            reused = samples.has_part(part)  # by another run, while this one waited
            rows = None if reused else _rows(_generator(workspace, plan), emotion, numbers, plan)
        if rows is not None:
            workspace.write_json(plan.settings, *settings_place(plan.run_id, plan.method.name))
            samples.write_part(part, rows, Samples)
    return PartOutcome(part=part, rows=len(numbers), reused=reused, seconds=time.perf_counter() - started)


def _rows(generator: Generator, emotion: str, numbers: range, plan: SamplePlan) -> pl.DataFrame:
    """Sample rows; pictures become PNG batch by batch, so that only compressed ones pile up."""
    seeds = image_seeds(plan.seed + numbers.start, len(numbers))
    images: list[dict[str, object]] = []
    for wanted in batches(seeds, plan.recipe.batch_size):
        pictures = generator.generate(emotion, wanted)
        if len(pictures) != len(wanted):
            raise ValueError(f"{type(generator).__name__} made {len(pictures)} pictures for {len(wanted)} seeds: it must make one for each")
        images += [{"bytes": _png(each), "path": f"{emotion}-{numbers[len(images) + k]:05d}.png"} for k, each in enumerate(pictures)]
    image_type = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    return pl.DataFrame(
        {
            "emotion": [emotion] * len(seeds),
            "index": pl.Series(numbers, dtype=pl.Int32),
            "seed": pl.Series(seeds, dtype=pl.Int64),
            "image": pl.Series(images, dtype=image_type),
        }
    )


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _generator(workspace: Workspace, plan: SamplePlan) -> Generator:
    """The plan's generator, loaded once for all of its parts; the last two stay in memory."""
    folder = "" if plan.model_run_id is None else workspace.path("runs", plan.model_run_id, "model")
    fields = {name: value for name, value in plan.settings.items() if name not in ("count", "seed")}
    key = recipe_id("generator", {**fields, "folder": folder, "how": plan.recipe.model_dump(mode="json")})
    with _LOADING:
        if key not in _loaded:
            while len(_loaded) >= LOADED_AT_ONCE:
                del _loaded[next(iter(_loaded))]
            _loaded[key] = plan.method.load(plan.models, plan.recipe, folder)
        return _loaded[key]
