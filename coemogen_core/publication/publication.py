"""Publication: the kept pictures of a curated dataset as a folder that others can open, check and rebuild.

`curated/<dataset>/<version>/` holds a dataset card (README.md, with the YAML header that Hugging Face reads) and, written last,
manifest.json; its Parquet parts lie in `train/`, alone, for many readers open a folder whole or not at all. The same decisions give the
same bytes in every file.
"""

import hashlib
import io
import time
from pathlib import Path

import polars as pl
from huggingface_hub import DatasetCardData
from jinja2 import Environment, StrictUndefined
from PIL import Image
from pydantic import Field

from coemogen_core.captioning.current_captions import admitted_chunks
from coemogen_core.curation.decisions import DecisionsRecord, read_record
from coemogen_core.curation.funnel import FUNNEL_COLUMNS, funnel
from coemogen_core.data.decode import FORMATS
from coemogen_core.data.picture_metadata import without_odd_metadata
from coemogen_core.emotions import EMOTIONS
from coemogen_core.markdown import table_cell
from coemogen_core.storage.location import open_file
from coemogen_core.storage.workspace import Table, Workspace
from schemas.frozen_model import FrozenModel
from schemas.outcomes import PartOutcome
from schemas.tables import Curated

ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}
ROWS_AT_ONCE = 64
DATA = "train"  # `datasets` before 2.13.1 finds the split by the name of the folder, else it takes the card and the manifest for data
MANIFEST = "manifest.json"
CARD = "README.md"
TEMPLATE = Path(__file__).parent / "dataset_card.md.jinja"
READERS = (
    ("Hugging Face datasets", "1.18", 'load_dataset("FOLDER", split="train")'),
    ("pandas, with pyarrow 10.0.1", "1.5.1", 'pandas.read_parquet("FOLDER/train")'),
    ("polars", "0.20.13", 'polars.read_parquet("FOLDER/train/*.parquet")'),
    ("pyarrow", "10.0.1", 'pyarrow.dataset.dataset("FOLDER/train")'),
    ("DuckDB", "0.6", "SELECT * FROM 'FOLDER/train/*.parquet'"),
)
"""What opens a published folder, from which version on, and how; measured under Python 3.11, for which pandas, pyarrow and DuckDB have no
older wheels (`make test-readers`). datasets 1.17 does not decode pictures; polars opens it from 0.15.16 on, but 0.20.6 to 0.20.10 read a
missing text as an empty one."""
UNKNOWN_LICENCE = "not stated by the source"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_DECIDED = ["image_id", "label", "confidence", "caption", "similarity", "caption_recipe_id"]
_DESCRIBED = ["image_id", "image", "width", "height", "split", "artist", "style", "genre", "licence"]


class PublishedFile(FrozenModel):
    """One file of a published dataset."""

    file: str = Field(description="name within the folder")
    rows: int | None = Field(default=None, ge=0, description="rows of a Parquet part")
    bytes: int = Field(ge=0, description="size")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="checksum")


class Manifest(FrozenModel):
    """`manifest.json`: its existence means that the publication is complete."""

    dataset: str = Field(description="name of the dataset")
    version: str = Field(description="recipe id of its decisions")
    rows: int = Field(ge=0, description="rows in all parts")
    record: DecisionsRecord = Field(description="where the rows come from")
    files: tuple[PublishedFile, ...] = Field(description="every other file of the folder")


class Publication(FrozenModel):
    """Outcome of the publishing stage."""

    uri: str = Field(description="folder of the published dataset")
    manifest: Manifest = Field(description="what it holds")
    parts: tuple[PartOutcome, ...] = Field(description="per part: published rows")
    seconds: float = Field(ge=0, description="wall-clock time")


def publish(workspace: Workspace, dataset: str, version: str, source: str) -> Publication:
    """Publish the kept rows of `decisions/<dataset>/<version>` with their pictures; a finished publication is left as it is.

    Pictures are read a few at a time and written part by part, so memory is bounded by the kept pictures of one part.

    Raises:
        FileNotFoundError: no such decisions, or an image part is gone.
        ValueError: the decisions were made on another source.
    """
    started = time.perf_counter()
    record = read_record(workspace, dataset, version)
    if record.source != source:
        raise ValueError(f"decisions {dataset}/{version} were made on source {record.source!r}, not on {source!r}")
    parts = tuple(publish_part(workspace, record, part) for part in record.parts)
    names = ("curated", dataset, version)
    if workspace.exists(*names, MANIFEST):
        manifest = Manifest.model_validate(workspace.read_json(*names, MANIFEST))
    else:
        rows = sum(outcome.rows for outcome in parts)
        workspace.write_file(_render_card(workspace, record, rows).encode(), *names, CARD)
        manifest = _manifest(workspace, record, parts)
        workspace.write_json(manifest.model_dump(mode="json"), *names, MANIFEST)
    return Publication(uri=workspace.path(*names), manifest=manifest, parts=parts, seconds=time.perf_counter() - started)


def publish_part(workspace: Workspace, record: DecisionsRecord, part: str) -> PartOutcome:
    """Publish the kept rows of one part. Raises FileNotFoundError when its decisions or pictures are gone.

    A part without a kept row gets no file (`datasets` cannot open an empty one) and counts as reused: there is nothing to do.
    """
    started = time.perf_counter()
    curated = published_table(workspace, record.recipe.dataset, record.version)
    decisions = workspace.table("decisions", record.recipe.dataset, record.version).read_part(part, ["kept", *_DECIDED])
    kept = decisions.filter("kept").select(_DECIDED)
    reused = kept.is_empty() or curated.has_part(part)
    if not reused:
        curated.write_part(part, _with_pictures(workspace.table("images", record.source), part, kept), Curated)
    return PartOutcome(part=part, rows=kept.height, reused=reused, seconds=time.perf_counter() - started)


def _with_pictures(images: Table, part: str, kept: pl.DataFrame) -> pl.DataFrame:
    batches = [_openable(batch.join(kept, on="image_id", how="inner")) for batch in images.iter_part(part, _DESCRIBED, ROWS_AT_ONCE)]
    rows = pl.concat(batches).sort("image_id")
    if rows.height != kept.height:
        raise FileNotFoundError(f"part {part} of {images.uri} lacks {kept.height - rows.height} pictures that were kept: ingest it again")
    return rows


def _openable(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with pictures that any Pillow opens: it refuses a PNG for texts and profiles of more than a megabyte."""
    image = rows["image"].struct
    pictures = [without_odd_metadata(data, profiles=True) for data in image.field("bytes")]
    return rows.with_columns(pl.struct(pl.Series("bytes", pictures, pl.Binary), image.field("path")).alias("image"))


def _render_card(workspace: Workspace, record: DecisionsRecord, rows: int) -> str:
    """The dataset card as Markdown with a YAML header; the same decisions give the same text."""
    decisions = workspace.table("decisions", record.recipe.dataset, record.version).read(FUNNEL_COLUMNS)
    images = workspace.table("images", record.source).read_parts(record.parts, ["image_id", "style", "licence"])
    unique = images.unique("image_id", keep="first", maintain_order=True)
    published = unique.join(decisions.filter("kept").select("image_id"), on="image_id")
    counts = published["licence"].fill_null(UNKNOWN_LICENCE).value_counts().sort(["count", "licence"], descending=[True, False])
    chunks = [chunk for part in record.parts for chunk in admitted_chunks(workspace, record.source, part, record.recipe.captions)]
    models = sorted(workspace.table("captions", record.source).read(["model"], chunks)["model"].unique()) if chunks else []
    selection = record.recipe.selection
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701 - Markdown, not HTML
    environment.filters["cell"] = table_cell
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        header=_card_header(record.recipe.dataset, rows).to_yaml(),
        dataset=record.recipe.dataset,
        record=record,
        selection=selection,
        rows=rows,
        funnel=funnel(decisions, images),
        licences=[(table_cell(licence), count) for licence, count in counts.iter_rows()],
        models=[f"`{table_cell(model)}`" for model in models],
        left_out=[emotion for emotion in EMOTIONS if emotion not in selection.emotions],
        readers=READERS,
    )


def _card_header(dataset: str, rows: int) -> DatasetCardData:
    return DatasetCardData(
        pretty_name=dataset,
        language=["en"],
        license="other",
        license_name="per-picture",
        task_categories=["text-to-image", "image-classification"],
        size_categories=[next((name for limit, name in _SIZES if rows < limit), "n>10M")],
        tags=["emotion", "affective-computing", "image", "parquet"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": f"{DATA}/part-*.parquet"}]}],
    )


def _manifest(workspace: Workspace, record: DecisionsRecord, parts: tuple[PartOutcome, ...]) -> Manifest:
    folder = workspace.path("curated", record.recipe.dataset, record.version)
    files = [_describe(folder, f"{DATA}/{outcome.part}.parquet", outcome.rows) for outcome in parts if outcome.rows]
    return Manifest(
        dataset=record.recipe.dataset,
        version=record.version,
        rows=sum(outcome.rows for outcome in parts),
        record=record,
        files=(*files, _describe(folder, CARD, None)),
    )


def _describe(folder: str, name: str, rows: int | None) -> PublishedFile:
    with open_file(f"{folder}/{name}") as file:
        digest = hashlib.file_digest(file, "sha256")
        return PublishedFile(file=name, rows=rows, bytes=file.seek(0, io.SEEK_END), sha256=digest.hexdigest())


def read_manifest(workspace: Workspace, dataset: str, version: str) -> Manifest:
    """What was published. Raises FileNotFoundError when this version was not, or not completely."""
    names = ("curated", dataset, version)
    if not workspace.exists(*names, MANIFEST):
        raise FileNotFoundError(f"{workspace.path(*names)} has no {MANIFEST}: publish this version first")
    return Manifest.model_validate(workspace.read_json(*names, MANIFEST))


def published_parts(manifest: Manifest) -> list[str]:
    """Names of the parts, in order."""
    return [file.file.removeprefix(f"{DATA}/").removesuffix(".parquet") for file in manifest.files if file.rows is not None]


def published_table(workspace: Workspace, dataset: str, version: str) -> Table:
    """The parts of a publication, as a table."""
    return workspace.table("curated", dataset, version, DATA)


def ending(picture: bytes) -> str:
    """Ending of a file that holds this picture, by its content: the name that it came with may lie.

    Raises:
        ValueError: not one of the formats that ingestion accepts; it would not stand in a published dataset.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=FORMATS) as opened:
            return ENDINGS[str(opened.format)]
    except OSError as error:
        raise ValueError(f"a published picture cannot be opened ({error}): check the part against manifest.json") from error
