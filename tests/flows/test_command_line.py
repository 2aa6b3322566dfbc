"""What a person sees who gives the command a wrong input: one line that names the thing and the remedy, exit code 2, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.command_line.options import nested


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PREFECT_HOME": str(home / "prefect")}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-c", "from flows.command_line import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_nested_settings() -> None:
    settings = ["training.steps=5", "training.seed=1", "evaluation.clip_model=lab:clip", "train_splits=['train', 'val']"]
    assert nested(settings) == {
        "training": {"steps": 5, "seed": 1},
        "evaluation": {"clip_model": "lab:clip"},
        "train_splits": ["train", "val"],
    }
    with pytest.raises(ValueError, match="key=value"):
        nested(["steps"])


@pytest.mark.slow
def test_a_wrong_path_is_named_with_its_remedy(tmp_path: Path) -> None:
    outcome = run("build-emoset", str(tmp_path / "absent"), "--workspace", str(tmp_path / "w"), home=tmp_path)
    assert outcome.returncode == 2
    assert "absent does not exist" in outcome.stderr
    assert "train.json" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_parameter_out_of_bounds_is_refused_before_any_work(tmp_path: Path) -> None:
    outcome = run("build-emoset", str(tmp_path), "--workspace", str(tmp_path / "w"), "--set", "drop_fraction=1.5", home=tmp_path)
    assert outcome.returncode == 2
    assert "drop_fraction" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (tmp_path / "w").exists()
