"""Pictures of a page: read few at a time; what cannot be shown has a reason."""

from pathlib import Path

import polars as pl
import pytest

from coemogen_core.captioning.audit.page import read_thumbnails
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.captioning.audit.audited_source import PARTS, SOURCE, picture, write_images


def test_pictures_are_found_part_by_part_and_missing_ones_have_a_reason(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    first = write_images(workspace, PARTS[0], [picture(number) for number in range(130)])
    broken = write_images(workspace, PARTS[1], [b"no picture", picture(500)])
    wanted = pl.DataFrame(
        {
            "image_id": [first[0], first[129], broken[0], broken[1], first[3], "f" * 64],
            "part": [PARTS[0], PARTS[0], PARTS[1], PARTS[1], "part-00009", PARTS[0]],
        }
    )
    found, missing = read_thumbnails(workspace, SOURCE, wanted)
    assert set(found) == {first[0], first[129], broken[1]}
    assert "not an image" in missing[broken[0]]
    assert "not in part part-00009" in missing[first[3]]
    assert f"not in part {PARTS[0]}" in missing["f" * 64]
    assert len(missing) == 3


def test_a_source_without_pictures_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="ingest the source 'photos' first"):
        read_thumbnails(Workspace(str(tmp_path)), SOURCE, pl.DataFrame({"image_id": ["0" * 64], "part": [PARTS[0]]}))
