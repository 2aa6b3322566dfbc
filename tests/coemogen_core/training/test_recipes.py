"""Recipes are files, and what changes bits changes their ids."""

import pytest
from pydantic import ValidationError

from coemogen_core.training.recipes import RECIPE_FOLDER, RECIPES, TrainingRecipe


def test_every_file_is_a_recipe():
    assert RECIPES.keys() == {file.name.removesuffix(".toml") for file in RECIPE_FOLDER.iterdir()} == {"lab", "paper", "paper-batched"}


def test_the_published_recipe_is_as_published():
    paper = RECIPES["paper"]
    assert (paper.rank, paper.learning_rate, paper.weight_decay, paper.steps, paper.batch_size) == (4, 1e-3, 1e-2, 130_000, 1)
    batched = RECIPES["paper-batched"]
    assert 0 <= batched.steps * batched.batch_size - 130_000 < batched.batch_size


def test_what_changes_bits_changes_the_id_and_nothing_else_does():
    recipe = TrainingRecipe(steps=1, batch_size=4)
    for changes in ({"accumulate": 2}, {"compile": True}, {"channels_last": True}, {"schedule": "linear"}):
        assert recipe.model_copy(update=changes).identity != recipe.identity
    quiet = {"sample_every": 5, "samples_per_emotion": 2, "keep_best": 0, "explosion_factor": None, "log_every": 3}
    assert recipe.model_copy(update=quiet).identity == recipe.identity


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValidationError, match="batch_size 4 does not divide by accumulate 3"):
        TrainingRecipe(steps=1, batch_size=4, accumulate=3)
