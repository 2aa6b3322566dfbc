"""The ablation's emotion inputs through a whole training."""

import pytest
import torch

from coemogen_core.model.conditioner import ConditionerConfig
from coemogen_core.model.saved_model import SavedModel
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train, training_run_id


def recipe(kind: str, steps: int = 2) -> TrainingRecipe:
    return TrainingRecipe(steps=steps, batch_size=4, device="cpu", conditioner=ConditionerConfig(emotion_input=kind, num_emotion_tokens=3))


@pytest.mark.parametrize(("kind", "trained"), [("class-vector", ["mapper.vectors"]), ("emotion-word", [])])
def test_an_input_is_trained_saved_and_part_of_the_run_id(corpus, cached, models, kind, trained):
    outcome = train(corpus, "emoset", cached, models, recipe(kind))
    assert outcome.run_id != training_run_id(corpus, "emoset", cached, models, recipe("one-hot"))
    longer = train(corpus, "emoset", cached, models, recipe(kind, steps=3))
    first, second = (SavedModel.load(corpus.path("runs", run_id, "model")) for run_id in (outcome.run_id, longer.run_id))
    assert first.config.conditioner.emotion_input == kind
    assert [name for name in first.conditioner if name.startswith("mapper.")] == trained
    for name in (*trained, "visual_perception.to_query.weight"):
        assert not torch.equal(first.conditioner[name], second.conditioner[name])
