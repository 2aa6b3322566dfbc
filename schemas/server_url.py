"""The base URL of a server: checked before anything is asked, and written in one way."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _server_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:  # the port is no number, or an address in brackets is none
        usable = False
    if not usable or any(character.isspace() for character in url):
        raise ValueError("no address of a server: write it like http://127.0.0.1:8000/v1")
    return url.rstrip("/")


ServerUrl = Annotated[str, AfterValidator(_server_url)]
"""`http://host:port/path` or https, without a slash at its end, a query or a fragment."""
VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""Of an environment variable that holds a key."""
