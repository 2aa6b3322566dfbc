import pytest
from safetensors.torch import load_file

from coemogen_core.emotions import EMOTIONS
from flows.command_line import app
from flows.command_line.models import export_lora
from flows.command_line.options import parse_query


@pytest.fixture
def place(trained_workspace, models) -> dict:
    settings = [f"models.{name}={getattr(models, name)}" for name in ("diffusion", "clip")]
    return {"workspace": trained_workspace, "run": "train-1", "settings": settings}


def test_all_exports_what_was_trained_and_names_the_rest(place, tmp_path, capsys):
    export_lora(**place, emotion="all", destination=str(tmp_path))
    names = [f"coemogen-{emotion}" for emotion in EMOTIONS[:5]]
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(names)
    said = capsys.readouterr().out
    assert all(f"embedding <{name}>" in said for name in names)
    assert "left out, the training corpus had no such pictures: disgust, fear, sadness" in said


def test_the_command_takes_fusion_intensity_and_name(trained_workspace, models, tmp_path):
    base = [f"--set=models.{name}={getattr(models, name)}" for name in ("diffusion", "clip")]
    wanted = ["--emotion", "awe=0.6,anger=0.4", "--intensity", "1.5", "--name", "storm", "--licence", "CC0-1.0"]
    place = ["--workspace", trained_workspace, "--run", "train-1", "--destination", str(tmp_path)]
    command, bound, _ = app.parse_args(["export-lora", *place, *wanted, *base])
    command(*bound.args, **bound.kwargs)
    lora = load_file(tmp_path / "storm" / "pytorch_lora_weights.safetensors")
    assert {tensor.shape[0] for name, tensor in lora.items() if ".lora_A." in name} == {16}
    assert "awe 0.9, anger 0.6, positive 0.9, negative 0.6" in (tmp_path / "storm" / "README.md").read_text()
    assert "CC0-1.0" in (tmp_path / "storm" / "README.md").read_text()


def test_queries_are_read_and_bad_ones_refused(place, tmp_path):
    assert parse_query("awe") == {"awe": 1.0}
    assert parse_query("awe=0.6, fear=0.4") == {"awe": 0.6, "fear": 0.4}
    with pytest.raises(ValueError, match=r"no number; write e\.g\."):
        parse_query("awe=much")
    with pytest.raises(ValueError, match="twice"):
        parse_query("awe=1,awe=2")
    with pytest.raises(ValueError, match="leave it out"):
        export_lora(**place, emotion="all", destination=str(tmp_path), name="x")
    with pytest.raises(FileNotFoundError, match="train first"):
        export_lora(**place | {"run": "none"}, emotion="awe", destination=str(tmp_path))
