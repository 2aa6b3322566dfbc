"""Recipe ids: the hash of everything that could change an answer. They key every cache and name every derived table."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def recipe_id(kind: str, fields: Mapping[str, Any]) -> str:
    """Short stable id of a recipe: `<kind>-<first 12 hex digits of SHA-256>`.

    Args:
        kind: what the recipe makes ("ingest", "caption", ...); part of the hash.
        fields: everything that could change the result; JSON-serialisable values or pydantic models.

    Raises:
        TypeError: a value cannot be written as JSON.
    """
    text = json.dumps({"kind": kind, **fields}, sort_keys=True, separators=(",", ":"), default=_as_json)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def merge(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Values with overrides put over them, mappings merged key by key."""
    merged = dict(values)
    for key, value in overrides.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _as_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a recipe cannot hold a {type(value).__name__}: {value!r}")
