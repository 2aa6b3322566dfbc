"""Artifacts of a flow run: what Prefect's UI shows of it beside its log."""

import base64
import io
import re
import time
from typing import Any

from PIL import Image
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from coemogen_core.storage.workspace import local_folder

UPDATE_S = 5.0
GALLERY_WIDTH = 900  # pixels: some 100 kB as JPEG, which lie in Prefect's database


def publish_markdown(key: str, markdown: str) -> None:
    """Show a text."""
    create_markdown_artifact(markdown, key=_as_key(key))


def publish_table(key: str, rows: list[dict[str, Any]], description: str | None = None) -> None:
    """Show rows that all have the same columns."""
    create_table_artifact(rows, key=_as_key(key), description=description)


def publish_link(key: str, uri: str, text: str) -> None:
    """Show a link. A local file becomes a `file:` link, which browsers open when it is pasted, and never from a page of a server."""
    folder = local_folder(uri)
    create_link_artifact(uri if folder is None else folder.absolute().as_uri(), link_text=text, key=_as_key(key), description=uri)


def publish_picture(key: str, picture: bytes, title: str) -> None:
    """Show a picture, scaled down, inside of a text: Prefect's image artifacts take public URLs only, and ours have none."""
    opened = Image.open(io.BytesIO(picture)).convert("RGB")
    opened.thumbnail((GALLERY_WIDTH, GALLERY_WIDTH * 4), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    opened.save(buffer, "JPEG", quality=80)
    publish_markdown(key, f"![{title}](data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()})")


class StageProgress:
    """A progress artifact for a stage that takes a while, brought up to date every few seconds."""

    def __init__(self, flow: str, stage: str, total: int) -> None:
        self._key, self._description, self._total = _as_key(f"progress-{flow}-{stage}"), f"{flow}: {stage}", total
        self._done, self._said = 0, time.monotonic()
        self._artifact: Any = None

    def advance(self) -> None:
        """One part more is done."""
        self._done += 1
        if time.monotonic() - self._said < UPDATE_S and (self._artifact is None or self._done < self._total):
            return
        self._said, share = time.monotonic(), 100 * self._done / self._total
        if self._artifact is None:
            self._artifact = create_progress_artifact(progress=share, key=self._key, description=self._description)
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=share)


def _as_key(text: str) -> str:
    """Artifact keys hold lower-case letters, digits and dashes only."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
