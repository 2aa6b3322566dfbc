import uuid

import numpy as np
import polars as pl
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageOps
from safetensors.torch import load
from transformers import CLIPModel, CLIPTokenizer

from benchmarks.counting_storage import counted_requests
from coemogen_core.data.decode import decode_image
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training import features as features_module
from coemogen_core.training.feature_set import FeatureSet, list_parts, local_part, rows_of_set
from coemogen_core.training.features import cache_features_part
from coemogen_core.training.standing_features import sets_of
from schemas.tables import Decisions, Images

PARTS = ("part-00000-aaaaaaaa", "part-00001-bbbbbbbb")  # of the corpus fixture


def row_of(corpus, number: int) -> int:
    """Row of the number-th kept picture, counted in the order of the parts, in the whole set, which goes by image id."""
    kept = corpus.table("decisions", "emoset", "v1").read(["image_id", "kept"]).filter("kept")["image_id"]
    return kept.sort().to_list().index(kept[number])


def test_only_kept_rows_are_cached_in_the_order_of_the_images(corpus, cached, features):
    assert list_parts(corpus, "emoset", cached) == list(PARTS)
    kept = corpus.table("decisions", "emoset", "v1").read(["image_id", "kept", "label"]).filter(pl.col("kept"))
    assert len(features) == kept.height == 16
    cached_ids = [load(corpus.read_file("features", "emoset", cached, f"{part}.safetensors"))["image_id"] for part in PARTS]
    assert [bytes(row.tolist()).hex() for row in torch.cat(cached_ids)] == kept["image_id"].to_list()
    assert [EMOTIONS[label] for label in features.labels] == kept.sort("image_id")["label"].to_list()


def test_latents_are_those_of_the_autoencoder(corpus, features, tiny_diffusion):
    vae = AutoencoderKL.from_pretrained(tiny_diffusion, subfolder="vae").eval()
    image = corpus.table("images", "photos").read_part(PARTS[0])["image"][1]
    picture = ImageOps.fit(decode_image(image["bytes"]), (64, 64), method=Image.Resampling.LANCZOS)
    for variant, pixels in enumerate((picture, ImageOps.mirror(picture))):
        values = torch.from_numpy(np.asarray(pixels).copy()).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.no_grad():
            posterior = vae.encode(values).latent_dist
        batch = features.batch([row_of(corpus, 1)], [variant])
        assert torch.allclose(batch.latent_mean, posterior.mean * vae.config.scaling_factor, atol=2e-3)
        assert torch.allclose(batch.latent_std, posterior.std * vae.config.scaling_factor, atol=2e-3)


def test_embeddings_are_those_of_clip(corpus, features, tiny_clip):
    clip, tokenizer = CLIPModel.from_pretrained(tiny_clip).eval(), CLIPTokenizer.from_pretrained(tiny_clip)
    with torch.no_grad():
        expected = clip.get_text_features(**tokenizer(["a photo of 3 dogs"], return_tensors="pt")).pooler_output
    row = row_of(corpus, 3)
    assert torch.allclose(features.batch([row], [0]).caption, expected, atol=5e-3)
    assert features.visual_embeddings().norm(dim=-1) == pytest.approx(torch.ones(16), abs=2e-3)
    assert not torch.equal(features.batch([row], [0]).visual, features.batch([row], [1]).visual)


def test_rows_of_both_parts_are_reached(corpus, cached, features):
    second = load(corpus.read_file("features", "emoset", cached, f"{PARTS[1]}.safetensors"))
    batch = features.batch([row_of(corpus, number) for number in (9, 0, 15)], [0, 0, 0])
    assert torch.equal(batch.visual[0], second["visual"][1, 0].float())
    assert torch.equal(batch.visual[2], second["visual"][7, 0].float())
    assert batch.latent_mean.shape == (3, 4, 16, 16)


def test_a_cached_part_is_not_computed_again(corpus, cached, feature_recipe):
    outcome = cache_features_part(corpus, "emoset", "v1", "photos", PARTS[0], feature_recipe)
    assert outcome.reused
    assert outcome.rows == 8


def test_the_same_inputs_give_the_same_bytes(corpus, cached, feature_recipe, tmp_path):
    other = Workspace(str(tmp_path))
    for table, schema in ((("images", "photos"), Images), (("decisions", "emoset", "v1"), Decisions)):
        other.table(*table).write_part(PARTS[0], corpus.table(*table).read_part(PARTS[0]), schema)
    cache_features_part(other, "emoset", "v1", "photos", PARTS[0], feature_recipe)
    name = ("features", "emoset", cached, f"{PARTS[0]}.safetensors")
    assert other.read_file(*name) == corpus.read_file(*name)


def test_splits_and_mirroring_are_choices_with_ids_of_their_own(corpus, cached, feature_recipe):
    recipe = feature_recipe.model_copy(update={"splits": ("train",), "flip": False})
    assert recipe.feature_id("v1") != cached
    assert recipe.model_copy(update={"batch_size": 3, "device": "auto"}).feature_id("v1") == recipe.feature_id("v1")
    assert cache_features_part(corpus, "emoset", "v1", "photos", PARTS[0], recipe).rows == 7
    assert FeatureSet.open(corpus, "emoset", recipe.feature_id("v1")).num_variants == 1


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_the_batch_size_changes_no_byte(corpus, cached, feature_recipe, tmp_path, batch_size):
    other = Workspace(str(tmp_path))
    for table, schema in ((("images", "photos"), Images), (("decisions", "emoset", "v1"), Decisions)):
        other.table(*table).write_part(PARTS[0], corpus.table(*table).read_part(PARTS[0]), schema)
    recipe = feature_recipe.model_copy(update={"batch_size": batch_size})
    cache_features_part(other, "emoset", "v1", "photos", PARTS[0], recipe)
    place = ("features", "emoset", cached, f"{PARTS[0]}.safetensors")
    assert other.read_file(*place) == corpus.read_file(*place)


def test_a_part_without_kept_rows_is_empty_and_does_no_harm(corpus, cached, feature_recipe, tmp_path):
    other = Workspace(str(tmp_path))
    images = corpus.table("images", "photos").read_part(PARTS[0])
    decisions = corpus.table("decisions", "emoset", "v1").read_part(PARTS[0])
    other.table("images", "photos").write_part(PARTS[0], images, Images)
    other.table("decisions", "emoset", "v1").write_part(PARTS[0], decisions.with_columns(kept=False), Decisions)
    assert cache_features_part(other, "emoset", "v1", "photos", PARTS[0], feature_recipe).rows == 0
    with pytest.raises(ValueError, match="no kept picture of emoset is of the chosen splits"):
        FeatureSet.open(other, "emoset", cached)
    other.write_file(
        corpus.read_file("features", "emoset", cached, f"{PARTS[1]}.safetensors"), "features", "emoset", cached, "z.safetensors"
    )
    assert len(FeatureSet.open(other, "emoset", cached)) == 8


def test_remote_features_open(corpus, cached):
    remote = Workspace("memory://features-test")
    for part in PARTS:
        name = ("features", "emoset", cached, f"{part}.safetensors")
        remote.write_file(corpus.read_file(*name), *name)
    assert len(FeatureSet.open(remote, "emoset", cached)) == 16


def test_missing_features_say_what_to_do(corpus):
    with pytest.raises(FileNotFoundError, match="cache the features"):
        FeatureSet.open(corpus, "emoset", "features-none")
    with pytest.raises(FileNotFoundError, match="cache the features of this part first"):
        local_part(corpus, "emoset", "features-none", "part-00000")


def test_the_slot_is_held_to_compute_alone(corpus, cached, feature_recipe, tmp_path, slot):
    elsewhere = Workspace(str(tmp_path))
    for table in (("images", "photos"), ("decisions", "emoset", "v1")):
        elsewhere.write_file(corpus.read_file(*table, f"{PARTS[0]}.parquet"), *table, f"{PARTS[0]}.parquet")
    for reused in (False, True):
        assert cache_features_part(elsewhere, "emoset", "v1", "photos", PARTS[0], feature_recipe, slot=slot).reused is reused
        assert slot.entered == 1


def test_features_of_another_version_are_taken_where_the_picture_is_the_same(corpus, cached, feature_recipe, tmp_path, monkeypatch):
    """Another threshold, another caption: only what was never encoded, and captions that changed, are computed."""
    other = Workspace(str(tmp_path))
    part = PARTS[0]
    other.table("images", "photos").write_part(part, corpus.table("images", "photos").read_part(part), Images)
    decisions = corpus.table("decisions", "emoset", "v1").read_part(part)
    other.table("decisions", "emoset", "v1").write_part(part, decisions, Decisions)
    cache_features_part(other, "emoset", "v1", "photos", part, feature_recipe)
    first_dropped = decisions.filter(~pl.col("kept"))["image_id"][0]
    first_kept = decisions.filter("kept")["image_id"][0]
    changed = decisions.with_columns(
        kept=pl.col("kept") | (pl.col("image_id") == first_dropped),
        caption=pl.when(pl.col("image_id").is_in([first_kept, first_dropped])).then(pl.lit("two cats")).otherwise("caption"),
        label=pl.when(pl.col("image_id") == first_kept).then(pl.lit("fear")).otherwise("label"),
    )
    other.table("decisions", "emoset", "v2").write_part(part, changed, Decisions)
    encoded, told = [], []
    encode_batch, encode_captions = features_module._encode_batch, features_module._encode_captions
    monkeypatch.setattr(features_module, "_encode_batch", lambda rows, *more: encoded.extend(rows["image_id"]) or encode_batch(rows, *more))
    monkeypatch.setattr(features_module, "_encode_captions", lambda texts, *more: told.extend(texts) or encode_captions(texts, *more))
    assert cache_features_part(other, "emoset", "v2", "photos", part, feature_recipe).rows == 9
    assert encoded == [first_dropped]
    assert told == ["two cats", "two cats"]
    fresh = Workspace(str(tmp_path / "fresh"))
    fresh.table("images", "photos").write_part(part, corpus.table("images", "photos").read_part(part), Images)
    fresh.table("decisions", "emoset", "v2").write_part(part, changed, Decisions)
    cache_features_part(fresh, "emoset", "v2", "photos", part, feature_recipe)
    name = ("features", "emoset", feature_recipe.feature_id("v2"), f"{part}.safetensors")
    assert other.read_file(*name) == fresh.read_file(*name)


def test_the_rows_of_a_set_are_told_by_pictures_labels_and_captions_alone(corpus, cached, feature_recipe, tmp_path):
    """In one part or in two, of whatever version: the same rows are the same training."""
    other = Workspace(str(tmp_path))
    images = pl.concat([corpus.table("images", "photos").read_part(part) for part in PARTS])
    decisions = pl.concat([corpus.table("decisions", "emoset", "v1").read_part(part) for part in PARTS])
    other.table("images", "photos").write_part("whole", images.sort("image_id"), Images)
    for version, rows in (("v2", decisions), ("v3", decisions.with_columns(caption=pl.lit("a")))):
        other.table("decisions", "emoset", version).write_part("whole", rows, Decisions)
        cache_features_part(other, "emoset", version, "photos", "whole", feature_recipe)
    told = [rows_of_set(other, "emoset", feature_recipe.feature_id(version)) for version in ("v2", "v3")]
    assert told[0] == rows_of_set(corpus, "emoset", cached)
    assert told[0][1] == told[1][1] == 16
    assert told[0][0] != told[1][0]


def test_what_a_part_costs_does_not_grow_with_the_number_of_versions(corpus, cached, feature_recipe, monkeypatch):
    """In an object store, of a part whose pictures are all known but one that no version ever kept."""
    part, decisions = PARTS[0], corpus.table("decisions", "emoset", "v1").read_part(PARTS[0])
    dropped = decisions.filter(~pl.col("kept"))["image_id"][0]
    last = decisions.with_columns(kept=pl.col("kept") | (pl.col("image_id") == dropped), caption=pl.col("caption").fill_null("a cat"))

    def requests(versions: int) -> int:
        workspace = Workspace(f"memory://{uuid.uuid4().hex}")
        workspace.table("images", "photos").write_part(part, corpus.table("images", "photos").read_part(part), Images)
        for number in range(versions):
            name = f"{part}.safetensors"
            features = corpus.read_file("features", "emoset", cached, name)
            workspace.write_file(features, "features", "emoset", feature_recipe.feature_id(f"v{number}"), name)
        workspace.table("decisions", "emoset", "last").write_part(part, last, Decisions)
        sets_of(workspace, feature_recipe.picture_id, feature_recipe.feature_id("last"))  # once a process
        with counted_requests() as counted:
            assert cache_features_part(workspace, "emoset", "last", "photos", part, feature_recipe).rows == 9
            return counted.total()

    assert requests(5) == requests(30)
