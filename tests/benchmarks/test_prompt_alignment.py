import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from benchmarks.prompt_alignment import prompt_alignment, similarities
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder

TEXTS = ["a bag on a table", "a dog in a park", "a boat at sea"]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_cosines_are_those_of_clips_own_forward(tiny_clip, rng):
    """Oracle: `CLIPModel.forward`, whose logits are scaled cosines of every picture with every text. Tolerance 1e-6."""
    pictures = [Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in TEXTS]
    encoder = load_encoder(EncoderRecipe(model=str(tiny_clip), device="cpu"))
    ours = similarities(encoder.encode_images(pictures), encoder.encode_texts(TEXTS))
    model = CLIPModel.from_pretrained(tiny_clip).eval()
    pixels = AutoImageProcessor.from_pretrained(tiny_clip, backend="pil")(images=pictures, return_tensors="pt")
    words = AutoTokenizer.from_pretrained(tiny_clip)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(input_ids=words["input_ids"], attention_mask=words["attention_mask"], **pixels).logits_per_image
        theirs = (logits / model.logit_scale.exp()).diagonal().numpy()
    assert np.abs(ours - theirs).max() < 1e-6


def test_length_does_not_matter_and_opposites_are_minus_one():
    images = np.array([[3.0, 0.0], [0.0, 0.5], [-2.0, 0.0]])
    assert similarities(images, np.array([[7.0, 0.0]])).tolist() == [1.0, 0.0, -1.0]


def test_means_and_intervals_by_emotion(rng):
    """Every picture of awe lies on its text, those of fear at right angles."""
    images = np.concatenate([np.tile([1.0, 0.0], (6, 1)), np.tile([0.0, 1.0], (6, 1))])
    found = prompt_alignment(images, np.array([[1.0, 0.0]]), np.repeat([1, 6], 6), "some CLIP", resamples=50)
    assert found.overall.value == pytest.approx(0.5)
    assert (found.overall.low, found.overall.high) == pytest.approx((0.5, 0.5))  # redrawn within emotions, whose values are equal
    assert {name: each.value for name, each in found.by_emotion.items()} == {"awe": pytest.approx(1), "fear": pytest.approx(0)}
    spread = rng.normal(size=(40, 2))
    mixed = prompt_alignment(spread, np.array([[1.0, 0.0]]), np.zeros(40, dtype=int), "some CLIP", resamples=200)
    assert mixed.overall.low < mixed.overall.value < mixed.overall.high
    assert mixed == prompt_alignment(spread, np.array([[1.0, 0.0]]), np.zeros(40, dtype=int), "some CLIP", resamples=200)


def test_few_pictures_have_a_value_and_a_reason_and_none_has_neither():
    few = prompt_alignment(np.eye(2), np.eye(2), np.array([1, 1]), "some CLIP")
    assert few.overall.value == 1.0
    assert few.overall.low is None
    assert "awe has 2" in few.overall.reason
    none = prompt_alignment(np.empty((0, 2)), np.array([[1.0, 0.0]]), np.empty(0, dtype=int), "some CLIP")
    assert none.overall.value is None
    assert none.overall.reason == "not enough images: none"


@pytest.mark.parametrize(("images", "texts"), [((3, 2), (2, 2)), ((3, 2), (3, 4)), ((3,), (3,))])
def test_embeddings_that_do_not_belong_together_are_refused(images, texts):
    with pytest.raises(ValueError, match="expected"):
        similarities(np.ones(images), np.ones(texts))


def test_an_embedding_without_direction_is_refused():
    with pytest.raises(ValueError, match="length zero"):
        similarities(np.zeros((1, 3)), np.ones((1, 3)))
