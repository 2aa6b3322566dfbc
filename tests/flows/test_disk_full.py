"""A disk that fills up: the run fails and says where, nothing half-written is left, and with more room the same command completes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from coemogen_core.lab.corpora import write_photos
from coemogen_core.storage.workspace import Workspace

PHOTOS, PART_SIZE = 240, 30
TABLES = ("images", "embeddings", "alignment", "decisions")
TIMES = ("asked_at", "latency_s")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A folder with room for little, and what changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)  # type: ignore[func-returns-value]
    finally:
        subprocess.run(["umount", folder], check=True)


def build(photos: Path, workspace: Path, clip: Path) -> subprocess.CompletedProcess[str]:
    arguments = ["build-emoset", photos, "--workspace", workspace]
    for setting in (f"encoder.model={clip}", f"part_size={PART_SIZE}", "caption.max_new_tokens=48"):
        arguments += ["--set", setting]
    environment = {**os.environ, "PREFECT_HOME": str(photos.parent / "prefect"), "OMP_NUM_THREADS": "1"}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-c", "from flows.command_line import main; main()", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


def tables(workspace: Path) -> dict[Path, bytes]:
    return {path.relative_to(workspace): path.read_bytes() for table in TABLES for path in (workspace / table).rglob("*.parquet")}


def captions(workspace: Path) -> pl.DataFrame:
    return Workspace(str(workspace)).table("captions", "emoset").read().drop(TIMES).sort("image_id", "attempt")


@pytest.mark.slow
def test_a_full_disk_is_named_and_with_room_the_same_command_completes(
    small_disk: tuple[Path, Callable[[str], None]], tmp_path: Path, tiny_clip: Path
) -> None:
    disk, resize = small_disk
    photos = write_photos(tmp_path / "photos", PHOTOS, 3)
    undisturbed, workspace = tmp_path / "undisturbed", disk / "workspace"
    assert build(photos, undisturbed, tiny_clip).returncode == 0

    failed = build(photos, workspace, tiny_clip)
    assert failed.returncode == 2
    assert f"no room for {workspace}" in failed.stderr
    assert "free some space there" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not [path for path in workspace.rglob("*") if path.name.endswith(".tmp")]
    before, expected = tables(workspace), tables(undisturbed)
    assert 0 < len(before) < len(expected)
    assert all(expected[path] == content for path, content in before.items())

    resize("64m")
    done = build(photos, workspace, tiny_clip)
    assert done.returncode == 0, done.stderr
    assert tables(workspace) == expected
    assert captions(workspace).equals(captions(undisturbed))
