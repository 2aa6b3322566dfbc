"""A compiled U-Net trains as the plain one does, and changing gates do not compile it anew."""

from functools import partial

import pytest
import torch
import torch._dynamo

from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.loss_log import read_log
from coemogen_core.training.recipes import TrainingRecipe
from tests.coemogen_core.training.new_trainer import new_trainer

RECIPE = TrainingRecipe(steps=6, batch_size=4, log_every=1, checkpoint_every=6, device="cpu")


@pytest.mark.slow
def test_compiled_and_plain_training_have_the_same_losses(corpus, cached, models, monkeypatch):
    """With the graphs that a compiler gets and without its code generation, which takes minutes here and is torch's own affair."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    features = FeatureSet.open(corpus, "emoset", cached)
    new_trainer(corpus, "eager", models, features, RECIPE).train()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    new_trainer(corpus, "compiled", models, features, RECIPE.model_copy(update={"compile": True})).train()
    counters = torch._dynamo.utils.counters
    assert 1 <= counters["stats"]["unique_graphs"] <= 3
    for eager, compiled in zip(read_log(corpus, "eager"), read_log(corpus, "compiled"), strict=True):
        tolerance = 1e-5 if eager["step"] == 1 else 2e-3  # AdamW's first steps follow the sign of gradients that hardly differ from zero
        assert compiled["ldm"] == pytest.approx(eager["ldm"], rel=tolerance)
        assert compiled["sem"] == pytest.approx(eager["sem"], rel=tolerance)


def test_channels_last_training_has_the_same_losses(corpus, cached, models):
    features = FeatureSet.open(corpus, "emoset", cached)
    trainer = new_trainer(corpus, "channels-last", models, features, RECIPE.model_copy(update={"channels_last": True}))
    trainer.train()
    new_trainer(corpus, "channels-first", models, features, RECIPE).train()
    assert trainer.objective.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    for first, last in zip(read_log(corpus, "channels-first"), read_log(corpus, "channels-last"), strict=True):
        assert last["ldm"] == pytest.approx(first["ldm"], rel=1e-4)
