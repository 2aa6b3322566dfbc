import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder

TEXTS = ["a photo of a happy dog", "a dark forest at night", "an image of awe"]


@pytest.fixture
def encoder(tiny_clip):
    return load_encoder(EncoderRecipe(model=str(tiny_clip), device="cpu", batch_size=2))


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return [
        Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)) for height, width in ((40, 90), (64, 64), (120, 70))
    ]


def test_similarities_are_those_of_transformers(encoder, pictures, tiny_clip):
    model = CLIPModel.from_pretrained(tiny_clip)
    pixels = CLIPImageProcessorPil.from_pretrained(tiny_clip)(images=pictures, return_tensors="pt")["pixel_values"]
    tokens = CLIPTokenizer.from_pretrained(tiny_clip)(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(pixel_values=pixels, **tokens).logits_per_image / model.logit_scale.exp()
    assert np.allclose(encoder.encode_images(pictures) @ encoder.encode_texts(TEXTS).T, expected.numpy(), atol=1e-5)


def test_embeddings_are_unit_float32_of_the_projection_width(encoder, pictures):
    for vectors in (encoder.encode_images(pictures), encoder.encode_texts(TEXTS)):
        assert vectors.shape == (3, encoder.dim)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert encoder.encode_images([]).shape == encoder.encode_texts([]).shape == (0, encoder.dim)


def test_long_texts_are_cut_at_the_limit(encoder):
    long = "a happy dog " * 60
    tokens = encoder._tokenizer(long, truncation=True, max_length=encoder.text_limit)["input_ids"]
    assert len(tokens) == encoder.text_limit
    assert np.allclose(encoder.encode_texts([long]), encoder.encode_texts([long + " in the rain"]), atol=1e-6)


def test_a_text_does_not_depend_on_its_neighbours(encoder):
    together = encoder.encode_texts([*TEXTS, "a happy dog " * 30])[:3]
    assert np.allclose(together, np.concatenate([encoder.encode_texts([text]) for text in TEXTS]), atol=1e-5)


def test_the_id_names_what_changes_the_answer_and_nothing_else(tiny_clip, tmp_path):
    recipe = EncoderRecipe(model=str(tiny_clip))
    copy = shutil.copytree(tiny_clip, tmp_path / "elsewhere")
    assert EncoderRecipe(model=str(copy), batch_size=7, device="cpu").encoder_id == recipe.encoder_id
    assert EncoderRecipe(model=str(tiny_clip), precision="bfloat16").encoder_id != recipe.encoder_id
    other = shutil.copytree(tiny_clip, tmp_path / "other")
    processor = other / "preprocessor_config.json"
    processor.write_text(processor.read_text().replace('"do_center_crop": true', '"do_center_crop": false'))
    assert EncoderRecipe(model=str(other)).encoder_id != recipe.encoder_id


def test_loaded_once_a_process(tiny_clip, encoder):
    assert load_encoder(EncoderRecipe(model=str(tiny_clip), device="cpu", batch_size=2)) is encoder


def test_overflow_is_named(tiny_clip, pictures, tmp_path):
    model = CLIPModel.from_pretrained(tiny_clip)
    model.visual_projection.weight.data.fill_(float("inf"))
    folder = shutil.copytree(tiny_clip, tmp_path / "broken")
    model.save_pretrained(folder)
    with pytest.raises(FloatingPointError, match="float32"):
        load_encoder(EncoderRecipe(model=str(folder), device="cpu")).encode_images(pictures)


def test_missing_folder_is_named():
    with pytest.raises(FileNotFoundError, match="/no/such/clip"):
        _ = EncoderRecipe(model="/no/such/clip").encoder_id
