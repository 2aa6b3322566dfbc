import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.prompted import FOLDER, PromptFile, read_prompt_file, write_prompt_file

SHIPPED = [file.name.removesuffix(".toml") for file in FOLDER.iterdir() if file.name.endswith(".toml")]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_have_prompts_without_emotion_words(name):
    prompts = read_prompt_file(name)
    assert set(prompts.prompts) == set(EMOTIONS)
    assert all(emotion not in prompt for found in prompts.prompts.values() for prompt in found for emotion in EMOTIONS)
    assert all(len(set(found)) == len(found) for found in prompts.prompts.values())


def test_prompts_take_turns():
    prompts = PromptFile(model="m", request="r", prompts=dict.fromkeys(EMOTIONS, ("a", "b", "c")))
    assert [prompts.prompt("awe", seed) for seed in (0, 1, 2, 3, 10_000)] == ["a", "b", "c", "a", "b"]


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=3), st.text(min_size=1))
def test_what_is_written_is_read_again(texts, model):
    kept = [text.replace("\x7f", "") or "x" for text in texts]
    if not all(text.strip() for text in kept) or not model.replace("\x7f", ""):
        return
    prompts = PromptFile(model=model.replace("\x7f", ""), request="r", written="2025-01-01", prompts=dict.fromkeys(EMOTIONS, tuple(kept)))
    if "\ud800" <= max(prompts.to_toml()) <= "\udfff":
        return  # no text that a file could hold
    assert PromptFile.model_validate(tomllib.loads(prompts.to_toml())) == prompts


def test_only_the_prompts_are_the_identity(tmp_path):
    prompts = PromptFile(model="m", request="r", written="2025-01-01", prompts=dict.fromkeys(EMOTIONS, ("a",)))
    assert prompts.identity == prompts.model_copy(update={"written": None, "model": "n", "request": "s"}).identity
    assert prompts.identity != prompts.model_copy(update={"prompts": dict.fromkeys(EMOTIONS, ("b",))}).identity
    write_prompt_file(prompts, tmp_path / "own.toml")
    assert read_prompt_file(str(tmp_path / "own.toml")) == prompts


@pytest.mark.parametrize(
    ("text", "message"),
    [("x = ", "no file of prompts"), ("model = 'm'\nrequest = 'r'\n[prompts]\nawe = ['a']", "no prompts for amusement")],
)
def test_a_broken_file_is_named(tmp_path, text, message):
    (tmp_path / "broken.toml").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_prompt_file(str(tmp_path / "broken.toml"))
    assert "broken.toml" in str(caught.value)
