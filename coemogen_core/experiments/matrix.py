"""A matrix of methods and seeds: a TOML file that says what is to be compared."""

import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from coemogen_core.methods.method import Method
from coemogen_core.methods.registry import BASELINE, OURS, MethodSpec, new_method
from coemogen_core.training.recipes import TrainingRecipe


class ExperimentMatrix(BaseModel):
    """Every method runs with every seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: tuple[MethodSpec, ...] = Field(min_length=1, description="what is compared, in the order of the table")
    seeds: tuple[int, ...] = Field(
        default=(0, 1, 2), min_length=1, description="of trainings and pictures; a method without a training draws other pictures"
    )
    compared_with: tuple[str, ...] | None = Field(
        default=None, description="names of the methods that every other is tested against; none = sd and coemogen, where they are there"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """What the methods are called."""
        return tuple(spec.label for spec in self.methods)

    @property
    def opponents(self) -> tuple[str, ...]:
        """Names of the methods that every other is tested against."""
        if self.compared_with is not None:
            return self.compared_with
        return tuple(spec.label for name in (BASELINE, OURS) for spec in self.methods if spec.method == name and spec.label == name)

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        names = self.names
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two methods are called {', '.join(repeated)}: give one of them another `name`")
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds {list(self.seeds)} must be 0 or more, each once")
        if unknown := [name for name in self.compared_with or () if name not in names]:
            raise ValueError(f"compared_with names {', '.join(unknown)}, but the methods are {', '.join(names)}")
        return self

    def resolve(self, training: TrainingRecipe) -> list[Method]:
        """The methods, ready to be trained and drawn.

        Args:
            training: CoEmoGen's recipe, whose budget all trained methods share.

        Raises:
            ValueError: a method is unknown or cannot be imported, or a setting is; the message names the method and the setting.
        """
        return [_resolved(spec, training) for spec in self.methods]


DEFAULT = ExperimentMatrix(methods=(MethodSpec(method=OURS), MethodSpec(method=BASELINE)), seeds=(0,))
"""What is compared where nobody asks for more."""


def read_matrix(file: Path) -> ExperimentMatrix:
    """Read a matrix file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no TOML, or holds something else than methods and seeds; the message names file and field.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no matrix file {file}: give a TOML file with [[methods]] and seeds")
    try:
        return ExperimentMatrix.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is no TOML file: {error}") from error
    except ValidationError as error:
        raise ValueError(f"{file}: {_problems(error)}") from error


def _resolved(spec: MethodSpec, training: TrainingRecipe) -> Method:
    try:
        return new_method(spec, training)
    except ValidationError as error:
        raise ValueError(f"method {spec.label}: settings.{_problems(error)}") from error
    except (ValueError, OSError) as error:
        raise ValueError(f"method {spec.label}: {error}") from error


def _problems(error: ValidationError) -> str:
    found = [(".".join(map(str, problem["loc"])), problem["msg"]) for problem in error.errors()]
    return "; ".join(f"{place}: {text}" if place else text for place, text in found)
