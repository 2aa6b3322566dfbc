"""A small workspace in which everything that readers stumble over occurs, published and exported, with the rows that a reader must find.

Pictures of all formats and modes, names of files in several scripts, captions of two lines, columns that are empty at first, a part of
which nothing is kept, a part without rows, more rows than a row group holds.
"""

import hashlib
import io
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import read_decisions
from coemogen_core.publication.exports import export_webdataset
from coemogen_core.publication.publication import publish
from coemogen_core.storage.workspace import ROWS_PER_GROUP, Workspace
from schemas.tables import Alignment, Captions, Curated, EmotionScores, Rejected, embeddings_schema
from tests.coemogen_core.curation.curated_art import CLASSIFIER, ENCODER, RECIPE, SOURCE
from tests.coemogen_core.curation.small_tables import caption_row, write_captions, write_images

FIRST, DROPPED, LARGE = "part-00000-aaaaaaaa", "part-00001-bbbbbbbb", "part-00002-cccccccc"
FIELDS = Captions.create_empty().schema["fields"].to_schema()
TURNED = {0x0112: 6}  # EXIF: the picture lies on its side
ODD = [
    ("ä b/Ünïcode #1 %20 'q' \"dq\".jpg", "RGB", "JPEG", None),
    ("awe/grey.jpeg", "L", "JPEG", None),
    ("awe/print.jpg", "CMYK", "JPEG", None),
    ("awe/clear.png", "RGBA", "PNG", None),
    ("awe/a png by content.jpg", "P", "PNG", None),
    ("awe/sixteen bits.png", "I;16", "PNG", None),
    ("awe/w.webp", "RGB", "WEBP", None),
    ("awe/g.gif", "P", "GIF", None),
    ("awe/b.bmp", "RGB", "BMP", None),
    ("awe/t.tif", "RGB", "TIFF", None),
    ("日本/絵.jpg", "RGB", "JPEG", TURNED),
]


def write_odd_publication(folder: Path) -> dict[str, dict[str, str]]:
    """Write it all; returns for each kind (`published`, `archives`, `archive`, and tables) its `folder` and the `rows` that are in it."""
    workspace = Workspace(str(folder / "workspace"))
    for number, part in enumerate((FIRST, DROPPED, LARGE)):
        _write_part(workspace, part, number)
    version = decide(workspace, SOURCE, [FIRST, DROPPED, LARGE], RECIPE.model_copy(update={"drop_fraction": 0.0})).version
    published = publish(workspace, "emoart", version, SOURCE).uri
    for name, size in (("archives", 100), ("archive", 1000)):
        export_webdataset(workspace, "emoart", version, str(folder / name), size)
    images, decided = workspace.table("images", SOURCE).read(), read_decisions(workspace, "emoart", version)
    (folder / "pictures").mkdir()
    kept = images.drop("label").join(decided.filter("kept"), on="image_id").select(Curated.column_names())
    rows = list(_with_files(kept, folder / "pictures"))
    tables = {
        "images": (SOURCE, "image_id", list(_with_files(images, folder / "pictures"))),
        "embeddings": (f"{SOURCE}/{ENCODER}", "image_id", workspace.table("embeddings", SOURCE, ENCODER).read().to_dicts()),
        "rejected": (SOURCE, "path", workspace.table("rejected", SOURCE).read().to_dicts()),
        "none": ("nothing", "path", []),
        "captions": (SOURCE, "image_id", workspace.table("captions", SOURCE).read().to_dicts()),
        "decisions": (f"emoart/{version}", "image_id", decided.to_dicts()),
    }
    found = {"published": (published, "image_id", rows)}
    found |= {name: (str(folder / name), "image_id", list(map(_in_archive, rows))) for name in ("archives", "archive")}
    found |= {
        name: (workspace.path("rejected" if name == "none" else name, place), key, rows) for name, (place, key, rows) in tables.items()
    }
    return {name: {"folder": place, "rows": _noted(folder / f"{name}.json", key, rows)} for name, (place, key, rows) in found.items()}


def _write_part(workspace: Workspace, part: str, number: int) -> None:
    pictures = _pictures(part)
    rows = [_image_row(path, data, number, index) for index, (path, data) in enumerate(pictures)]
    ids = [row["image_id"] for row in rows]
    write_images(workspace, SOURCE, part, rows)
    confidence = 0.1 if part == DROPPED else 0.8
    scores = pl.DataFrame(
        [(each, [0.125] * 8, "awe", confidence) for each in ids], schema=EmotionScores.create_empty().schema, orient="row"
    )
    workspace.table("emotion_scores", SOURCE, CLASSIFIER).write_part(part, scores, EmotionScores)
    captions = [caption_row(each, f'a "loud" storm, é🎨 {index}\nline two', prior="awe") for index, each in enumerate(ids)]
    captions[0]["fields"] = dict.fromkeys(FIELDS) | {"scene": "a street", "objects": ["a lamp", "a dog, wet"]}
    chunk = write_captions(workspace, SOURCE, part, 0, captions)
    values = [(row["image_id"], row["recipe_id"], 1, 0.1 + 0.0001 * index, 9, 0) for index, row in enumerate(captions)]
    similarities = pl.DataFrame(values, schema=Alignment.create_empty().schema, orient="row")
    workspace.table("alignment", SOURCE, ENCODER).write_part(chunk, similarities, Alignment)
    vectors = np.random.default_rng(number).normal(size=(len(ids), 8)).astype(np.float16)
    frame = pl.DataFrame({"image_id": ids, "embedding": pl.Series(vectors)})
    workspace.table("embeddings", SOURCE, ENCODER).write_part(part, frame, embeddings_schema(8))
    refused = [] if part == FIRST else [(f"é {number}.jpg", "truncated", "cut | off")]
    refused_rows = pl.DataFrame(refused, schema=Rejected.create_empty().schema, orient="row")
    workspace.table("rejected", SOURCE).write_part(part, refused_rows, Rejected)
    workspace.table("rejected", "nothing").write_part(part, refused_rows.clear(), Rejected)


def _pictures(part: str) -> list[tuple[str, bytes]]:
    if part == FIRST:
        return [(path, picture(mode, kind, number, exif)) for number, (path, mode, kind, exif) in enumerate(ODD)]
    count, start = (1, 50) if part == DROPPED else (ROWS_PER_GROUP + 10, 100)
    return [(f"many/{number}.x", picture("RGB", ("PNG", "JPEG")[number % 2], number)) for number in range(start, start + count)]


def picture(mode: str, kind: str, number: int, exif: dict[int, int] | None = None) -> bytes:
    """A file of 16 x 12 random pixels."""
    generator, buffer = np.random.default_rng(number), io.BytesIO()
    if mode == "I;16":
        made = Image.fromarray(generator.integers(0, 65535, (12, 16)).astype(np.uint16))
    else:
        made = Image.fromarray(generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)).convert(mode)
    marks = Image.Exif()
    marks.update(exif or {})
    made.save(buffer, kind, **({"exif": marks} if exif else {}))
    return buffer.getvalue()


def _image_row(path: str, data: bytes, number: int, index: int) -> dict[str, Any]:
    empty = number == 0  # whatever a reader learns from the first rows, it learns that here is nothing
    return {
        "image_id": hashlib.sha256(data).hexdigest(),
        "image": {"bytes": data, "path": path},
        "width": 16,
        "height": 12,
        "label": None,
        "split": None if empty else "train",
        "artist": None if empty else 'A | B, "x"',
        "style": None if index % 2 else "Art | Nouveau",
        "genre": None if empty else "portrait",
        "licence": None,
        "attributes": None,
    }


def _with_files(rows: pl.DataFrame, folder: Path) -> Iterable[dict[str, Any]]:
    for row in rows.iter_rows(named=True):
        file = folder / row["image_id"]
        file.write_bytes(row["image"]["bytes"])
        yield row | {"image": {"file": str(file), "path": row["image"]["path"]}}


def _in_archive(row: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in row.items()} | {"path": row["image"]["path"]}


def _noted(file: Path, key: str, rows: list[dict[str, Any]]) -> str:
    file.write_text(json.dumps({"key": key, "rows": rows}, default=datetime.isoformat))
    return str(file)
