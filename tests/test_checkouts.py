"""Ids name what was computed, never where: two checkouts at different paths give the same ones, so a workspace moves between them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from docs.packages import LAYERS, ROOT
from tests.lab_ids import lab_ids


def test_two_checkouts_give_the_same_ids(tmp_path: Path) -> None:
    other = tmp_path / "another place" / "checkout"
    for layer in LAYERS:
        shutil.copytree(ROOT / layer, other / layer, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests" / "lab_ids.py", other / "lab_ids.py")
    command = [sys.executable, str(other / "lab_ids.py"), str(tmp_path / "elsewhere")]
    environment = {**os.environ, "PYTHONPATH": str(other)}
    printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout)
    assert Path(printed["code"]).is_relative_to(other)
    assert printed["ids"] == lab_ids(tmp_path / "here")
