"""Profiles are complete: every flow's parameters can be read from each, and overrides reach nested fields."""

from typing import get_args

import pytest
from pydantic import ValidationError

from coemogen_core.recipe import merge
from coemogen_core.training.recipes import RECIPES, TrainingRecipe
from flows.params import BuildEmoartParams, BuildEmosetParams, RecaptionParams, load_params
from flows.profiles import Profile
from flows.train_params import TrainAndEvalParams

SOURCE = {"name": "s", "layout": "wikiart", "root": "/somewhere"}


@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_profile_serves_every_flow(profile: Profile) -> None:
    assert load_params(profile, BuildEmosetParams, {"workspace": "w", "source": SOURCE}).drop_fraction == 0.2
    assert load_params(profile, BuildEmoartParams, {"workspace": "w", "source": SOURCE, "labelled_source": "l"})
    assert load_params(profile, RecaptionParams, {"workspace": "w", "dataset": "emoset"}).caption.temperature > 0
    assert load_params(profile, TrainAndEvalParams, {"workspace": "w"})


def test_the_real_profile_is_the_papers_setting() -> None:
    params = load_params("sd15", TrainAndEvalParams, {"workspace": "w"})
    assert params.training == RECIPES["paper-batched"]
    assert params.training.steps * params.training.batch_size >= 130_000
    assert params.resolution == 512
    assert params.images_per_emotion == 1000


def test_overrides_reach_nested_fields_and_leave_the_rest() -> None:
    params = load_params("lab", TrainAndEvalParams, {"workspace": "w", "training": {"steps": 3}})
    assert params.training.steps == 3
    assert params.training.batch_size == RECIPES["lab"].batch_size


def test_a_recipe_is_brought_to_another_batch_and_fields_still_replace_it() -> None:
    def training(**given: object) -> TrainingRecipe:
        return load_params("sd15", TrainAndEvalParams, {"workspace": "w", "training": given}).training

    assert training(recipe="paper", for_batch=16) == RECIPES["paper"].for_batch(16)
    assert training(for_batch=16, steps=5) == RECIPES["paper-batched"].for_batch(16).model_copy(update={"steps": 5})
    for wrong in (0, 1.5, "many"):
        with pytest.raises(ValueError, match=r"training\.for_batch must be a whole number of at least 1"):
            training(for_batch=wrong)
    with pytest.raises(ValueError, match=r"training\.for_batch beside training\.batch_size: give one of them"):
        training(for_batch=16, batch_size=8)


def test_no_split_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"train_splits"):
        load_params("lab", TrainAndEvalParams, {"workspace": "w", "train_splits": []})


def test_every_training_of_a_matrix_has_to_divide_among_the_processes() -> None:
    alone = {"method": "textual-inversion", "settings": {"batch_size": 1}}  # trains in one process
    matrix = {"methods": [{"method": "coemogen", "settings": {"for_batch": 1}}, alone]}
    with pytest.raises(ValidationError, match=r"method coemogen: training.batch_size 1 does not divide by"):
        load_params("lab", TrainAndEvalParams, {"workspace": "w", "matrix": matrix, "launch": {"processes": 2}})


def test_unknown_fields_and_values_are_refused_with_their_name() -> None:
    with pytest.raises(ValidationError, match=r"training\.stepz"):
        load_params("lab", TrainAndEvalParams, {"workspace": "w", "training": {"stepz": 3}})
    with pytest.raises(ValidationError, match="min_confidence"):
        load_params("lab", BuildEmoartParams, {"workspace": "w", "source": SOURCE, "labelled_source": "l", "min_confidence": 1})
    with pytest.raises(ValueError, match="unknown training recipe"):
        load_params("lab", TrainAndEvalParams, {"workspace": "w", "training": {"recipe": "none"}})


def test_merge_changes_neither_argument() -> None:
    old, new = {"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}
    assert merge(old, new) == {"a": {"b": 3, "c": 2}}
    assert (old, new) == ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
