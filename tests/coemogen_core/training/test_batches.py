import pytest
import torch

from coemogen_core.training.batches import BatchSource
from coemogen_core.training.recipes import TrainingRecipe

RECIPE = TrainingRecipe(steps=10, batch_size=16, condition_dropout=0.5, offset_noise=0.1)


def test_a_step_is_a_function_of_seed_and_step(features):
    first, again = (BatchSource(features, RECIPE, 1000).at(3) for _ in range(2))
    other = BatchSource(features, RECIPE.model_copy(update={"seed": 1}), 1000).at(3)
    assert torch.equal(first.latents, again.latents)
    assert torch.equal(first.noise, again.noise)
    assert not torch.equal(first.noise, other.noise)
    assert not torch.equal(first.noise, BatchSource(features, RECIPE, 1000).at(4).noise)


def test_two_processes_share_the_batch_of_one(features):
    source = BatchSource(features, RECIPE, 1000)
    whole, halves = source.at(5), [source.at(5, process, 2) for process in range(2)]
    for name in ("latents", "noise", "timesteps", "visual", "caption", "label", "unconditional"):
        assert torch.equal(torch.cat([getattr(half, name) for half in halves]), getattr(whole, name))
    with pytest.raises(ValueError, match="choose a multiple"):
        source.at(0, 0, 3)


def test_latents_spread_as_the_posterior_says(features):
    source = BatchSource(features, RECIPE.model_copy(update={"mirror": False, "batch_size": 8}), 1000)
    plain = features.batch([0], [0])
    rows = torch.cat([source.at(step).latents[source.at(step).label == features.labels[0]] for step in range(5)])
    assert len(rows) >= 5
    assert rows.shape[1:] == plain.latent_mean.shape[1:]


def test_dropout_and_timesteps_cover_their_ranges(features):
    batches = [BatchSource(features, RECIPE, 1000).at(step) for step in range(20)]
    share = torch.cat([batch.unconditional for batch in batches]).float().mean()
    assert 0.4 < share < 0.6
    timesteps = torch.cat([batch.timesteps for batch in batches])
    assert timesteps.min() < 50
    assert timesteps.max() > 950


def test_offset_noise_is_constant_over_a_channel(features):
    with_offset = BatchSource(features, RECIPE, 1000).at(0).noise
    without = BatchSource(features, RECIPE.model_copy(update={"offset_noise": 0.0}), 1000).at(0).noise
    difference = with_offset - without
    assert difference.flatten(2).std(-1).max() < 1e-6
    assert difference.abs().max() > 0.01
