import pytest
from pydantic import TypeAdapter, ValidationError

from coemogen_core.captioning.recipe import BackendSettings, CaptionRecipe, LocalSettings, ServerSettings

RECIPE = CaptionRecipe(model="org/captioner", revision="abc", temperature=0.7)


def test_everything_that_changes_the_answer_changes_the_recipe_id():
    changes = {
        "model": "org/other",
        "revision": "abd",
        "prompt_id": "plain-short.v1",
        "answer": "structured.v1",
        "image_first": False,
        "max_new_tokens": 63,
        "temperature": 0.5,
        "seed": 1,
        "max_pixels": 1000,
        "precision": "bfloat16",
    }
    assert set(changes) == set(CaptionRecipe.model_fields)
    ids = {RECIPE.model_copy(update={name: value}).recipe_id("local") for name, value in changes.items()}
    assert len(ids | {RECIPE.recipe_id("local"), RECIPE.recipe_id("server")}) == len(changes) + 2


def test_a_local_model_is_known_by_its_content_and_not_by_its_path(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    ids = [CaptionRecipe(model=str(tmp_path / name)).recipe_id("local") for name in ("here", "there")]
    assert ids[0] == ids[1]
    assert str(tmp_path) not in CaptionRecipe(model=str(tmp_path / "here")).model_identity("local")
    assert CaptionRecipe(model="/served/under/its/path").model_identity("server") == "/served/under/its/path@as served"


def test_an_unknown_prompt_is_refused_before_any_work():
    with pytest.raises(ValidationError, match=r"unknown prompt 'no-such\.v1'"):
        CaptionRecipe(model="m", prompt_id="no-such.v1")


def test_settings_are_told_apart_by_their_backend():
    adapter = TypeAdapter(BackendSettings)
    assert isinstance(adapter.validate_python({"backend": "local"}), LocalSettings)
    assert isinstance(adapter.validate_python({"backend": "server", "endpoints": ["http://127.0.0.1:9/v1"]}), ServerSettings)
    with pytest.raises(ValidationError, match="endpoints"):
        adapter.validate_python({"backend": "server", "endpoints": ["127.0.0.1:9"]})


def test_a_served_name_is_no_folder_that_happens_to_be_here(tmp_path, monkeypatch):
    """The id of a server's captions is the same wherever the client is started."""
    there = CaptionRecipe(model="qwen").recipe_id("server")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qwen").mkdir()
    (tmp_path / "qwen" / "config.json").write_text("{}")
    assert CaptionRecipe(model="qwen").recipe_id("server") == there
    assert CaptionRecipe(model="/models/qwen").model_identity("server") == "/models/qwen@as served"
    assert CaptionRecipe(model=str(tmp_path / "qwen")).model_identity("server").startswith("sha256:")
