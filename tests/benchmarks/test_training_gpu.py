"""The GPU benchmark where there is no GPU: it says so, and its tiny mode goes through the whole script."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def run(monkeypatch, *arguments):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", ["training_gpu.py", *arguments])
    runpy.run_path(str(BENCHMARKS / "training_gpu.py"), run_name="__main__")


def test_without_cuda_nothing_is_measured(monkeypatch, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "--json", str(tmp_path / "rows.json"))
    assert ended.value.code == 2
    assert "needs a CUDA device" in capsys.readouterr().err
    assert not (tmp_path / "rows.json").exists()


def test_the_tiny_mode_fills_the_table(monkeypatch, tmp_path):
    run(monkeypatch, "--tiny", "--json", str(tmp_path / "rows.json"))
    rows = {row["name"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    assert rows["batch 2"]["ours"] > 0
    share = rows["batch 2, of the matmul peak"]
    assert share["reference"] == pytest.approx(rows["matmul peak"]["ours"] * 1e12)
    assert share["ours"] == pytest.approx(rows["batch 2"]["ours"] * rows["a sample's step"]["ours"] * 1e12)
    assert all(row["bar"] is None and row["holds"] is None for row in rows.values())  # the bars are those of a GPU
