"""The square-root rule: against torch's AdamW, by its purpose on a noisy gradient, and in the trainer."""

import pytest
import torch
from torch import nn

from coemogen_core.emotions import EMOART_EMOTIONS, EMOTIONS
from coemogen_core.model.gates import PAIRS
from coemogen_core.training.batch_rule import batch_growth
from coemogen_core.training.optimizer import PairwiseAdamW
from coemogen_core.training.recipes import TrainingRecipe
from tests.coemogen_core.training.new_trainer import new_trainer

SAMPLES = 4096
RECIPE = TrainingRecipe(steps=1000, batch_size=4, warmup_steps=50, ema_decay=0.99, learning_rate=2e-3)


def test_a_pair_grows_by_what_it_sees_in_its_own_steps():
    shares = torch.tensor([1 / 8, 1 / 2, 1.0])
    assert batch_growth(shares, 32, 1).tolist() == [4, 16, 32]
    assert batch_growth(shares, 4, 1).tolist() == [1, 2, 4]  # a pair has one sample in either
    assert batch_growth(shares, 1, 32).tolist() == [1 / 4, 1 / 16, 1 / 32]
    assert batch_growth(shares, 16, None).tolist() == [1, 1, 1]


def test_another_batch_takes_as_many_samples_and_comes_back():
    large = RECIPE.for_batch(32)
    assert (large.batch_size, large.base_batch, large.steps, large.warmup_steps) == (32, 4, 125, 7)
    assert large.ema_decay == pytest.approx(0.99**8)
    assert large.learning_rate == RECIPE.learning_rate  # of the base batch
    assert RECIPE.for_batch(4) == RECIPE
    pieces = RECIPE.with_settings({"accumulate": 4})
    assert [pieces.for_batch(size).accumulate for size in (2, 3, 8)] == [2, 1, 4]
    assert pieces.with_settings({"for_batch": 2, "accumulate": 1}).accumulate == 1
    assert large.for_batch(4).model_copy(update={"warmup_steps": 50, "ema_decay": 0.99}) == RECIPE
    assert large.for_batch(8).base_batch == 4
    with pytest.raises(ValueError, match="whole number of at least 1"):
        RECIPE.for_batch(0)


def test_it_is_torch_adamw_with_the_rules_settings():
    """Oracle: lr sqrt(k), betas**k, and weight decay that takes the same per sample."""
    torch.manual_seed(0)
    k, rate, decay = 9.0, 0.01, 0.1
    start = torch.randn(3, 7)
    ours, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizer = PairwiseAdamW([], [ours], lr=rate, weight_decay=decay, growth_of_others=torch.tensor([k]))
    oracle = torch.optim.AdamW([other], lr=rate * k**0.5, betas=(0.9**k, 0.999**k), weight_decay=decay * k**0.5)
    for _ in range(12):
        gradient = torch.randn(3, 7)
        for parameter, each in ((ours, optimizer), (other, oracle)):
            parameter.grad = gradient.clone()
            each.step()
    assert torch.allclose(ours, other, atol=1e-6)


@pytest.mark.parametrize(("follows", "low", "high"), [(True, 0.93, 1.07), (False, 0.2, 0.3)])
def test_a_noisy_gradient_carries_the_weights_as_far_per_sample(follows, low, high):
    """A slope of a twentieth of one sample's noise; 4,096 samples one by one, and by sixteen with the rule and without."""

    def travel(batch_size: int, growth: float) -> float:
        generator = torch.Generator().manual_seed(batch_size)
        weights = nn.Parameter(torch.zeros(1000))
        optimizer = PairwiseAdamW([], [weights], lr=1e-3, weight_decay=0.0, growth_of_others=torch.tensor([growth]))
        for _ in range(SAMPLES // batch_size):
            weights.grad = 0.05 + torch.randn(1000, generator=generator) / batch_size**0.5
            optimizer.step()
        return -weights.mean().item()

    assert low < travel(16, 16.0 if follows else 1.0) / travel(1, 1.0) < high


def test_the_trainer_counts_emotions_that_are_there(corpus, models, features):
    trainer = new_trainer(corpus, "batch-rule", models, features, RECIPE.for_batch(32).model_copy(update={"base_batch": 1}))
    stacks, others = trainer._optimizer.param_groups
    assert len(features.labels.unique()) == len(EMOTIONS)
    assert stacks["growth"].tolist() == [4.0] * 8 + [16.0] * 2
    assert others["growth"].tolist() == [32.0]
    art = trainer.objective.row_shares([EMOTIONS.index(emotion) for emotion in EMOART_EMOTIONS])
    assert art.shape == (len(PAIRS),)
    assert art[:8].tolist() == pytest.approx([1 / 6 if emotion in EMOART_EMOTIONS else 0.0 for emotion in EMOTIONS])
    assert art[8:].tolist() == pytest.approx([1 / 2, 1 / 2])  # amusement, awe, contentment; anger, fear, sadness
    alone = new_trainer(corpus, "batch-rule", models, features, RECIPE.for_batch(32), only=3)
    assert alone._optimizer.param_groups[0]["growth"][3] == 8.0


def test_a_recipe_without_a_base_batch_trains_as_it_did(corpus, models, features):
    trainer = new_trainer(corpus, "batch-rule", models, features, RECIPE)
    assert all((group["growth"] == 1).all() for group in trainer._optimizer.param_groups)
