import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.generation.denoising import load_base_pipeline
from coemogen_core.generation.transfer import ContentMask

FAST = {"num_inference_steps": 4, "guidance_scale": 3.0}
CONTENT = "a boat at sea"


def pixels(picture) -> np.ndarray:
    return np.asarray(picture, dtype=int)


def test_all_steps_of_layout_are_what_plain_diffusers_draws(pipe, models):
    """Oracle: diffusers' own pipeline, prompted with the content. Tolerance: one of 255 levels."""
    ours = pipe("awe", seed=3, content=CONTENT, transfer={"layout_share": 1.0, "content_factor": 1.0}, **FAST)[0]
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    plain = load_base_pipeline(models, "cpu")(CONTENT, latents=noise, **FAST).images[0]
    assert np.abs(pixels(ours) - pixels(plain)).max() <= 1


@pytest.mark.parametrize("unconditional_gates", ["same", "base"])
def test_with_nothing_held_it_is_the_emotion_alone(pipe, unconditional_gates):
    settings = {**FAST, "seed": 3, "unconditional_gates": unconditional_gates}
    nothing_held = {"layout_share": 0.0, "hold": 0.0, "emotion_factor": 1.0, "spread": 1.0}
    transferred = pipe("awe", content=CONTENT, transfer=nothing_held, **settings)[0]
    assert np.abs(pixels(transferred) - pixels(pipe("awe", **settings)[0])).max() <= 1


@pytest.mark.parametrize("scheduler", ["base", "ddim", "euler", "euler a"])
def test_emotion_and_content_both_matter_under_every_sampler(pipe, scheduler):
    def draw(emotion: str, content: str) -> np.ndarray:
        return pixels(pipe(emotion, seed=1, content=content, scheduler=scheduler, **FAST)[0])

    assert np.abs(draw("awe", CONTENT) - draw("anger", CONTENT)).max() > 0
    assert np.abs(draw("awe", CONTENT) - draw("awe", "a dog in a park")).max() > 0


@pytest.mark.parametrize("setting", ["layout_share", "content_factor", "emotion_factor", "hold", "spread"])
def test_every_setting_matters(pipe, setting):
    other = {"layout_share": 0.5, "content_factor": 3.0, "emotion_factor": 3.0, "hold": 0.5, "spread": 0.0}[setting]
    usual = pixels(pipe("awe", seed=1, content=CONTENT, **FAST)[0])
    changed = pixels(pipe("awe", seed=1, content=CONTENT, transfer={setting: other}, **FAST)[0])
    assert np.abs(usual - changed).max() > 0


def test_fusion_intensity_and_size_go_with_it(pipe):
    picture = pipe({"awe": 0.5, "anger": 0.5}, seed=1, content=CONTENT, intensity=1.5, height=48, width=64, **FAST)[0]
    assert picture.size == (64, 48)


def test_a_picture_without_content_is_what_it_was_after_one_with(pipe):
    before = pixels(pipe("awe", seed=5, **FAST)[0])
    pipe("awe", seed=5, content=CONTENT, **FAST)
    assert np.array_equal(pixels(pipe("awe", seed=5, **FAST)[0]), before)


@pytest.mark.parametrize("content", ["", "   ", "boat " * 100])
def test_a_content_that_cannot_be_read_is_refused(pipe, content):
    with pytest.raises(ValueError, match="give 1 to 75"):
        pipe("awe", content=content, **FAST)


@given(st.integers(0, 2**32 - 1), st.integers(4, 12), st.integers(4, 12))
def test_a_mask_lies_between_0_and_1_and_does_not_depend_on_the_batch(seed, height, width):
    noises = torch.randn(2, 3, 4, height, width, generator=torch.Generator().manual_seed(seed))
    together, alone = ContentMask(), ContentMask()
    together.add(noises[0], noises[1])
    alone.add(noises[0, 1:2], noises[1, 1:2])
    assert 0 <= together.values().min() <= together.values().max() <= 1
    assert torch.equal(together.values()[1:2], alone.values())


def test_the_mask_is_where_the_content_changes_the_noise():
    named = torch.zeros(1, 4, 16, 16)
    named[:, :, 5:11, 5:11] = 1.0
    mask = ContentMask()
    mask.add(named, torch.zeros_like(named))
    assert mask.values()[0, 0, 7, 7] == 1
    assert mask.values()[0, 0, 0, 0] == 0


def test_a_mask_without_a_difference_holds_nothing():
    mask = ContentMask()
    with pytest.raises(RuntimeError, match="at least one step"):
        mask.values()
    mask.add(torch.ones(1, 4, 8, 8), torch.ones(1, 4, 8, 8))
    assert not mask.values().any()
