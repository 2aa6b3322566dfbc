"""Learning rates against diffusers' schedulers."""

import pytest
import torch
from diffusers.optimization import get_scheduler

from coemogen_core.training.optimizer import learning_rate_at
from coemogen_core.training.recipes import TrainingRecipe

STEPS, WARMUP = 110, 10


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_after_the_warm_up_it_is_that_of_diffusers(schedule):
    recipe = TrainingRecipe(steps=STEPS, batch_size=1, warmup_steps=WARMUP, schedule=schedule, learning_rate=0.01)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    oracle = get_scheduler(schedule, optimizer, num_warmup_steps=WARMUP, num_training_steps=STEPS)
    rates = []
    for _ in range(STEPS):
        rates.append(oracle.get_last_lr()[0])
        optimizer.step()
        oracle.step()
    assert [learning_rate_at(recipe, step) for step in range(WARMUP, STEPS)] == pytest.approx(rates[WARMUP:])


def test_the_warm_up_begins_above_zero_and_ends_at_the_peak():
    recipe = TrainingRecipe(steps=STEPS, batch_size=1, warmup_steps=WARMUP, schedule="cosine", learning_rate=1.0)
    assert [learning_rate_at(recipe, step) for step in range(WARMUP)] == pytest.approx([0.1 * (step + 1) for step in range(WARMUP)])
    assert 0 < learning_rate_at(recipe, STEPS - 1) < 0.01
