"""A run that nobody could resume is refused before it begins; the pause itself is tested with a real worker (tests/orchestration)."""

from pathlib import Path

import pytest

from flows.build_emoset import build_emoset
from flows.params import BuildEmosetParams


@pytest.mark.usefixtures("prefect_server")
def test_without_a_deployment_the_pause_is_refused_before_any_work(tmp_path: Path) -> None:
    params = BuildEmosetParams.model_validate(
        {
            "workspace": str(tmp_path / "workspace"),
            "source": {"name": "emoset", "layout": "emoset", "root": str(tmp_path / "nowhere")},
            "encoder": {"model": "lab:clip"},
            "caption": {"model": "lab:captioner"},
            "pause_for_audit": True,
        }
    )
    with pytest.raises(ValueError, match="pause_for_audit needs a run of a deployment"):
        build_emoset(params)
    assert not (tmp_path / "workspace").exists()
