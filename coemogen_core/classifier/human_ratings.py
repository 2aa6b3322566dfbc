"""What people felt: rating files of pictures, read into one form.

OASIS (Kurdi et al., 2017): the CSV as published, with `Theme` (file name without ending) and `Valence_mean`, or one with `image_id` and
`valence_mean_1to7`. WikiArt-Emotions (Mohammad & Kiritchenko, LREC 2018): a
TSV with a painting a row, `Artist`, `Title`, `Image URL`, and a column for each of twenty emotions, `ImageOnly: fear` and so on, that holds
the share of annotators who chose it (0 or 1 in the files of aggregated labels).
"""

import csv
import hashlib
import io
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

import polars as pl

from coemogen_core.data.part_plan import current_parts
from coemogen_core.emotions import EMOTIONS, NEGATIVE, POSITIVE, Emotion
from coemogen_core.storage.location import open_file
from coemogen_core.storage.workspace import Workspace

RatingsKind = Literal["oasis", "wikiart-emotions"]
OASIS_COLUMNS = (("Theme", "Valence_mean"), ("image_id", "valence_mean_1to7"))
"""Of the picture and of its valence, 1 to 7: as published, and in copies for research on valence alone."""
VIEW = "ImageOnly: "
"""Of the three ways in which WikiArt-Emotions was annotated (title, picture, both), the one in which people saw what a classifier sees."""
WIKIART_EMOTIONS: Mapping[Emotion, tuple[str, ...]] = {
    "awe": ("trust",),
    "contentment": ("happiness", "agreeableness", "gratitude", "love"),
    "excitement": ("anticipation", "optimism"),
    "anger": ("anger", "disagreeableness"),
    "disgust": ("disgust",),
    "fear": ("fear",),
    "sadness": ("sadness", "pessimism", "regret"),
}
"""Columns that stand for each of Mikels' emotions, by the descriptions that the annotators saw ("happiness, calmness, pleasure, or
ecstasy"; "trust, admiration, respect, dignity, or honor"). Amusement has none; arrogance, humility, shame, shyness, surprise and neutral
stand for none."""
_ENDING = re.compile(r"\.(jpe?g|png|gif)(!.*)?$", re.IGNORECASE)  # "...jpg!Large.jpg" is WikiArt's way to ask for a size
RATINGS_SCHEMA: dict[str, type[pl.DataType]] = {"name": pl.String, "valence": pl.Float64, **dict.fromkeys(EMOTIONS, pl.Float64)}


@dataclass(frozen=True)
class Ratings:
    """Human ratings of pictures."""

    kind: RatingsKind
    sha256: str  # of the file
    rows: pl.DataFrame
    """`name` (file name of the picture without ending, unique), `valence` (any scale, higher is more pleasant), and for each of EMOTIONS
    how intensely people felt it (null where they were not asked)"""
    rejected: tuple[tuple[int, str], ...]  # line number and reason of the rows that could not be used


def read_ratings(kind: RatingsKind, file: str) -> Ratings:
    """Read a ratings file, local or remote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file lacks a needed column, or holds no usable row.
    """
    with open_file(file) as handle:
        data = handle.read()
    text = io.StringIO(data.decode("utf-8-sig", errors="replace"), newline="")
    if kind == "oasis":
        parse, lines = _parse_oasis, csv.DictReader(text)
    else:  # titles hold lone quotation marks
        parse, lines = _parse_wikiart_emotions, csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = _missing(kind, set(lines.fieldnames or ()))
    if missing:
        raise ValueError(f"{file} lacks the columns {missing}: give {kind} ratings as they are published")
    rows: dict[str, dict[str, object]] = {}
    rejected = []
    for line in lines:
        try:
            row = parse(line)
            if row["name"] in rows:
                raise ValueError(f"{row['name']} was rated in an earlier line")
            rows[str(row["name"])] = row
        except ValueError as error:
            rejected.append((lines.line_num, str(error)))
    if not rows:
        raise ValueError(f"{file} holds no usable row ({len(rejected)} rejected): give {kind} ratings as they are published")
    frame = pl.DataFrame(list(rows.values()), schema=RATINGS_SCHEMA)
    return Ratings(kind, hashlib.sha256(data).hexdigest(), frame, tuple(rejected))


def ratings_of_images(workspace: Workspace, source: str, ratings: Ratings) -> pl.DataFrame:
    """The ratings that belong to pictures of an ingested source: `image_id`, `valence` and the emotions, sorted by id, each id once.

    Raises:
        FileNotFoundError: the source was not ingested.
    """
    found = [rows.join(ratings.rows, on="name") for rows in _names(workspace, source)]
    return pl.concat(found).unique("image_id", keep="first", maintain_order=True).sort("image_id").drop("name")


def _names(workspace: Workspace, source: str) -> Iterator[pl.DataFrame]:
    table = workspace.table("images", source)
    parts = current_parts(workspace, source)
    if not parts:
        raise FileNotFoundError(f"table {table.uri} has no parts: ingest the source {source!r} first")
    for part in parts:
        for rows in table.iter_part(part, ["image_id", "image.path"], batch_size=4096):
            stems = [PurePosixPath(path).stem for path in rows["image"].struct.field("path")]
            yield pl.DataFrame({"image_id": rows["image_id"], "name": pl.Series(stems, dtype=pl.String)})


def _missing(kind: RatingsKind, columns: set[str]) -> str:
    """The columns that a file lacks, in words; empty when there are none."""
    if kind == "oasis":
        complete = any(columns >= set(pair) for pair in OASIS_COLUMNS)
        return "" if complete else " or ".join(" and ".join(pair) for pair in OASIS_COLUMNS)
    needed = {"Artist", "Title", "Image URL", *(VIEW + name for names in WIKIART_EMOTIONS.values() for name in names)}
    return ", ".join(sorted(needed - columns))


def _parse_oasis(line: Mapping[str, str]) -> dict[str, object]:
    name, valence = next(pair for pair in OASIS_COLUMNS if line.keys() >= set(pair))
    if not (line[name] or "").strip():
        raise ValueError(f"no {name}")
    return {"name": line[name].strip(), "valence": _number(line, valence, 1.0, 7.0), **dict.fromkeys(EMOTIONS)}


def _parse_wikiart_emotions(line: Mapping[str, str]) -> dict[str, object]:
    felt = {emotion: max(_number(line, VIEW + name, 0.0, 1.0) for name in names) for emotion, names in WIKIART_EMOTIONS.items()}
    pleasant, unpleasant = (sum(felt.get(emotion, 0.0) for emotion in side) for side in (POSITIVE, NEGATIVE))
    valence = (pleasant - unpleasant) / (pleasant + unpleasant) if pleasant + unpleasant else 0.0
    return {"name": _file_name(line), "valence": valence, **{emotion: felt.get(emotion) for emotion in EMOTIONS}}


def _file_name(line: Mapping[str, str]) -> str:
    """`<artist>_<title>` as WikiArt's files are called: from the picture's address, else from the artist's and the painting's names."""
    path = PurePosixPath(unquote(urlsplit(line["Image URL"] or "").path))
    if len(path.parts) >= 3:
        return f"{path.parent.name}_{_ENDING.sub('', path.name)}"
    artist, title = _slug(line["Artist"] or ""), _slug(line["Title"] or "")
    if not artist or not title:
        raise ValueError("neither an Image URL nor an artist and a title")
    return f"{artist}_{title}"


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _number(line: Mapping[str, str], column: str, low: float, high: float) -> float:
    try:
        value = float(line[column])
    except (TypeError, ValueError):
        raise ValueError(f"{column!r} is no number: {line[column]!r}") from None
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{column!r} is {value}, not within {low:g} to {high:g}")
    return value
