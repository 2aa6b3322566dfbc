import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from coemogen_core.captioning.alignment import align_captions, align_part, cosine_similarities
from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.data.picture_index import pictures_table, update_index
from coemogen_core.encoders.clip_encoder import ClipEncoder, EncoderRecipe, load_encoder
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Pictures
from tests.coemogen_core.curation.small_tables import CAPTION_RECIPE, caption_row, image_row, labelled_photos, write_captions, write_images

PART = "part-00000-0123abcd"


@pytest.fixture
def recipe(tiny_clip):
    return EncoderRecipe(model=str(tiny_clip), device="cpu", batch_size=5)


pytestmark = pytest.mark.every_storage


def test_embeddings_are_those_of_the_encoder_in_half_precision(workspace, recipe):
    images = write_images(workspace, "photos", PART, labelled_photos(2))
    outcome = embed_part(workspace, "photos", PART, recipe)
    assert (outcome.rows, outcome.dropped, outcome.reused) == (16, 0, False)
    rows = workspace.table("embeddings", "photos", recipe.encoder_id).read_part(PART)
    assert rows["image_id"].to_list() == images["image_id"].to_list()
    pictures = [Image.open(io.BytesIO(row["bytes"])) for row in images["image"]]
    expected = load_encoder(recipe).encode_images(pictures).astype(np.float16)
    assert rows["embedding"].to_numpy().dtype == np.float16
    assert np.array_equal(rows["embedding"].to_numpy(), expected)


def test_a_finished_part_is_not_computed_again(workspace, recipe):
    write_images(workspace, "photos", PART, labelled_photos(1))
    embed_part(workspace, "photos", PART, recipe)
    again = embed_part(workspace, "photos", PART, recipe)
    assert again.reused
    assert again.rows == 8


def test_the_same_pictures_give_the_same_bytes(tmp_path, recipe):
    files = []
    for name in ("a", "b"):
        workspace = Workspace(str(tmp_path / name))
        write_images(workspace, "photos", PART, labelled_photos(2))
        embed_part(workspace, "photos", PART, recipe)
        files.append(workspace.read_file("embeddings", "photos", recipe.encoder_id, f"{PART}.parquet"))
    assert files[0] == files[1]


def test_unreadable_picture_costs_its_row_only(workspace, recipe):
    broken = image_row("awe", 0) | {"image_id": "0" * 64, "image": {"bytes": b"\xff\xd8 no picture", "path": "x.jpg"}}
    write_images(workspace, "photos", PART, [image_row("awe", 1), broken, image_row("fear", 1)])
    outcome = embed_part(workspace, "photos", PART, recipe)
    assert (outcome.rows, outcome.dropped) == (2, 1)
    assert embed_part(workspace, "photos", PART, recipe).dropped == 1


@pytest.mark.parametrize("rows", [[], [image_row("awe", 0) | {"image": {"bytes": b"?", "path": "x"}}]])
def test_a_part_without_readable_pictures_is_an_empty_part(workspace, recipe, rows):
    write_images(workspace, "photos", PART, rows)
    assert embed_part(workspace, "photos", PART, recipe).rows == 0
    assert workspace.table("embeddings", "photos", recipe.encoder_id).read_part(PART)["embedding"].to_numpy().shape == (0, 128)


def test_embedding_before_ingesting_is_named(workspace, recipe):
    with pytest.raises(FileNotFoundError, match="ingest source 'photos' first"):
        embed_part(workspace, "photos", PART, recipe)


def test_alignment_is_the_cosine_of_caption_and_stored_embedding(workspace, recipe):
    images = write_images(workspace, "photos", PART, labelled_photos(1))
    embed_part(workspace, "photos", PART, recipe)
    ids = images["image_id"].to_list()
    texts = [f"a picture of {emotion}" for emotion in images["label"]]
    rows = [caption_row(image_id, text) for image_id, text in zip(ids, texts, strict=True)]
    rows[3] = caption_row(ids[3], None)
    rows += [
        caption_row(ids[4], "a better caption", attempt=2),
        caption_row(ids[4], None, attempt=3),
        caption_row("f" * 64, "no such picture"),
    ]
    chunk = write_captions(workspace, "photos", PART, 0, rows)
    outcome = align_part(workspace, "photos", chunk, recipe)
    assert (outcome.rows, outcome.dropped, outcome.reused) == (8, 1, False)
    assert align_part(workspace, "photos", chunk, recipe).model_copy(update={"seconds": 0}) == outcome.model_copy(
        update={"reused": True, "seconds": 0}
    )
    scored = workspace.table("alignment", "photos", recipe.encoder_id).read_part(chunk)
    assert set(scored["recipe_id"]) == {CAPTION_RECIPE}
    encoder = load_encoder(recipe)
    texts[4] = "a better caption"
    pictures = encoder.encode_images([Image.open(io.BytesIO(row["bytes"])) for row in images["image"]])
    expected = dict(zip(ids, (pictures * encoder.encode_texts(texts)).sum(axis=1), strict=True))
    assert scored.filter(image_id=ids[4])["attempt"].to_list() == [1, 2]
    scored = scored.filter((pl.col("image_id") != ids[4]) | (pl.col("attempt") == 2))
    assert all(abs(expected[image_id] - value) < 2e-3 for image_id, value in scored.select("image_id", "similarity").iter_rows())
    assert ids[3] not in scored["image_id"]


def test_all_chunks_of_a_part_are_aligned_and_only_new_ones_later(workspace, recipe):
    images = write_images(workspace, "photos", PART, labelled_photos(1))
    embed_part(workspace, "photos", PART, recipe)
    rows = [caption_row(image_id, "a dog") for image_id in images["image_id"]]
    assert align_captions(workspace, "photos", PART, CaptionPolicy.pinned(CAPTION_RECIPE), recipe).reused
    write_captions(workspace, "photos", PART, 0, rows[:5])
    write_captions(workspace, "photos", PART, 0, [caption_row(rows[0]["image_id"], "a cat", recipe="caption-1")], recipe="caption-1")
    first = align_captions(workspace, "photos", PART, CaptionPolicy.pinned(CAPTION_RECIPE), recipe)
    assert (first.part, first.rows, first.reused) == (PART, 5, False)
    write_captions(workspace, "photos", PART, 1, rows[5:])
    second = align_captions(workspace, "photos", PART, CaptionPolicy.pinned(CAPTION_RECIPE), recipe)
    assert (second.rows, second.reused) == (8, False)
    assert align_captions(workspace, "photos", PART, CaptionPolicy.pinned(CAPTION_RECIPE), recipe).reused
    assert workspace.table("alignment", "photos", recipe.encoder_id).count() == 8


def test_a_chunk_of_failures_is_an_empty_part(workspace, recipe):
    images = write_images(workspace, "photos", PART, labelled_photos(1))
    embed_part(workspace, "photos", PART, recipe)
    chunk = write_captions(workspace, "photos", PART, 1, [caption_row(images["image_id"][0], None)])
    assert align_part(workspace, "photos", chunk, recipe).rows == 0


def test_alignment_names_the_missing_stage(workspace, recipe):
    write_images(workspace, "photos", PART, labelled_photos(1))
    with pytest.raises(FileNotFoundError, match="caption source 'photos' first"):
        align_part(workspace, "photos", f"{PART}/{CAPTION_RECIPE}.000", recipe)
    chunk = write_captions(workspace, "photos", PART, 0, [caption_row("0" * 64, "a dog")])
    with pytest.raises(FileNotFoundError, match="embed source 'photos'"):
        align_part(workspace, "photos", chunk, recipe)


def test_cosine_against_polars_free_arithmetic():
    a, b = np.random.default_rng(0).normal(size=(2, 50, 7))
    expected = [float(x @ y / np.sqrt((x @ x) * (y @ y))) for x, y in zip(a, b, strict=True)]
    assert np.allclose(cosine_similarities(a, b), expected, atol=1e-6)
    assert pl.Series(cosine_similarities(a, a * 3)).is_between(-1, 1).all()


def test_the_slot_is_held_while_the_model_computes_alone(workspace, recipe, slot, monkeypatch):
    write_images(workspace, "photos", PART, labelled_photos(1))
    ids = workspace.table("images", "photos").read(["image_id"])["image_id"]
    write_captions(workspace, "photos", PART, 0, [caption_row(image_id, "a dog") for image_id in ids])
    for name in ("encode_pixels", "encode_texts"):
        monkeypatch.setattr(ClipEncoder, name, slot.watch(getattr(ClipEncoder, name)))
    policy = CaptionPolicy.pinned(CAPTION_RECIPE)
    for reused in (False, True):
        assert embed_part(workspace, "photos", PART, recipe, slot=slot).reused is reused
        assert align_captions(workspace, "photos", PART, policy, recipe, slot=slot).reused is reused
        assert slot.entered == 2
    assert set(slot.seen) == {True}


def test_a_caption_that_has_another_number_elsewhere_is_not_scored_again(workspace, recipe, slot):
    images = write_images(workspace, "photos", PART, labelled_photos(1))
    for source in ("photos", "album"):
        write_images(workspace, source, PART, labelled_photos(1))
        pictures_table(workspace, source).write_part(PART, images.select("image_id", "width", "height"), Pictures)
        embed_part(workspace, source, PART, recipe)
    update_index(workspace)
    ids = images["image_id"].to_list()
    scored = write_captions(workspace, "photos", PART, 0, [caption_row(image_id, f"a dog, {image_id}") for image_id in ids])
    align_part(workspace, "photos", scored, recipe)
    taken_over = [caption_row(image_id, f"a dog, {image_id}", attempt=2) for image_id in ids]
    chunk = write_captions(workspace, "album", PART, 0, taken_over)
    assert align_part(workspace, "album", chunk, recipe, slot=slot).rows == 8
    assert slot.entered == 0
    tables = [workspace.table("alignment", *place) for place in (("photos", recipe.encoder_id), ("album", recipe.encoder_id))]
    first, second = (table.read().sort("image_id") for table in tables)
    assert second["attempt"].to_list() == [2] * 8
    assert first.drop("attempt").equals(second.drop("attempt"))
