"""Artifacts of a flow run, where there is a flow run to hang them on."""

import re

from prefect.artifacts import create_link_artifact, create_markdown_artifact


def publish_markdown(key: str, markdown: str) -> None:
    """Show a text in Prefect's UI."""
    create_markdown_artifact(markdown, key=_as_key(key))


def publish_link(key: str, uri: str, text: str) -> None:
    """Show a link in Prefect's UI."""
    create_link_artifact(uri, link_text=text, key=_as_key(key))


def _as_key(text: str) -> str:
    """Artifact keys hold lower-case letters, digits and dashes only."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
