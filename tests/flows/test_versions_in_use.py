"""A run that starts from a version says so in the time of its record, before anything else: what a run uses is not pruned."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coemogen_core.curation.decisions import DecisionsRecord, write_record
from coemogen_core.storage.workspace import Workspace
from flows import recaption, train_and_eval
from flows.command_line.train_alone import train_alone
from flows.params import RecaptionParams, load_params
from flows.train_params import TrainAndEvalParams
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE


class StartedError(Exception):
    """The run has come to what it needs the version for."""


def train_by_command(workspace: Workspace, values: dict[str, Any]) -> None:
    train_alone(load_params("lab", TrainAndEvalParams, values))


def train_by_flow(workspace: Workspace, values: dict[str, Any]) -> None:
    train_and_eval._run(SimpleNamespace(workspace=workspace), load_params("lab", TrainAndEvalParams, {**values, "emoart_dataset": None}))


def caption_again(workspace: Workspace, values: dict[str, Any]) -> None:
    recaption._recaption(SimpleNamespace(workspace=workspace), load_params("lab", RecaptionParams, values))


@pytest.mark.parametrize(
    ("start", "first_step"),
    [
        (train_by_command, "flows.command_line.train_alone.trained_emotions"),
        (train_by_flow, "flows.train_and_eval.trained_emotions"),
        (caption_again, "flows.recaption.on_worker"),
    ],
)
def test_the_record_is_written_anew(start, first_step, workspace, monkeypatch):
    encoder = load_params("lab", RecaptionParams, {"workspace": workspace.uri, "dataset": "emoart"}).encoder.encoder_id
    version = "emoart-0123456789ab"
    record = DecisionsRecord(
        version=version, source=SOURCE, parts=PARTS, captions="", recipe=RECIPE.model_copy(update={"encoder_id": encoder})
    )
    write_record(workspace, record)
    place = Path(workspace.uri, "decisions", "emoart", f"{version}.recipe.json")
    os.utime(place, (1, 1))

    def stop(*_: object, **__: object) -> None:
        raise StartedError

    monkeypatch.setattr(first_step, stop)
    with pytest.raises(StartedError):
        start(workspace, {"workspace": workspace.uri, "dataset": "emoart", "version": version})
    assert place.stat().st_mtime > 1
