"""benchmarks/lab_matrix.py compares with the real images that the flow would take."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.params import load_params
from flows.train_params import TrainAndEvalParams


@pytest.mark.parametrize("protocol", ["corrected", "emogen"])
def test_the_protocol_of_the_evaluation_chooses_the_real_images(protocol: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    script = importlib.import_module("lab_matrix")
    matrix = {"seeds": [0], "methods": [{"method": "sd"}]}
    values = {"workspace": str(tmp_path), "evaluation": {"protocol": protocol}, "matrix": matrix}
    for name, found in (("read_corpora", []), ("own_corpora", {}), ("reference_record", SimpleNamespace(source="photos"))):
        monkeypatch.setattr(script, name, lambda *_, found=found: found)
    monkeypatch.setattr(script, "trained_emotions", lambda *_: ["awe"])
    asked: list[tuple[object, ...]] = []

    def select(*given: object) -> object:
        asked.append(given[1:4])
        raise InterruptedError

    monkeypatch.setattr(script, "select_reference", select)
    params = load_params("lab", TrainAndEvalParams, values)
    with pytest.raises(InterruptedError):
        script.run_matrix(params, "lab")
    assert asked == [("photos", params.evaluation.minimum_reference, protocol)]
