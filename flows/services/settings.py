"""Where the services of one machine live and listen."""

import os
import sys
from pathlib import Path
from typing import Self

from pydantic import Field

from coemogen_core.errors import CoEmoGenError
from coemogen_core.storage.whole_file import write_atomically
from flows.deployments import Pool
from flows.environment import NOTHING_PHONES_HOME, loopback_without_proxy
from schemas.frozen_model import FrozenModel

HOST = "127.0.0.1"
HEARTBEAT_S = 30  # of a flow run; Prefect allows no shorter one
SILENCE_S = 75  # without a heartbeat for so long, a flow run counts as dead
WORKER_POLL_S = 3  # a worker asks so often whether there is work
LEASES_ON_DISK = "prefect.server.concurrency.lease_storage.filesystem"  # in memory, a server that dies leaves its limits full for ever
RECORDED_TOGETHER = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
"""The server writes down what became of task runs, many at a time: one by one it falls behind a stage of many small parts."""

FILE = "settings.json"


class ServiceError(CoEmoGenError):
    """A service did not start, or lacks what is asked of it; the message names its log, or what to do first."""


class ServiceSettings(FrozenModel):
    """What `coemogen serve` starts."""

    folder: Path = Field(default=Path(".prefect"), description="takes Prefect's database, logs, and the list of what was started")
    port: int = Field(default=4200, ge=1, le=65_535, description="of the server, on 127.0.0.1")
    project: Path = Field(default=Path(), description="folder that holds prefect.yaml")
    pools: tuple[Pool, ...] = Field(default=("lab",), min_length=1, description="pools that get a worker on this machine")
    runs_at_once: int = Field(default=2, ge=1, le=64, description="flow runs that a worker executes side by side")
    caption_parts: int = Field(default=8, ge=1, le=1024, description="limit `captioner`: parts that may be captioned by servers at once")
    gpus: int = Field(default=1, ge=1, le=1024, description="limit `gpu`, and of the pool of that name: tasks on a GPU at once")

    @property
    def api_url(self) -> str:
        """Of the server."""
        return f"http://{HOST}:{self.port}/api"

    @property
    def ui_url(self) -> str:
        """What a person opens."""
        return f"http://{HOST}:{self.port}"

    def save(self) -> None:
        """Keep the settings in the folder, for `load`."""
        write_atomically(str((self.folder / FILE).resolve()), self.model_dump_json(indent=2).encode())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The settings of the services of a folder.

        Raises:
            FileNotFoundError: nothing was ever served from it.
        """
        return cls.model_validate_json((folder / FILE).read_bytes()).model_copy(update={"folder": folder})

    def variables(self) -> dict[str, str]:
        """The environment of everything that is started: one database, one server, telemetry is off."""
        own = {
            "PREFECT_HOME": str(self.folder.resolve()),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES_ON_DISK,
            "PREFECT_SERVER_LOG_RETRYABLE_ERRORS": "true",  # what a 503 was about stands in the server's log
            **RECORDED_TOGETHER,
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_CLI_COLORS": "false",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
            "PREFECT_WORKER_QUERY_SECONDS": str(WORKER_POLL_S),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",  # prefect.yaml's steps call python
        }
        return {**os.environ, **NOTHING_PHONES_HOME, **loopback_without_proxy(), **own}
