"""What a stage reports: counts and times, per part and for the whole stage."""

from pydantic import Field

from schemas.frozen_model import FrozenModel


class PartOutcome(FrozenModel):
    """What became of one part in one stage."""

    part: str = Field(description="name of the part")
    rows: int = Field(ge=0, description="rows that the finished part holds")
    dropped: int = Field(default=0, ge=0, description="rows that were rejected or failed, each listed with its reason in a table")
    reused: bool = Field(default=False, description="the part was there already and nothing was computed")
    seconds: float = Field(default=0.0, ge=0, description="wall-clock time")


class StageOutcome(FrozenModel):
    """What became of one stage of a flow: its parts added up."""

    stage: str = Field(description="name of the stage, e.g. build-emoset/caption")
    parts: int = Field(ge=0, description="number of parts")
    reused_parts: int = Field(ge=0, description="parts that were there already")
    rows: int = Field(ge=0, description="rows in all parts")
    dropped: int = Field(ge=0, description="rows rejected or failed")
    seconds: float = Field(ge=0, description="wall-clock time of the stage")

    @property
    def recomputed_nothing(self) -> bool:
        """Whether every part was there already."""
        return self.parts == self.reused_parts

    @classmethod
    def without_parts(cls, stage: str) -> "StageOutcome":
        """A stage of which no part is done."""
        return cls(stage=stage, parts=0, reused_parts=0, rows=0, dropped=0, seconds=0.0)

    def plus(self, part: PartOutcome) -> "StageOutcome":
        """The same with one more part. Its `seconds` are left alone: parts run side by side."""
        added = {
            "parts": self.parts + 1,
            "reused_parts": self.reused_parts + part.reused,
            "rows": self.rows + part.rows,
            "dropped": self.dropped + part.dropped,
        }
        return self.model_copy(update=added)


class CorpusOutcome(FrozenModel):
    """What a corpus flow made."""

    dataset: str = Field(description="name of the dataset")
    version: str = Field(description="version of its decisions")
    stages: list[StageOutcome] = Field(description="every stage in order")


class RecaptionOutcome(FrozenModel):
    """What recaption did."""

    dataset: str = Field(description="name of the dataset")
    run_id: str = Field(description="folder below recaption/<dataset>/ that holds the choice and the outcome")
    version: str = Field(description="version of the decisions with the captions that are current now")
    chosen: int = Field(ge=0, description="pictures chosen")
    asked: int = Field(ge=0, description="of which asked, before the time ran out")
    captioned: int = Field(ge=0, description="of which got a new caption")
    became_current: int = Field(ge=0, description="of which the policy took the new caption")
    exhausted: int = Field(ge=0, description="pictures that a reason named, left alone because this recipe was asked often enough")
    over_budget: int = Field(ge=0, description="pictures that a reason named, beyond the budget of images")
    stages: list[StageOutcome] = Field(description="every stage in order")


class RunOutcome(FrozenModel):
    """What train-and-eval made."""

    run_id: str = Field(description="folder below runs/ that holds samples, metrics.json and report.html")
    model_run_id: str | None = Field(
        description="folder below runs/ that holds the model of the first trained method; null where none is trained"
    )
    sample_runs: dict[str, str] = Field(description="by method, the folder below runs/ that holds its samples")
    report: str = Field(description="URI of the report")
    metrics: str = Field(description="URI of metrics.json")
    experiments: str | None = Field(default=None, description="URI of the table of a matrix, experiments.md; null without a matrix")
    stages: list[StageOutcome] = Field(description="every stage in order")
