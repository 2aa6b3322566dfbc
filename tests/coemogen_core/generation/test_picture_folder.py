import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coemogen_core.evaluation.picture_sets import open_pictures
from coemogen_core.generation.picture_folder import CHUNK, fill_folder, identify, record_of, series_name
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.generation_recipe import GenerationRecipe

RECIPE = GenerationRecipe(num_inference_steps=2, guidance_scale=3.0, batch_size=2, device="cpu")
QUERIES = [{"awe": 1.0}, {"anger": 1.0}]


@pytest.fixture(scope="module")
def filled(pipe, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "out"
    fill_folder(pipe, str(folder), QUERIES, 3, 5, RECIPE)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_the_layout_is_what_evaluate_reads_and_nothing_disturbs_it(filled):
    pictures = open_pictures(str(filled))
    assert pictures.counts() == [0, 3, 0, 0, 3, 0, 0, 0]
    assert not pictures.left_out
    assert [item.path for item in pictures.items[1]] == [f"awe/awe-0000{k}.png" for k in range(3)]
    with Image.open(f"{filled}.contact-sheet.png") as sheet:
        assert sheet.height > 2 * 128


def test_every_picture_carries_what_made_it_and_can_be_made_again(pipe, filled):
    record = record_of(filled / "anger" / "anger-00002.png")
    assert (record.emotion, record.seed) == ({"anger": 1.0}, 7)
    assert record.model == identify(pipe)
    assert record.recipe.identity == RECIPE.identity
    assert record.versions.keys() >= {"torch", "diffusers"}
    again = pipe.generate(record.emotion, [record.seed], record.recipe)[0]
    with Image.open(filled / "anger" / "anger-00002.png") as there:
        assert np.abs(np.asarray(there, dtype=int) - np.asarray(again)).max() <= 1
        assert str(filled) not in there.text[CHUNK]


def test_killed_at_any_picture_it_ends_with_the_same_bytes(pipe, filled, tmp_path, monkeypatch):
    """Killed before every single picture in turn, then run to the end."""
    from coemogen_core.storage.workspace import Workspace

    whole, write = contents(filled), Workspace.write_file
    for attempt in range(7):
        written = []

        def write_some(self, data, *names, written=written):
            if names[-1].endswith(".png") and any(name[-1].endswith(".png") for name in written):
                raise KeyboardInterrupt
            written.append(names)
            return write(self, data, *names)

        monkeypatch.setattr(Workspace, "write_file", write_some)
        try:
            fill_folder(pipe, str(tmp_path / "out"), QUERIES, 3, 5, RECIPE)
        except KeyboardInterrupt:
            assert attempt < 7
        monkeypatch.undo()
        assert contents(tmp_path / "out").items() <= whole.items()
    told = []
    done = fill_folder(pipe, str(tmp_path / "out"), QUERIES, 3, 5, RECIPE, lambda name, number: told.append((name, number)))
    assert contents(tmp_path / "out") == whole
    assert done.made + done.found == 6
    assert sum(number for _, number in told) == 6


def test_nothing_is_drawn_twice_and_more_may_be_asked_for(pipe, filled, tmp_path, monkeypatch):
    fill_folder(pipe, str(tmp_path / "out"), QUERIES[:1], 2, 5, RECIPE)
    more = fill_folder(pipe, str(tmp_path / "out"), QUERIES[:1], 3, 5, RECIPE)
    assert (more.made, more.found) == (1, 2)
    monkeypatch.setattr(EmotionPipeline, "generate", None)
    assert fill_folder(pipe, str(tmp_path / "out"), QUERIES[:1], 3, 5, RECIPE).made == 0


def test_a_folder_of_other_settings_is_refused_by_their_names(pipe, filled):
    before = contents(filled)
    other = RECIPE.model_copy(update={"intensity": 1.5, "content": "a boat"})
    with pytest.raises(
        ValueError, match=r"recipe\.content None there, 'a boat' now; recipe\.intensity 1\.0 there, 1\.5 now; .*seed 5 there, 6"
    ):
        fill_folder(pipe, str(filled), QUERIES, 3, 6, other)
    with pytest.raises(ValueError, match="no cluster for sadness"):
        fill_folder(pipe, str(filled), [{"sadness": 1.0}], 3, 5, RECIPE)
    assert contents(filled) == before


def test_files_of_somebody_else_are_not_taken_for_pictures(pipe, tmp_path):
    (tmp_path / "out" / "awe").mkdir(parents=True)
    (tmp_path / "out" / "awe" / "awe-00000.png").write_text("mine")
    with pytest.raises(ValueError, match="files of unknown origin"):
        fill_folder(pipe, str(tmp_path / "out"), QUERIES, 1, 0, RECIPE)
    assert contents(tmp_path / "out") == {"awe/awe-00000.png": b"mine"}


def test_a_fusion_has_a_folder_of_its_own(pipe, tmp_path):
    fill_folder(pipe, str(tmp_path / "out"), [{"anger": 1.0, "awe": 3.0}], 1, 0, RECIPE)
    assert (tmp_path / "out" / "awe-0.75-anger-0.25" / "awe-0.75-anger-0.25-00000.png").is_file()
    assert series_name({"fear": 0.5}) == "fear"


def test_pictures_without_a_readable_record_are_refused(tmp_path):
    plain = tmp_path / "plain.png"
    Image.new("RGB", (4, 4)).save(plain)
    with pytest.raises(ValueError, match="carries no coemogen record"):
        record_of(plain)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="is no picture"):
        record_of(tmp_path / "text.png")
    from PIL.PngImagePlugin import PngInfo

    later, buffer = PngInfo(), io.BytesIO()
    later.add_itxt(CHUNK, '{"format": 2}')
    Image.new("RGB", (4, 4)).save(buffer, "PNG", pnginfo=later)
    (tmp_path / "later.png").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="update coemogen"):
        record_of(tmp_path / "later.png")
