"""What pictures a method is to make: how many, from which seeds, how; and in which parts."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from coemogen_core.emotions import EMOTIONS, Emotion, parse_emotion
from coemogen_core.methods.method import Method
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Table, Workspace


@dataclass(frozen=True)
class SampleSet:
    """Reads `runs/<run_id>/samples/<method>`: parts `<emotion>-<number of its first picture>`."""

    workspace: Workspace
    run_id: str
    method: str

    @property
    def table(self) -> Table:
        """The table of all parts."""
        return self.workspace.table("runs", self.run_id, "samples", self.method)

    def parts(self, emotion: str) -> list[str]:
        """Finished parts of an emotion, in the order of their pictures; empty where there are none."""
        return [part for part in self.table.parts() if emotion_of(part) == emotion]

    def emotions(self) -> list[Emotion]:
        """Emotions that have samples, in the order of EMOTIONS.

        Raises:
            FileNotFoundError: none has.
        """
        present = {emotion_of(part) for part in self.table.parts()}
        if not present:
            raise FileNotFoundError(f"{self.table.uri} has no samples: generate them before evaluating {self.method!r}")
        return [emotion for emotion in EMOTIONS if emotion in present]

    def count(self, emotion: str) -> int:
        """Number of pictures of an emotion."""
        return self.table.count(self.parts(emotion))

    def read(self, emotion: str, columns: list[str]) -> pl.DataFrame:
        """All pictures of an emotion in order.

        Raises:
            FileNotFoundError: there are none, or fewer than were planned, because generating them was interrupted.
        """
        parts = self.parts(emotion)
        if not parts:
            raise FileNotFoundError(f"{self.table.uri} has no samples of {emotion}: generate them before evaluating {self.method!r}")
        rows = self.table.read(columns, parts)
        planned = self._planned()
        if planned is not None and rows.height != planned:
            raise FileNotFoundError(
                f"{self.table.uri} has {rows.height} of {planned} samples of {emotion}: generating them was interrupted, run it again"
            )
        return rows

    def head(self, emotion: str, count: int, columns: list[str]) -> pl.DataFrame:
        """The first pictures of an emotion, `count` at most; a frame without rows where there are none."""
        found = pl.DataFrame(schema=dict.fromkeys(columns, pl.Null))
        for part in self.parts(emotion):
            for rows in self.table.iter_part(part, columns, batch_size=count):
                found = rows if found.is_empty() else pl.concat([found, rows])
                if found.height >= count:
                    return found.head(count)
        return found

    def _planned(self) -> int | None:
        """Pictures an emotion is to have; None where nobody wrote it down."""
        place = settings_place(self.run_id, self.method)
        return self.workspace.read_json(*place).get("count") if self.workspace.exists(*place) else None


def settings_place(run_id: str, method: str) -> tuple[str, ...]:
    """Where the settings of a method's samples lie: beside the folder of their parts, where they are in no reader's way."""
    return ("runs", run_id, "samples", f"{method}.recipe.json")


def emotion_of(part: str) -> str:
    """The emotion that a part of samples belongs to."""
    return part.partition("-")[0]


PART_SIZE = 100
"""Pictures of one part: what a killed run loses at most. With the count and the batch size, which ids hash, it says what is denoised in one
batch, and so the last bit of a picture."""


@dataclass(frozen=True)
class SamplePlan:
    """`count` pictures of each of some emotions by one method; image k has seed `seed + k`, the same noise for every method and emotion."""

    method: Method
    count: int
    seed: int
    recipe: GenerationRecipe
    models: BaseModels
    model_run_id: str | None = None  # the run that holds the trained model, for methods that have one
    emotions: tuple[Emotion, ...] = EMOTIONS  # that pictures are made of; a run may hold those of others, which other plans asked for

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the pictures; `samples/<method>.recipe.json` holds it."""
        trained = {} if self.model_run_id is None else {"model": self.model_run_id}
        return {
            "method": self.method.name,
            "count": self.count,
            "seed": self.seed,
            "recipe": self.recipe.identity,
            "models": self.models.identity,
            **trained,
            **({"negative_prompt": "of every method"} if self.recipe.negative_prompt else {}),  # once it reached CoEmoGen alone
            **self.method.sample_identity(self.models, self.recipe),
        }

    @property
    def run_id(self) -> str:
        """Recipe id of the run that holds these samples; a baseline's does not change with the trained model."""
        return recipe_id("samples", self.settings)

    def pictures(self, part: str) -> tuple[str, range]:
        """Emotion and numbers of the pictures of one part.

        Raises:
            ValueError: no such part.
        """
        emotion = parse_emotion(emotion_of(part))
        if part not in self.parts():
            raise ValueError(f"no part {part!r} in a plan of {self.count} pictures an emotion: expected one of {', '.join(self.parts())}")
        first = int(part.partition("-")[2])
        return emotion, range(first, min(first + PART_SIZE, self.count))

    def parts(self) -> list[str]:
        """Names of all parts, `<emotion>-<number of its first picture>`."""
        return [f"{emotion}-{first:05d}" for emotion in self.emotions for first in range(0, self.count, PART_SIZE)]
