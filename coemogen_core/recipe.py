"""Recipes: everything that could change an answer, as data. Their ids key every cache and name every derived table."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.frozen_model import FrozenModel


class NotIdentifying:
    """Marks a field of a recipe that changes no answer, such as a batch size: `Annotated[int, NotIdentifying]`."""


class IdentifiedOtherwise:
    """Marks a field that only says where something is, such as a model's folder: what hashes the recipe adds a fingerprint of it."""


class Unordered:
    """Marks a field that holds a set: neither order nor repetition changes an answer, so its id hashes the items sorted."""


def _say_what_does_not_identify(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """In the schema, and so in Prefect's form, the description of a field that changes no answer says so."""
    for name, field in model.model_fields.items():
        if NotIdentifying in field.metadata:
            schema["properties"][name]["description"] = f"{field.description}; not part of the id"


class Recipe(FrozenModel):
    """Base of all recipes: frozen, no field that it does not know, no number that is not finite."""

    model_config = ConfigDict(json_schema_extra=_say_what_does_not_identify)

    @property
    def identity(self) -> dict[str, Any]:
        """All fields that could change an answer, JSON-serialisable."""
        fields = {name: field.metadata for name, field in type(self).model_fields.items()}
        kept = {name: (_identified(getattr(self, name)), marks) for name, marks in fields.items() if not _is_left_out(marks)}
        return {name: sorted(set(value)) if value and Unordered in marks else value for name, (value, marks) in kept.items()}


def recipe_id(kind: str, fields: Mapping[str, Any]) -> str:
    """Short stable id of a recipe: `<kind>-<first 12 hex digits of SHA-256>`.

    Args:
        kind: what the recipe makes ("ingest", "caption", ...); part of the hash.
        fields: everything that could change the result; JSON-serialisable values or recipes.

    Raises:
        TypeError: a value is neither.
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


def _is_left_out(marks: list[Any]) -> bool:
    return NotIdentifying in marks or IdentifiedOtherwise in marks


def _identified(value: Any) -> Any:
    """What stands for a field's value in a hash."""
    if isinstance(value, tuple):
        return [_identified(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _identified(each) for key, each in value.items()}
    return value.identity if isinstance(value, Recipe) else value


def _as_json(value: Any) -> Any:
    if isinstance(value, Recipe):
        return value.identity
    raise TypeError(f"a recipe cannot hold a {type(value).__name__}: {value!r}")
