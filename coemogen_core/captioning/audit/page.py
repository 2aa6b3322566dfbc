"""An audit: a sample of captions beside their pictures on one HTML page that needs nothing else, and the record of what was drawn.

Captions are a model's words: they reach the page as text alone.

The page carries its cards as JSON and builds text nodes from them, never markup; a content security policy lets run and load nothing
but what is in the file, so that even a caption that found its way into the markup could do nothing.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import Field

from coemogen_core.captioning.audit.reviews import AuditRecord, write_record
from coemogen_core.captioning.audit.sample import AuditableCaptions, draw_sample
from coemogen_core.captioning.audit.verdicts import FORMAT, MAX_NOTE, MAX_REVIEWER
from coemogen_core.data.decode import UnreadableImage
from coemogen_core.data.thumbnail import SMALL_SIDE, Thumbnail, thumbnail
from coemogen_core.emotions import EMOTIONS
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.location import resolve
from coemogen_core.storage.whole_file import write_atomically
from coemogen_core.storage.workspace import Workspace
from schemas.choices import EmotionName
from schemas.frozen_model import FrozenModel

MAX_SIDE = 384
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


class AuditPage(FrozenModel):
    """A page that waits for a person."""

    audit_id: str = Field(description="hash of the sample, the seed and the format of the verdicts")
    uri: str = Field(description="where the page lies in the workspace")
    copied_to: str | None = Field(default=None, description="where the copy for the person lies")
    counts: dict[EmotionName, int] = Field(description="captions shown, by emotion")
    short: tuple[EmotionName, ...] = Field(description="emotions with fewer captions than asked for")
    left_out: dict[str, str] = Field(description="by image id, why a drawn picture could not be shown")


def write_audit(
    workspace: Workspace,
    source: str,
    captions_frame: pl.DataFrame,
    *,
    per_emotion: int = 50,
    seed: int = 0,
    destination: str | None = None,
) -> AuditPage:
    """Draw a sample and write `audits/<source>/<audit id>/page.html`. The same captions and seed give the same page.

    Args:
        captions_frame: current captions in the schema `AuditableCaptions`, for `draw_sample`.
        destination: where a copy goes: a file, or a folder that exists or whose name ends in "/".

    Raises:
        FileNotFoundError: the source has no image parts.
        ValueError: there is no caption, no picture of a drawn caption can be shown, or a column is missing.
        dataframely.exc.ValidationError: a row breaks the schema.
    """
    sample = draw_sample(captions_frame, per_emotion, seed)
    if sample.is_empty():
        raise ValueError(f"source {source!r} has no captions to audit in {workspace.uri}: caption its pictures first")
    pictures, missing = read_thumbnails(workspace, source, sample)
    shown = sample.filter(pl.col("image_id").is_in(list(pictures)))
    if shown.is_empty():
        reason = next(iter(missing.values()))
        raise ValueError(f"no picture of the {sample.height} drawn captions can be shown (the first: {reason}): ingest {source!r} again")
    asked = shown.select(AuditableCaptions.column_names()).rows()  # everything that a person is asked about
    audit_id = recipe_id("audit", {"format": FORMAT, "source": source, "seed": seed, "rows": asked})
    page = render_page(audit_id, source, shown, pictures).encode()
    cards = shown.select("image_id", "recipe_id", "attempt", "part", "emotion").rows(named=True)
    record = {"audit_id": audit_id, "source": source, "per_emotion": per_emotion, "seed": seed, "captions": cards}
    write_record(workspace, AuditRecord.model_validate(record))
    uri = workspace.write_file(page, "audits", source, audit_id, "page.html")
    counts = {emotion: int((shown["emotion"] == emotion).sum()) for emotion in EMOTIONS}
    return AuditPage(
        audit_id=audit_id,
        uri=uri,
        copied_to=None if destination is None else _copy(page, destination, f"{audit_id}.html"),
        counts=counts,
        short=tuple(emotion for emotion, count in counts.items() if count < per_emotion),
        left_out=missing,
    )


def _copy(page: bytes, destination: str, name: str) -> str:
    filesystem, path = resolve(destination)
    target = f"{destination.rstrip('/')}/{name}" if destination.endswith("/") or filesystem.isdir(path) else destination
    write_atomically(target, page)
    return target


def render_page(audit_id: str, source: str, shown: pl.DataFrame, pictures: Mapping[str, Thumbnail]) -> str:
    """The page of an audit.

    Args:
        audit_id: names the audit, the browser's memory of it and the exported file.
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
        data=_page_data(audit_id, source, shown, pictures),
        style=_own_file(STYLE),
        scripts=scripts,
        policy=_security_policy(_own_file(STYLE), scripts),
        keys=KEYS,
        max_note=MAX_NOTE,
        max_reviewer=MAX_REVIEWER,
    )


def _page_data(audit_id: str, source: str, shown: pl.DataFrame, pictures: Mapping[str, Thumbnail]) -> dict[str, Any]:
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


def read_thumbnails(workspace: Workspace, source: str, wanted: pl.DataFrame) -> tuple[dict[str, Thumbnail], dict[str, str]]:
    """Thumbnails of pictures (`image_id`, and `part`, the image part in which one lies) by id, and why the others have none.

    Raises:
        FileNotFoundError: the source has no image parts at all.
    """
    table = workspace.table("images", source)
    parts = set(table.parts())
    if not parts:
        raise FileNotFoundError(f"table {table.uri} has no parts: ingest the source {source!r} first")
    found: dict[str, Thumbnail] = {}
    missing: dict[str, str] = {}
    for (part,), rows in wanted.group_by("part", maintain_order=True):
        unread = set(rows["image_id"]) - found.keys()
        missing |= dict.fromkeys(unread, f"not in part {part} of {table.uri}")
        pictures = table.iter_pictures(str(part), set(unread)) if part in parts else iter(())
        for image_id, data in islice(pictures, len(unread)):  # no further than to the last wanted one
            try:
                found[image_id] = thumbnail(data, MAX_SIDE)
                missing.pop(image_id, None)
            except UnreadableImage as error:
                missing[image_id] = str(error)
    return found, missing
