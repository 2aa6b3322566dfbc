"""A matrix of methods and seeds: a TOML file that says what is to be compared."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from coemogen_core.methods.method import Method
from coemogen_core.methods.registry import BASELINE, OURS, MethodSpec, new_method
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.recipes import TrainingRecipe
from schemas.experiments import Experiments, MethodRun
from schemas.frozen_model import FrozenModel
from schemas.metrics import EvaluationProtocol


class ExperimentMatrix(FrozenModel):
    """Every method runs with every seed."""

    methods: tuple[MethodSpec, ...] = Field(min_length=1, description="what is compared, in the order of the table")
    seeds: tuple[int, ...] = Field(
        default=(0, 1, 2), min_length=1, description="of trainings and pictures; a method without a training draws other pictures"
    )
    compared_with: tuple[str, ...] | None = Field(
        default=None, description="names of the methods that every other is tested against; none = sd and coemogen, where they are there"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """What the methods are called in folders and files."""
        return tuple(spec.name for spec in self.methods)

    @property
    def labels(self) -> dict[str, str]:
        """By name, what people call them."""
        return {spec.name: spec.label for spec in self.methods}

    @property
    def opponents(self) -> tuple[str, ...]:
        """Names of the methods that every other is tested against."""
        if self.compared_with is not None:
            return self.compared_with
        return tuple(name for name in (BASELINE, OURS) if any(spec.method == spec.name == name for spec in self.methods))

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        names = self.names
        for field, called in (("name", names), ("label", tuple(self.labels.values()))):
            if repeated := sorted({each for each in called if called.count(each) > 1}):
                raise ValueError(f"two methods are called {', '.join(repeated)}: give one of them another `{field}`")
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds {list(self.seeds)} must be 0 or more, each once")
        if unknown := [name for name in self.compared_with or () if name not in names]:
            raise ValueError(f"compared_with names {', '.join(unknown)}, but the methods are {', '.join(names)}")
        return self

    def results(
        self,
        workspace: Workspace,
        methods: Sequence[Method],
        protocol: EvaluationProtocol,
        images_per_emotion: int,
        runs: Sequence[MethodRun],
    ) -> Experiments:
        """The runs that are done, method by method; `methods` are the resolved ones."""
        trained = [(method, method.budget) for method in methods]
        return Experiments(
            methods=self.names,
            labels=self.labels,
            seeds=self.seeds,
            compared_with=self.opponents,
            protocol=protocol,
            images_per_emotion=images_per_emotion,
            budgets={method.name: budget + method.samples_before(workspace) for method, budget in trained if budget is not None},
            runs=tuple(sorted(runs, key=lambda run: (self.names.index(run.method), run.seed))),
        )

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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML file: {error}") from error
    except ValidationError as error:
        raise ValueError(f"{file}: {_problems(error)}") from error


def _resolved(spec: MethodSpec, training: TrainingRecipe) -> Method:
    try:
        return new_method(spec, training)
    except ValidationError as error:
        raise ValueError(f"method {spec.name}: settings.{_problems(error)}") from error
    except (ValueError, OSError) as error:
        raise ValueError(f"method {spec.name}: {error}") from error


def _problems(error: ValidationError) -> str:
    problems = [problem for problem in error.errors() if problem["type"] != "default_factory_not_called"]  # follows from another one
    found = [(".".join(map(str, problem["loc"])), problem["msg"]) for problem in problems]
    return "; ".join(f"{place}: {text}" if place else text for place, text in found)
