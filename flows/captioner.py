"""The captioner of a flow: endpoints that are there already, or a server of its own, started for the captioning alone."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from coemogen_core.captioning.recipe import BackendSettings, ServerSettings
from coemogen_core.captioning.server.own_server import serve
from coemogen_core.storage.local_files import local_folder
from coemogen_core.storage.workspace import Workspace
from flows.progress import console

LOG = "captioner.log"


@contextmanager
def running_captioner(settings: BackendSettings, workspace: Workspace, needed: Callable[[], bool]) -> Iterator[BackendSettings]:
    """Settings whose endpoints answer. A server of our own ends with the block, so that its GPU is free for what comes next.

    Args:
        settings: as the user gave them.
        workspace: a local one takes the server's log, `logs/captioner.log`; else it lies in the folder for temporary files.
        needed: whether anything will be asked; if not, no server is started.

    Raises:
        FileNotFoundError, OSError, OwnServerError: see `serve`.
    """
    if not isinstance(settings, ServerSettings) or settings.own is None:
        yield settings
        return
    if not needed():
        yield settings.model_copy(update={"own": None})
        return
    folder = local_folder(workspace.path("logs")) or Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    console.print(f"starting a captioner for {settings.own.model} (log: {folder / LOG})", highlight=False)
    with serve(settings.own, folder / LOG) as server:
        patience_s = max(settings.patience_s, settings.own.startup_timeout_s)  # one that dies is started again: that takes a while
        yield settings.model_copy(update={"own": None, "endpoints": (server.endpoint,), "patience_s": patience_s})


def parts_at_once(settings: BackendSettings) -> int:
    """How many parts may be captioned side by side: a local model takes one at a time."""
    return settings.parts_at_once if isinstance(settings, ServerSettings) else 1
