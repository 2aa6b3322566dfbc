"""Where the mapped stages of a flow run: on this process's threads, or on a Ray cluster."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ThreadExecution(_Settings):
    """Parts run in the process of the flow: torch work one part after the other, captions from servers side by side."""

    runner: Literal["threads"] = Field(default="threads", description="threads = in the flow's own process")


class RayExecution(_Settings):
    """Parts run in the worker processes of a Ray cluster, each of which loads a model once. Needs the extra `ray`."""

    runner: Literal["ray"] = Field(description="ray = in the worker processes of a Ray cluster")
    address: str | None = Field(
        default=None,
        min_length=1,
        description="of a running cluster, e.g. ray://head:10001; none = a cluster on this machine for as long as the flow runs",
    )
    workers: int | None = Field(
        default=None, ge=1, le=1024, description="worker processes of a cluster on this machine; none = one for every core"
    )
    cpus_per_part: float = Field(default=1.0, gt=0, le=1024, description="cores that a part takes from the cluster")
    gpus_per_part: float = Field(default=0.0, ge=0, le=64, description="GPUs that a part takes; a fraction lets parts share one")
    tries_after_death: int = Field(
        default=3, ge=0, le=100, description="times that a part starts again when the process or the machine that worked on it has died"
    )


Execution = Annotated[ThreadExecution | RayExecution, Field(discriminator="runner")]
