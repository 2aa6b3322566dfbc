"""Generated pictures as files: a PNG that says in a text chunk what made it, and a folder of them that is filled picture by picture.

The record is enough to make the picture again, and holds nothing of the machine it was made on. The folder's files are
`<emotion>/<emotion>-00000.png`; it is filled further after any interruption.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from pydantic import Field, ValidationError

from coemogen_core.data.thumbnail import draw_sheet
from coemogen_core.device import library_versions
from coemogen_core.emotions import EMOTIONS
from coemogen_core.generation.denoising import batches
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.gates import emotion_weights
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.model_source import fingerprint
from coemogen_core.storage.tensor_files import tensors_hash
from coemogen_core.storage.whole_file import write_atomically
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel

FORMAT = 1
CHUNK = "coemogen"  # keyword of the iTXt chunk
DRAWING = ("python", "coemogen", "torch", "diffusers", "transformers", "numpy")  # what else could round differently
SETTINGS = ".coemogen.json"  # hidden: a reader of picture folders passes it by
SHEET_COLUMNS, SHEET_SIDE = 8, 128


class ModelIdentity(FrozenModel):
    """Which model drew a picture, wherever it lies."""

    base: str = Field(description="fingerprint of the diffusion model")
    weights: str = Field(description="SHA-256 over HiLoRA, conditioner and emotion clusters, the first 16 hex digits")


class PictureRecord(FrozenModel):
    """Everything that decides what a picture became."""

    format: int = Field(default=FORMAT, description="version of this record")
    emotion: dict[str, float] = Field(min_length=1, description="weights of the emotions, as they were asked for")
    seed: int = Field(description="of this picture")
    recipe: GenerationRecipe = Field(description="denoising settings; batch size and device are left out")
    model: ModelIdentity = Field(description="base model and trained weights")
    versions: dict[str, str] = Field(description="Python and libraries; others may round differently")

    def to_json(self) -> str:
        """One line, the same for the same record."""
        return json.dumps({**self.model_dump(mode="json"), "recipe": self.recipe.identity}, sort_keys=True, ensure_ascii=False)


def identify(pipeline: EmotionPipeline) -> ModelIdentity:
    """Identity of the model in a pipeline; a base made in memory is named by what the weights were trained on."""
    place = pipeline.base.name_or_path
    base = fingerprint(place) if place and Path(place).is_dir() else pipeline.trained.base_models["diffusion"]
    conditioner = {f"conditioner.{name}": tensor.float().contiguous() for name, tensor in pipeline.conditioner.state_dict().items()}
    clusters = {f"mean.{name}": mean for name, mean in pipeline.clusters.means.items()}
    clusters |= {f"spread.{name}": spread for name, spread in pipeline.clusters.spreads.items()}
    weights = tensors_hash({**pipeline.hilora.state_dict(), **conditioner, **clusters})
    return ModelIdentity(base=base, weights=weights[:16])


def new_record(emotion: dict[str, float], seed: int, recipe: GenerationRecipe, model: ModelIdentity) -> PictureRecord:
    """The record of a picture that is made here and now."""
    versions = {name: number for name, number in library_versions().items() if name in DRAWING}
    return PictureRecord(emotion=emotion, seed=seed, recipe=recipe, model=model, versions=versions)


def png_with_record(picture: Image.Image, record: PictureRecord) -> bytes:
    """The picture as a PNG that carries its record; the same picture and record give the same bytes."""
    about, buffer = PngInfo(), io.BytesIO()
    about.add_itxt(CHUNK, record.to_json())
    picture.convert("RGB").save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def record_of(file: Path) -> PictureRecord:
    """The record of a PNG.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no picture, carries no record, or one of a later version.
    """
    try:
        with Image.open(file) as picture:
            text = getattr(picture, "text", {}).get(CHUNK)
    except UnidentifiedImageError:
        raise ValueError(f"{file} is no picture") from None
    if text is None:
        raise ValueError(f"{file} carries no coemogen record: it was not made by `coemogen generate`, or a program removed its texts")
    try:
        return PictureRecord.model_validate_json(str(text))
    except ValidationError as error:
        raise ValueError(
            f"{file} carries a record that this version cannot read ({error.error_count()} problems): update coemogen"
        ) from None


@dataclass(frozen=True)
class Filled:
    """What is in the folder now."""

    made: int
    found: int
    sheet: str  # URI of the contact sheet


def series_name(weights: dict[str, float]) -> str:
    """Name of a series: `awe`, or `awe-0.6-fear-0.4` (weights divided by their sum, in the emotions' order)."""
    shares = {emotion: share for emotion, share in zip(EMOTIONS, emotion_weights(weights).tolist(), strict=True) if share}
    return next(iter(shares)) if len(shares) == 1 else "-".join(f"{emotion}-{share:.4g}" for emotion, share in shares.items())


def fill_folder(
    pipeline: EmotionPipeline,
    folder: str,
    queries: Sequence[dict[str, float]],
    count: int,
    seed: int,
    recipe: GenerationRecipe,
    on_pictures: Callable[[str, int], None] = lambda *_: None,
) -> Filled:
    """Make what is missing; picture k of every series has seed `seed + k`, whatever emotion.

    Batches start at multiples of the batch size and are made as a whole, so that a run that was killed ends with the same bytes as one that
    was not. The contact sheet lies beside the folder, because whatever lies in it counts as a picture.

    Args:
        pipeline: draws.
        folder: folder or URI; takes a subfolder per series and a hidden file with the settings.
        queries: an emotion or a fusion each.
        count: pictures of each.
        seed: of the first picture of each.
        recipe: denoising settings.
        on_pictures: is told the series and how many more of its pictures are there now.

    Raises:
        ValueError: the folder holds pictures of other settings; the message names what differs. Or a query that the model cannot serve.
        OSError: the folder cannot be written to.
    """
    place, model = Workspace(folder), identify(pipeline)
    for query in queries:
        pipeline.check(query, recipe)  # before there is a folder with settings that lead nowhere
    settings = {"seed": seed, "recipe": recipe.identity, "model": model.model_dump()}
    _agree_on_settings(place, settings, [series_name(query) for query in queries])
    made = 0
    for query in queries:
        name = series_name(query)
        there = set(place.list_files(name))
        on_pictures(name, sum(_file(name, index) in there for index in range(count)))
        for indices in batches(range(count), recipe.batch_size):
            missing = [index for index in indices if _file(name, index) not in there]
            if not missing:
                continue
            pictures = pipeline.generate(query, [seed + index for index in indices], recipe)
            for index in missing:
                record = new_record(query, seed + index, recipe, model)
                place.write_file(png_with_record(pictures[index - indices[0]], record), name, _file(name, index))
            made += len(missing)
            on_pictures(name, len(missing))
    return Filled(made, len(queries) * count - made, _write_sheet(place, queries, count))


def _file(name: str, index: int) -> str:
    return f"{name}-{index:05d}.png"


def _agree_on_settings(place: Workspace, settings: dict[str, Any], names: Sequence[str]) -> None:
    if not place.exists(SETTINGS):
        if foreign := [name for name in names if place.list_files(name)]:
            raise ValueError(f"{place.path(foreign[0])} holds files of unknown origin ({SETTINGS} is missing): give another folder")
        place.write_json(settings, SETTINGS)
        return
    found, wanted = (_flat(each) for each in (place.read_json(SETTINGS), settings))
    differing = [
        f"{key} {found.get(key)!r} there, {wanted.get(key)!r} now"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]
    if differing:
        raise ValueError(f"{place.uri} holds pictures of other settings ({'; '.join(differing)}): give another folder, or remove it")


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in settings.items():
        fields |= {f"{key}.{name}": inner for name, inner in _flat(value).items()} if isinstance(value, dict) else {key: value}
    return fields


def _write_sheet(place: Workspace, queries: Sequence[dict[str, float]], count: int) -> str:
    columns, names = min(count, SHEET_COLUMNS), [series_name(query) for query in queries]
    rows = {name: [Image.open(io.BytesIO(place.read_file(name, _file(name, index)))) for index in range(columns)] for name in names}
    uri = f"{place.uri.rstrip('/')}.contact-sheet.png"
    write_atomically(uri, draw_sheet({"": rows}, names, columns, SHEET_SIDE))
    return uri
