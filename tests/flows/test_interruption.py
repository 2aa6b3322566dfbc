"""A run that is killed in the middle of captioning and started again ends with the tables of an undisturbed run."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.flows.chain import PHOTOS, captions, start_emoset

DEADLINE_S = 600


@pytest.mark.slow
def test_sigkill_in_the_middle_of_captioning(world: Path, chain: Path, tiny_clip: Path, prefect_server: str, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    process = start_emoset(world, killed, tiny_clip, prefect_server)
    deadline = time.monotonic() + DEADLINE_S
    while not list(killed.glob("captions/emoset/*/*.parquet")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = captions(str(killed)).height
    assert 0 < before < PHOTOS

    again = start_emoset(world, killed, tiny_clip, prefect_server)
    said = again.communicate(timeout=DEADLINE_S)[1]
    assert again.returncode == 0, said
    assert captions(str(killed)).equals(captions(str(chain)))
    for table in ("images/emoset", "embeddings/emoset", "alignment/emoset", "decisions/emoset"):
        files = sorted(path.relative_to(chain) for path in (chain / table).rglob("*.parquet"))
        assert files == sorted(path.relative_to(killed) for path in (killed / table).rglob("*.parquet"))
        assert all((chain / file).read_bytes() == (killed / file).read_bytes() for file in files)
