"""What identifies a pretrained model: the content of its folder, wherever it lies, or its name on the hub."""

import shutil
from pathlib import Path

import pytest

from coemogen_core.storage.model_source import fingerprint, locate


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "unet" / "weights.safetensors").write_bytes(b"weights")
    return folder


def copied(model: Path, name: str) -> Path:
    return Path(shutil.copytree(model, model.with_name(name)))


def test_a_folder_is_known_by_its_content_and_not_by_its_path(model: Path) -> None:
    found = fingerprint(str(model))
    assert found.startswith("sha256:")
    assert len(found) == len("sha256:") + 16
    assert set(found.removeprefix("sha256:")) <= set("0123456789abcdef")
    assert fingerprint(str(copied(model, "elsewhere"))) == found
    assert fingerprint(str(model), revision="a commit of the hub") == found


def test_every_byte_every_name_and_every_folder_counts(model: Path) -> None:
    changed = copied(model, "changed")
    (changed / "config.json").write_text("{ }")
    renamed = copied(model, "renamed")
    (renamed / "config.json").rename(renamed / "model.json")
    moved = copied(model, "moved")
    (moved / "unet" / "weights.safetensors").rename(moved / "weights.safetensors")
    more = copied(model, "more")
    (more / "empty").touch()
    assert len({fingerprint(str(each)) for each in (model, changed, renamed, moved, more)}) == 5


def test_a_name_and_what_follows_it_cannot_be_mistaken_for_each_other(tmp_path: Path) -> None:
    folders = []
    for number, (name, content) in enumerate((("a", b"bc"), ("ab", b"c"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_bytes(content)
        folders.append(fingerprint(str(folder)))
    assert folders[0] != folders[1]


def test_hidden_files_do_not_count(model: Path) -> None:
    other = copied(model, "other")
    (other / ".gitattributes").write_text("*.safetensors filter=lfs")
    (other / "unet" / ".DS_Store").write_bytes(b"\0")
    (other / "an empty folder").mkdir()
    assert fingerprint(str(other)) == fingerprint(str(model))


def test_a_model_of_the_hub_is_its_name_at_a_commit() -> None:
    assert fingerprint("openai/clip-vit-large-patch14") == "openai/clip-vit-large-patch14@main"
    assert fingerprint("openai/clip-vit-large-patch14", "32bd643") == "openai/clip-vit-large-patch14@32bd643"


def test_a_folder_in_the_home_is_found_there(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    assert fingerprint("~/model") == fingerprint(str(model))


@pytest.mark.parametrize("path", ["/absent/model", "./absent", "../absent", "~/absent"])
def test_a_path_that_does_not_exist_is_no_model_of_the_hub(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"absent.* does not exist: give the folder of a saved model or a hub id"):
        fingerprint(path)


def test_a_folder_of_ones_home_opens_where_it_is_identified(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "clip").mkdir()
    assert locate("~/clip") == str(tmp_path / "clip")
    with pytest.raises(FileNotFoundError, match="model folder ~/none does not exist"):
        locate("~/none")
    assert locate("org/clip") == "org/clip"
