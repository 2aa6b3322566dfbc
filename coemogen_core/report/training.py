"""The losses of the training behind a run, for its report."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.sample_plan import settings_place
from coemogen_core.report.data import LossCurves, TrainingPart
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.beginning import trainings_behind
from coemogen_core.training.feature_set import joined_sets
from coemogen_core.training.loss_log import read_log, smooth

POINTS = 150  # of a curve, at most: more make a chart no clearer and the page heavier


@dataclass(frozen=True)
class TrainedFeatures:
    """Cached features that a model behind the samples was trained on."""

    dataset: str
    feature_id: str
    mirror: bool  # whether it saw the mirror images too


def trained_features(workspace: Workspace, sample_runs: Mapping[str, str]) -> list[TrainedFeatures]:
    """What the models behind the samples were trained on, each set once; of a fine-tuned one, what the model before it saw as well."""
    found: dict[tuple[str, str], bool] = {}
    for run_id in _trainings(workspace, sample_runs):
        for training in trainings_behind(workspace, run_id):
            for one in joined_sets(workspace, training["dataset"], training["features"]):
                found[one] = found.get(one, False) or training.get("recipe", {}).get("mirror", True)
    return [TrainedFeatures(*one, mirror) for one, mirror in found.items()]


def training_part(workspace: Workspace, sample_runs: Mapping[str, str]) -> TrainingPart | None:
    """The losses of the model that made the samples; None where no training of this workspace did, or its log knows no emotions."""
    for run_id in _trainings(workspace, sample_runs):
        lines = [line for line in read_log(workspace, run_id) if "emotions" in line]
        if lines:
            shown = sorted({int(index) for index in np.linspace(0, len(lines) - 1, min(len(lines), POINTS))})
            diffusion, semantic = (_curves(lines, loss, shown) for loss in ("ldm", "sem"))
            steps = [lines[index]["step"] for index in shown]
            begun = next(trainings_behind(workspace, run_id), {}).get("recipe", {}).get("from_run")
            return TrainingPart(run_id=run_id, from_run=begun, steps=steps, diffusion=diffusion, semantic=semantic)
    return None


def _trainings(workspace: Workspace, sample_runs: Mapping[str, str]) -> Iterator[str]:
    """The trainings of the models that made the samples, method by method."""
    for method, run_id in sample_runs.items():
        place = settings_place(run_id, method)
        found = workspace.read_json(*place).get("model") if workspace.exists(*place) else None
        if found is not None:
            yield found


def _curves(lines: list[dict[str, Any]], loss: str, shown: list[int]) -> LossCurves:
    overall = smooth([line[loss] for line in lines])
    present = [emotion for emotion in EMOTIONS if any(emotion in line["emotions"] for line in lines)]
    by_emotion = {emotion: _smooth_known([line["emotions"].get(emotion, {}).get(loss) for line in lines]) for emotion in present}
    return LossCurves(
        overall=[overall[index] for index in shown],
        per_emotion={emotion: [values[index] for index in shown] for emotion, values in by_emotion.items()},
    )


def _smooth_known(values: list[float | None]) -> list[float | None]:
    """Smoothed over the intervals that have a value; one without has that of the interval before."""
    known = iter(smooth([value for value in values if value is not None]))
    smoothed: list[float | None] = []
    for value in values:
        smoothed.append(next(known) if value is not None else (smoothed[-1] if smoothed else None))
    return smoothed
