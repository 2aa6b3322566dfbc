"""The id of an evaluation: everything that its numbers and its report depend on, and nothing that belongs to a machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from coemogen_core.evaluation import recipe as evaluation_recipe
from coemogen_core.evaluation.recipe import load_extractors
from coemogen_core.evaluation.reference import ReferenceSelection
from coemogen_core.report.build import CorpusVersion, ReportRecipe
from coemogen_core.storage.workspace import Workspace
from flows import train_and_eval
from flows.params import load_params
from flows.train_and_eval import Cell, evaluation_id
from flows.train_params import TrainAndEvalParams

SELECTION = ReferenceSelection(source="photos", split="test", parts=("a", "b"), images=600, rows="0")
CORPUS, ART = CorpusVersion(dataset="emoset", version="v1"), CorpusVersion(dataset="emoart", version="v1")
MATRIX = {"methods": [{"method": "coemogen"}, {"method": "sd"}], "seeds": [0]}


def eval_id(settings: dict[str, Any] | None = None, **changed: Any) -> str:
    params = load_params("lab", TrainAndEvalParams, {"workspace": "/here", **(settings or {})})
    given = {"shown": {"sd": "samples-a"}, "cells": list[Cell](), "selection": SELECTION, "shows": ReportRecipe()}
    given["numbers"] = params.evaluation.numbers_identity(load_extractors(params.evaluation))
    corpora = {"corpus": CORPUS, "art": ART, "truth": {"a.jpg": "awe", "b.jpg": None}}
    return evaluation_id(params, **{**given, "corpora": corpora | changed.pop("corpora", {}), **changed})


@pytest.mark.parametrize(
    "settings",
    [
        {"workspace": "/there"},
        {"emoart_truth": "/there/paintings"},
        {"evaluation": {"batch_size": 3}},
        {"evaluation": {"device": "cpu"}},
        {"launch": {"processes": 2}},
    ],
    ids=str,
)
def test_nothing_of_a_machine_is_part_of_it(settings: dict[str, Any]) -> None:
    assert eval_id(settings) == eval_id()


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], str]] = {
    "the samples": lambda _: eval_id(shown={"sd": "samples-b"}),
    "the protocol": lambda _: eval_id({"evaluation": {"protocol": "emogen"}}),
    "the resamples": lambda _: eval_id({"evaluation": {"resamples": 30}}),
    "the real images": lambda _: eval_id(selection=SELECTION.model_copy(update={"parts": ("a", "c")})),
    "the split of the real images": lambda _: eval_id(selection=SELECTION.model_copy(update={"split": None})),
    "the corpus": lambda _: eval_id(corpora={"corpus": CORPUS.model_copy(update={"version": "v2"})}),
    "the art": lambda _: eval_id(corpora={"art": ART.model_copy(update={"version": "v2"})}),
    "the truth of the art": lambda _: eval_id(corpora={"truth": {"a.jpg": "fear", "b.jpg": None}}),
    "no truth": lambda _: eval_id(corpora={"truth": None}),
    "what the report shows": lambda _: eval_id(shows=ReportRecipe(columns=3)),
    "a matrix": lambda _: eval_id({"matrix": MATRIX}),
    "a label": lambda _: eval_id({"matrix": {**MATRIX, "methods": [{"method": "coemogen", "label": "ours"}, {"method": "sd"}]}}),
    "the version of the numbers": lambda patch: (patch.setattr(evaluation_recipe, "NUMBERS_VERSION", 99), eval_id())[1],
    "the version of the features": lambda patch: (patch.setattr(evaluation_recipe, "FEATURES_VERSION", 99), eval_id())[1],
    "the version of the report": lambda patch: (patch.setattr(train_and_eval, "REPORT_VERSION", 99), eval_id())[1],
}


def test_every_change_of_what_is_shown_gives_an_id_of_its_own() -> None:
    ids = {"nothing": eval_id()}
    for name, change in CHANGES.items():
        with pytest.MonkeyPatch.context() as patch:
            ids[name] = change(patch)
    assert len(set(ids.values())) == len(ids), ids


class AskedError(Exception):
    """The id was asked for, with these corpora."""


def test_the_flow_counts_the_truth_of_the_art_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def asked(*given: Any) -> str:
        raise AskedError(given[-1])

    truth = {"a.jpg": "awe"}
    corpora = {
        "read_corpora": [Mock(dataset="emoset", version="v1")],
        "own_corpora": {},
        "reference_record": Mock(),
        "each_record": [],
        "trained_emotions": (),
    }
    replaced = {"resolve_version": "v1", **corpora, "cell_settings": Mock(), "on_worker": {}, "_cache_features": None, "_train": []}
    for name, found in replaced.items():
        monkeypatch.setattr(train_and_eval, name, lambda *_, found=found: found)
    monkeypatch.setattr(train_and_eval, "select_reference_task", lambda *_: SELECTION)
    monkeypatch.setattr(train_and_eval, "true_emotions", lambda _: truth)
    monkeypatch.setattr(train_and_eval, "evaluation_id", asked)
    params = load_params("lab", TrainAndEvalParams, {"workspace": str(tmp_path), "emoart_dataset": "emoart"})
    with pytest.raises(AskedError) as found:
        train_and_eval._run(Mock(workspace=Workspace(params.workspace)), params)
    assert found.value.args[0]["truth"] == truth
