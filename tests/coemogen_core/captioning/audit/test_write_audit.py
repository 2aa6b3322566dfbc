"""Writing an audit: a page, the record of what it shows, and a copy where it is wanted."""

from pathlib import Path

import polars as pl
import pytest

from coemogen_core.captioning.audit.page import write_audit
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.captioning.audit.audited_source import PARTS, SOURCE, auditable, picture, write_images, write_source


def test_the_same_captions_give_the_same_page(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "workspace"))
    captions = write_source(workspace)
    page = write_audit(workspace, SOURCE, captions, per_emotion=3, seed=1, destination=str(tmp_path / "page.html"))
    content = (tmp_path / "page.html").read_bytes()
    assert workspace.read_file("audits", SOURCE, page.audit_id, "page.html") == content
    assert page.uri.endswith(f"audits/photos/{page.audit_id}/page.html")
    assert set(page.counts.values()) == {3}
    assert (page.short, page.left_out) == ((), {})
    assert write_audit(workspace, SOURCE, captions.reverse(), per_emotion=3, seed=1).audit_id == page.audit_id
    assert workspace.read_file("audits", SOURCE, page.audit_id, "page.html") == content
    record = workspace.read_json("audits", SOURCE, page.audit_id, "sample.json")
    assert (record["seed"], record["per_emotion"], len(record["captions"])) == (1, 3, 24)
    others = [
        write_audit(workspace, SOURCE, captions, per_emotion=3, seed=2),
        write_audit(workspace, SOURCE, captions, per_emotion=2, seed=1),
        write_audit(workspace, SOURCE, captions.with_columns(caption=pl.lit("another")), per_emotion=3, seed=1),
    ]
    assert len({page.audit_id, *(other.audit_id for other in others)}) == 4


@pytest.mark.parametrize("destination", ["folder/", "existing"])
def test_a_folder_takes_the_copy_too(tmp_path: Path, destination: str) -> None:
    workspace = Workspace(str(tmp_path / "workspace"))
    (tmp_path / "existing").mkdir()
    page = write_audit(workspace, SOURCE, write_source(workspace), per_emotion=1, destination=str(tmp_path) + "/" + destination)
    assert page.copied_to is not None
    assert Path(page.copied_to) == tmp_path / destination / f"{page.audit_id}.html"
    assert Path(page.copied_to).is_file()


def test_too_few_captions_and_broken_pictures_are_said(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ids = write_images(workspace, PARTS[0], [picture(0), b"no picture", picture(2)])
    page = write_audit(workspace, SOURCE, auditable(ids), per_emotion=1)
    assert page.counts == {"amusement": 1, "awe": 0, "contentment": 1, "excitement": 0, "anger": 0, "disgust": 0, "fear": 0, "sadness": 0}
    assert page.short == ("awe", "excitement", "anger", "disgust", "fear", "sadness")
    assert list(page.left_out) == [ids[1]]


def test_an_audit_of_nothing_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ids = write_images(workspace, PARTS[0], [b"no picture"])
    with pytest.raises(ValueError, match="no captions to audit"):
        write_audit(workspace, SOURCE, auditable(ids).clear())
    with pytest.raises(ValueError, match="no picture of the 1 drawn captions can be shown"):
        write_audit(workspace, SOURCE, auditable(ids))
    with pytest.raises(FileNotFoundError, match="ingest the source 'paintings' first"):
        write_audit(workspace, "paintings", auditable(ids))
    assert not workspace.exists("audits")
