"""An audit's sample to one HTML file that needs nothing else. Captions are a model's words: they reach the page as text alone.

The page carries its cards as JSON and builds text nodes from them, never markup; a content security policy lets run and load nothing
but what is in the file, so that even a caption that found its way into the markup could do nothing.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from coemogen_core.captioning.audit.verdicts import FORMAT, MAX_NOTE, MAX_REVIEWER
from coemogen_core.data.decode import UnreadableImage
from coemogen_core.data.thumbnail import SMALL_SIDE, Thumbnail, thumbnail
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace

MAX_SIDE = 384


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """What became of the wanted pictures, by image id: each is either `found` or `missing` for a reason."""

    found: dict[str, Thumbnail] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def read_thumbnails(workspace: Workspace, source: str, wanted: pl.DataFrame) -> Thumbnails:
    """Thumbnails of the pictures of a source.

    Args:
        workspace: holds `images/<source>`.
        source: name of the source.
        wanted: columns `image_id` and `part`, the image part in which the picture lies.

    Raises:
        FileNotFoundError: the source has no image parts at all.
    """
    table = workspace.table("images", source)
    parts = set(table.parts())
    if not parts:
        raise FileNotFoundError(f"table {table.uri} has no parts: ingest the source {source!r} first")
    thumbnails = Thumbnails()
    for (part,), rows in wanted.group_by("part", maintain_order=True):
        unread = set(rows["image_id"]) - thumbnails.found.keys()
        thumbnails.missing.update(dict.fromkeys(unread, f"not in part {part} of {table.uri}"))
        if part in parts:
            _read_part(workspace, source, str(part), unread, thumbnails)
    return thumbnails


def _read_part(workspace: Workspace, source: str, part: str, wanted: set[str], into: Thumbnails) -> None:
    """Read one part a few pictures at a time, no further than to the last wanted one."""
    remaining = set(wanted)
    for image_id, data in workspace.table("images", source).iter_pictures(part, wanted):
        remaining.discard(image_id)
        try:
            into.found[image_id] = thumbnail(data, MAX_SIDE)
            into.missing.pop(image_id, None)
        except UnreadableImage as error:
            into.missing[image_id] = str(error)
        if not remaining:
            return


FOLDER = Path(__file__).parent
STYLE = "page.css"
SCRIPTS = ("state.js", "page.js")
KEYS = (
    ("A or →", "accept, and go on"),
    ("R or X", "reject, and go on"),
    ("N", "reject with a note: what is wrong"),
    ("J or ↓", "next card, without a verdict"),
    ("K, ↑ or ←", "previous card"),
    ("U", "undo the last verdict"),
    ("E", "export the verdicts"),
    ("?", "this help"),
)


def render_page(audit_id: str, source: str, shown: pl.DataFrame, pictures: Mapping[str, Thumbnail]) -> str:
    """The page of an audit.

    Args:
        audit_id: names the audit, the browser's memory of it and the exported file.
        source: source of the pictures.
        shown: rows in the schema `AuditableCaptions`; each emotion's rows are shown in their order.
        pictures: a thumbnail for every image id in `shown`.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    scripts = [_own_file(name) for name in SCRIPTS]
    return environment.get_template("page.html.jinja").render(
        title=f"Caption audit: {source}",
        source=source,
        data=page_data(audit_id, source, shown, pictures),
        style=_own_file(STYLE),
        scripts=scripts,
        policy=_security_policy(_own_file(STYLE), scripts),
        keys=KEYS,
        max_note=MAX_NOTE,
        max_reviewer=MAX_REVIEWER,
    )


def page_data(audit_id: str, source: str, shown: pl.DataFrame, pictures: Mapping[str, Thumbnail]) -> dict[str, Any]:
    """What the page carries as JSON.

    Cards go round the emotions, so that an audit that was broken off says something about each, and a tiring eye meets all alike.
    """
    turns = shown.with_columns(turn=pl.int_range(pl.len()).over("emotion")).sort("turn", maintain_order=True).drop("turn")
    cards = [_card(row, pictures[row["image_id"]]) for row in turns.iter_rows(named=True)]
    return {"format": FORMAT, "audit_id": audit_id, "source": source, "emotions": list(EMOTIONS), "cards": cards}


def readable_fields(fields: str | None) -> list[tuple[str, str]]:
    """Structured fields as names and texts; what is no JSON object is shown as it is, and empty fields are left out."""
    if fields is None:
        return []
    try:
        value = json.loads(fields)
    except (ValueError, RecursionError):
        return [("fields", fields)]
    if not isinstance(value, dict):
        return [("fields", _text(value))]
    return [(name.replace("_", " "), text) for name, item in value.items() if (text := _text(item))]


def _card(row: dict[str, Any], picture: Thumbnail) -> dict[str, Any]:
    similarity = row["similarity"]
    return {
        **{name: row[name] for name in ("image_id", "recipe_id", "attempt", "emotion", "caption")},
        "similarity": similarity if similarity is not None and math.isfinite(similarity) else None,
        "fields": readable_fields(row["fields"]),
        "picture": picture.data_uri,
        "small": max(picture.width, picture.height) <= SMALL_SIDE,
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ", ".join(text for item in value if (text := _text(item)))
    return json.dumps(value, ensure_ascii=False)


def _own_file(name: str) -> Markup:
    return Markup((FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704 our own file


def _security_policy(style: str, scripts: list[Markup]) -> str:
    hashes = " ".join(_hash_source(script) for script in scripts)
    return f"default-src 'none'; img-src data:; style-src {_hash_source(style)}; script-src {hashes}; base-uri 'none'; form-action 'none'"


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
