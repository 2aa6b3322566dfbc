"""What most settings and records are: a pydantic model that never changes and knows all of its fields."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError


class FrozenModel(BaseModel):
    """Frozen, and hashable where its fields are. Refused: an unknown field, infinity, and what would have to be made a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, values: Any) -> Any:
        """Pydantic takes 1e3 for an integer, true for 1 and "7" for 7: who wrote that meant something else."""
        fields = cls.model_fields.items() if isinstance(values, Mapping) else ()
        wanted = {name: _no_number(values.get(name), _kinds(field.annotation)) for name, field in fields}
        problems = [
            InitErrorDetails(type=PydanticCustomError("no_number", "write {wanted}", {"wanted": what}), loc=(name,), input=values[name])
            for name, what in wanted.items()
            if what
        ]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return values


def _no_number(given: Any, kinds: set[Any]) -> str | None:
    """What should have been written in place of a value that only looks like a number of these kinds."""
    if int in kinds and float not in kinds and isinstance(given, float):
        return "a whole number, without point and exponent"
    return "a number" if kinds & {int, float} and not kinds & {str, bool} and isinstance(given, str | bool) else None


Items = TypeVar("Items", bound=tuple[Any, ...])


def each_once(items: Items) -> Items:
    """For validators: the items themselves. Raises ValueError when one of them stands there twice."""
    twice = sorted({str(item) for item in items if items.count(item) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands there more than once: name each once")
    return items


def _kinds(annotation: Any) -> set[Any]:
    """The types that an annotation allows at its top level."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    return {kind for each in get_args(annotation) for kind in _kinds(each)} if _is_union(annotation) else {annotation}


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)
