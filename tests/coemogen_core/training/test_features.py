import numpy as np
import polars as pl
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageOps
from safetensors.torch import load
from transformers import CLIPModel, CLIPTokenizer

from coemogen_core.data.decode import decode_image
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet, list_parts, local_part
from coemogen_core.training.features import cache_features_part
from schemas.tables import Decisions, Images

PARTS = ("part-00000-aaaaaaaa", "part-00001-bbbbbbbb")  # of the corpus fixture


def test_only_kept_rows_are_cached_in_the_order_of_the_images(corpus, cached, features):
    assert list_parts(corpus, "emoset", cached) == list(PARTS)
    kept = corpus.table("decisions", "emoset", "v1").read(["image_id", "kept", "label"]).filter(pl.col("kept"))
    assert len(features) == kept.height == 16
    cached_ids = [load(corpus.read_file("features", "emoset", cached, f"{part}.safetensors"))["image_id"] for part in PARTS]
    assert [bytes(row.tolist()).hex() for row in torch.cat(cached_ids)] == kept["image_id"].to_list()
    assert [EMOTIONS[label] for label in features.labels] == kept["label"].to_list()


def test_latents_are_those_of_the_autoencoder(corpus, features, tiny_diffusion):
    vae = AutoencoderKL.from_pretrained(tiny_diffusion, subfolder="vae").eval()
    image = corpus.table("images", "photos").read_part(PARTS[0])["image"][1]
    picture = ImageOps.fit(decode_image(image["bytes"]), (64, 64), method=Image.Resampling.LANCZOS)
    for variant, pixels in enumerate((picture, ImageOps.mirror(picture))):
        values = torch.from_numpy(np.asarray(pixels).copy()).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.no_grad():
            posterior = vae.encode(values).latent_dist
        batch = features.batch([1], [variant])
        assert torch.allclose(batch.latent_mean, posterior.mean * vae.config.scaling_factor, atol=2e-3)
        assert torch.allclose(batch.latent_std, posterior.std * vae.config.scaling_factor, atol=2e-3)


def test_embeddings_are_those_of_clip(features, tiny_clip):
    clip, tokenizer = CLIPModel.from_pretrained(tiny_clip).eval(), CLIPTokenizer.from_pretrained(tiny_clip)
    with torch.no_grad():
        expected = clip.get_text_features(**tokenizer(["a photo of 3 dogs"], return_tensors="pt")).pooler_output
    assert torch.allclose(features.batch([3], [0]).caption, expected, atol=5e-3)
    assert features.visual_embeddings().norm(dim=-1) == pytest.approx(torch.ones(16), abs=2e-3)
    assert not torch.equal(features.batch([3], [0]).visual, features.batch([3], [1]).visual)


def test_rows_of_both_parts_are_reached(corpus, cached, features):
    second = load(corpus.read_file("features", "emoset", cached, f"{PARTS[1]}.safetensors"))
    batch = features.batch([9, 0, 15], [0, 0, 0])
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
    with pytest.raises(ValueError, match="kept no pictures"):
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
