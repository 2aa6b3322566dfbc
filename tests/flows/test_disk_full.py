"""A disk that fills up: the run fails and says where, nothing half-written is left, and with more room the same command completes."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.chain import captions, start_emoset

TABLES = ("images/emoset", "embeddings/emoset", "alignment/emoset", "decisions/emoset")
ROOM, PAGE = 0.5, 4096
DEADLINE_S = 600


@pytest.fixture
def small_disk(chain: Path, tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A folder with room for about half of the tables, and what changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    needed = sum(-(-len(content) // PAGE) * PAGE for content in tables(chain).values())
    size = f"size={round(ROOM * needed)}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)  # type: ignore[func-returns-value]
    finally:
        subprocess.run(["umount", folder], check=True)


def tables(workspace: Path) -> dict[Path, bytes]:
    return {path.relative_to(workspace): path.read_bytes() for table in TABLES for path in (workspace / table).rglob("*.parquet")}


@pytest.mark.slow
def test_a_full_disk_is_named_and_with_room_the_same_command_completes(
    small_disk: tuple[Path, Callable[[str], None]], world: Path, chain: Path, tiny_clip: Path, prefect_server: str
) -> None:
    disk, resize = small_disk
    workspace = disk / "workspace"
    failed = start_emoset(world, workspace, tiny_clip, prefect_server)
    said = failed.communicate(timeout=DEADLINE_S)[1]
    assert failed.returncode == 2, said
    assert f"no room for {workspace}" in said
    assert "free some space there" in said
    assert "Traceback" not in said
    assert not [path for path in workspace.rglob("*") if path.name.endswith(".tmp")]
    before, expected = tables(workspace), tables(chain)
    assert 0 < len(before) < len(expected)
    assert all(expected[path] == content for path, content in before.items())

    resize("64m")
    done = start_emoset(world, workspace, tiny_clip, prefect_server)
    said = done.communicate(timeout=DEADLINE_S)[1]
    assert done.returncode == 0, said
    assert tables(workspace) == expected
    assert captions(str(workspace)).equals(captions(str(chain)))
