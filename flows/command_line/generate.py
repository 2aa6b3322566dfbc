"""What `coemogen generate` does: pictures of a trained model into a folder. Wraps `coemogen_core.generation.picture_folder`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from transformers.utils import logging as transformers_logging

from coemogen_core.emotions import EMOTIONS
from coemogen_core.generation.picture_folder import fill_folder, identify, new_record, png_with_record, record_of, series_name
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.whole_file import write_atomically
from coemogen_core.storage.workspace import Workspace
from flows.command_line.front import errors
from flows.command_line.options import ALL, parse_query, say_left_out
from flows.command_line.trained_models import choose_run
from flows.train_params import TrainAndEvalParams

MOST_PICTURES = 100_000  # of an emotion in one folder: their names have five digits
LARGEST_SEED = 2**62  # so that seed + count fits the generators' 64 bits


def open_pipeline(params: TrainAndEvalParams, run_id: str | None, dataset: str | None, folder: Path | None) -> EmotionPipeline:
    """The model on its device: a saved pipeline in a folder, or a run of the workspace (`choose_run`) over its base models.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: there are several runs, and none is named.
    """
    diffusers_logging.disable_progress_bar()  # the bars of loading would stand between our own
    transformers_logging.disable_progress_bar()
    if folder is not None:
        return EmotionPipeline.from_pretrained(folder, device=params.generation.device)
    model = Workspace(params.workspace).path("runs", choose_run(params.workspace, run_id, dataset), "model")
    return EmotionPipeline.from_run(params.models, model, params.generation.device)


def draw(opened: Callable[[], EmotionPipeline], emotion: str, out: str, count: int, seed: int, recipe: GenerationRecipe) -> None:
    """Fill a folder with pictures of an emotion, a fusion, or all emotions that the model knows, and print where they are.

    Raises:
        ValueError: an emotion that does not exist or that the training corpus lacked; a size that the model cannot draw; a folder of other
            settings.
        OSError: the folder cannot be written to.
    """
    if not 1 <= count <= MOST_PICTURES:
        raise ValueError(f"--count {count}: give 1 to {MOST_PICTURES}")
    if not 0 <= seed < LARGEST_SEED:
        raise ValueError(f"--seed {seed}: give 0 to {LARGEST_SEED - 1}")
    wanted = None if emotion == ALL else parse_query(emotion)  # a wrong name is said before a model is loaded
    pipeline = opened()
    trained: list[str] = [each for each in EMOTIONS if each in pipeline.clusters.means]
    queries = [wanted] if wanted is not None else [{each: 1.0} for each in trained]
    with _progress([series_name(query) for query in queries], count) as (bars, tasks):
        filled = fill_folder(pipeline, out, queries, count, seed, recipe, lambda name, number: bars.update(tasks[name], advance=number))
    print(f"{out}: {filled.made} pictures made, {filled.found} there already; contact sheet {filled.sheet}")
    if emotion == ALL:
        say_left_out(trained)


def draw_again(opened: Callable[[], EmotionPipeline], picture: Path, out: str, device: str) -> None:
    """Make a picture again from what it says of itself, as OUT/<its name>; says whether the pixels are the same.

    Raises:
        FileNotFoundError: no such picture or model.
        ValueError: the picture carries no record, or another model drew it.
    """
    record = record_of(picture)
    pipeline = opened()
    model = identify(pipeline)
    if model != record.model:
        raise ValueError(f"{picture} was drawn by another model ({record.model.model_dump()}) than this one ({model.model_dump()})")
    drawn = pipeline.generate(record.emotion, [record.seed], record.recipe.model_copy(update={"batch_size": 1, "device": device}))[0]
    target = Workspace(out).path(picture.name)
    if Path(target).resolve() == picture.resolve():
        raise ValueError(f"{target} is the picture itself: give another folder")
    write_atomically(target, png_with_record(drawn, new_record(record.emotion, record.seed, record.recipe, model)))
    print(f"{target}: {_compared(picture, drawn)}")


def _compared(picture: Path, drawn: Image.Image) -> str:
    with Image.open(picture) as there:
        before = np.asarray(there.convert("RGB"), dtype=int)
    after = np.asarray(drawn, dtype=int)
    if before.shape != after.shape:
        return "of another size than the picture it comes from"
    most = int(np.abs(before - after).max())
    return "the same pixels" if most == 0 else f"the same up to {most} of 255 levels"


@contextmanager
def _progress(names: list[str], count: int) -> Iterator[tuple[Progress, dict[str, TaskID]]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=not errors.is_terminal) as bars:
        yield bars, {name: bars.add_task(name, total=count) for name in names}
