"""The GPU benchmark where there is no GPU: it says so, and its tiny mode goes through the whole script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "benchmarks" / "training_gpu.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_without_cuda_nothing_is_measured(tmp_path):
    done = run("--json", str(tmp_path / "rows.json"))
    assert done.returncode == 2
    assert "needs a CUDA device" in done.stderr
    assert not (tmp_path / "rows.json").exists()


@pytest.mark.slow
def test_the_tiny_mode_fills_the_table(tmp_path):
    done = run("--tiny", "--json", str(tmp_path / "rows.json"))
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    assert rows["batch 2"]["ours"] > 0
    share = rows["batch 2, of the matmul peak"]
    assert share["reference"] == pytest.approx(rows["matmul peak"]["ours"] * 1e12)
    assert share["ours"] == pytest.approx(rows["batch 2"]["ours"] * rows["a sample's step"]["ours"] * 1e12)
    assert all(row["bar"] is None and row["holds"] is None for row in rows.values())  # the bars are those of a GPU
