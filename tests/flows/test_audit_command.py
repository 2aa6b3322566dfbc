"""The two commands: a page out, verdicts in, and a table that says what was accepted."""

from pathlib import Path

import polars as pl
import pytest

from coemogen_core.storage.workspace import Workspace
from flows.command_line.datasets import audit, import_audit
from tests.coemogen_core.captioning.audit.audited_source import exported, verdict_rows, write_decisions, write_source


def test_a_page_goes_out_and_verdicts_come_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(str(tmp_path / "workspace"))
    captions = write_source(workspace)
    write_decisions(workspace, captions, pl.lit(True))
    audit(workspace=workspace.uri, per_emotion=5, destination=str(tmp_path / "page.html"))
    said = capsys.readouterr().out
    audit_id = said.partition(":")[0]
    assert f"{audit_id}: 32 captions, 5 of each emotion were asked for" in said
    assert "only 4 of fear" in said
    assert str(tmp_path / "page.html") in said

    rows = verdict_rows(captions)
    rows[0] |= {"verdict": "reject"}
    file = tmp_path / f"verdicts-{audit_id}.json"
    file.write_bytes(exported([*rows, rows[1] | {"attempt": 3}], audit_id=audit_id))
    import_audit(str(file), workspace=workspace.uri)
    said = capsys.readouterr().out
    assert "32 verdicts recorded; refused: 1" in said
    assert "no such attempt" in " ".join(said.split())
    assert "96.9 %" in said
    import_audit(str(file), workspace=workspace.uri)
    assert "32 verdicts had been recorded before" in capsys.readouterr().out
