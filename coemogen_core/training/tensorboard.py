"""The curves of a training in TensorBoard: event files under `<run>/tensorboard` that say what the log says."""

import shutil
from typing import Any

from accelerate.tracking import TensorBoardTracker

from coemogen_core.data.workspace import Workspace, local_folder

FOLDER = "tensorboard"


class TensorBoardCurves:
    """Writes log lines as scalars, by accelerate's tracker. Only on a local disk: event files grow, objects in a bucket do not.

    The files are made anew from the log at every start: after an interruption no interval is missing, and none stands there twice.
    """

    def __init__(self, workspace: Workspace, run_id: str, lines: list[dict[str, Any]], *, enabled: bool) -> None:
        """Start the curves with the lines so far; switched off, nothing is written."""
        folder = local_folder(workspace.path("runs", run_id)) if enabled else None
        self._tracker: TensorBoardTracker | None = None
        if folder is None:
            return
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        self._tracker = TensorBoardTracker(FOLDER, folder)
        self._tracker.start()
        for line in lines:
            self.add(line)

    def add(self, line: dict[str, Any]) -> None:
        """Write one interval: both losses, overall and per emotion, learning rate and time per step."""
        if self._tracker is None:
            return
        scalars = {"L_LDM/all": line["ldm"], "L_SEM/all": line["sem"], "learning_rate": line["learning_rate"]}
        scalars["seconds_per_step"] = line["seconds_per_step"]
        for emotion, losses in line.get("emotions", {}).items():
            scalars |= {f"L_LDM/{emotion}": losses["ldm"], f"L_SEM/{emotion}": losses["sem"]}
        self._tracker.log(scalars, step=line["step"])

    def close(self) -> None:
        """Write what is pending."""
        if self._tracker is not None:
            self._tracker.finish()
