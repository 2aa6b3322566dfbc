import pytest
from safetensors.torch import load_file

from coemogen_core.emotions import EMOTIONS
from flows.command_line import app
from flows.model_commands import export_lora, parse_query


def test_all_exports_what_was_trained_and_names_the_rest(trained_workspace, models, tmp_path, capsys):
    exports = export_lora(workspace=trained_workspace, run_id="train-1", emotion="all", destination=str(tmp_path), models=models)
    assert [export.name for export in exports] == [f"coemogen-{emotion}" for emotion in EMOTIONS[:5]]
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(export.name for export in exports)
    assert "left out, the training corpus had no such pictures: disgust, fear, sadness" in capsys.readouterr().out


def test_the_command_takes_fusion_intensity_and_name(trained_workspace, models, tmp_path, monkeypatch):
    monkeypatch.setattr("flows.command_line.models.prepare_environment", lambda: None)
    base = [f"--set=models.{name}={getattr(models, name)}" for name in ("diffusion", "clip")]
    wanted = ["--emotion", "awe=0.6,anger=0.4", "--intensity", "1.5", "--name", "storm", "--licence", "CC0-1.0"]
    place = ["--workspace", trained_workspace, "--run", "train-1", "--destination", str(tmp_path)]
    command, bound, _ = app.parse_args(["export-lora", *place, *wanted, *base])
    command(*bound.args, **bound.kwargs)
    lora = load_file(tmp_path / "storm" / "pytorch_lora_weights.safetensors")
    assert {tensor.shape[0] for name, tensor in lora.items() if ".lora_A." in name} == {16}
    assert "awe 0.9, anger 0.6, positive 0.9, negative 0.6" in (tmp_path / "storm" / "README.md").read_text()
    assert "CC0-1.0" in (tmp_path / "storm" / "README.md").read_text()


def test_queries_are_read_and_bad_ones_refused(trained_workspace, models, tmp_path):
    assert parse_query("awe") == {"awe": 1.0}
    assert parse_query("awe=0.6, fear=0.4") == {"awe": 0.6, "fear": 0.4}
    with pytest.raises(ValueError, match=r"no number; write e\.g\."):
        parse_query("awe=much")
    with pytest.raises(ValueError, match="twice"):
        parse_query("awe=1,awe=2")
    with pytest.raises(ValueError, match="leave it out"):
        export_lora(workspace=trained_workspace, run_id="train-1", emotion="all", destination=str(tmp_path), models=models, name="x")
    with pytest.raises(FileNotFoundError, match="train first"):
        export_lora(workspace=trained_workspace, run_id="none", emotion="awe", destination=str(tmp_path), models=models)
