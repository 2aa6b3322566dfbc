"""Artifacts of a flow run: what Prefect's UI shows of it beside its log."""

import base64
import io
import re
from collections.abc import Sequence
from typing import Any

from PIL import Image
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from coemogen_core.storage.local_files import local_folder
from schemas.outcomes import StageOutcome

GALLERY_WIDTH = 900  # pixels: some 100 kB as JPEG, which lie in Prefect's database


def publish_markdown(key: str, markdown: str) -> None:
    """Show a text."""
    create_markdown_artifact(markdown, key=as_key(key))


def publish_table(key: str, rows: list[dict[str, Any]], description: str | None = None) -> None:
    """Show rows that all have the same columns."""
    create_table_artifact(rows, key=as_key(key), description=description)


def publish_link(key: str, uri: str, text: str) -> None:
    """Show a link. A local file becomes a `file:` link, which browsers open when it is pasted, and never from a page of a server."""
    folder = local_folder(uri)
    create_link_artifact(uri if folder is None else folder.absolute().as_uri(), link_text=text, key=as_key(key), description=uri)


def publish_picture(key: str, picture: bytes, title: str) -> None:
    """Show a picture, scaled down, inside of a text: Prefect's image artifacts take public URLs only, and ours have none."""
    opened = Image.open(io.BytesIO(picture)).convert("RGB")
    opened.thumbnail((GALLERY_WIDTH, GALLERY_WIDTH * 4), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    opened.save(buffer, "JPEG", quality=80)
    publish_markdown(key, f"![{title}](data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()})")


def publish_stages(flow: str, outcomes: Sequence[StageOutcome]) -> None:
    """Show what the stages of a flow did."""
    columns = ("stage", "parts", "reused_parts", "rows", "dropped")
    rows = [{name: getattr(each, name) for name in columns} | {"seconds": round(each.seconds, 1)} for each in outcomes]
    publish_table(f"stages-{flow}", rows)


def as_key(text: str) -> str:
    """Artifact keys hold lower-case letters, digits and dashes only."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
