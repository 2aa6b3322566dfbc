"""Sheets of samples: the same seeds every time, and a training that goes as if nobody had looked."""

import io

import pytest
import torch
from PIL import Image

from coemogen_core.data.thumbnail import GAP, HEADER_HEIGHT, LABEL_WIDTH
from coemogen_core.methods.sample_sheets import SIDE, PipelineSheets
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import build_objective
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.trainer import Trainer

QUICK = GenerationRecipe(num_inference_steps=1, device="cpu")
RECIPE = TrainingRecipe(steps=2, batch_size=4, ema_decay=0.5, condition_dropout=0.3, device="cpu", checkpoint_every=2, sampling=QUICK)


def trained(corpus, models, features, run_id: str, recipe: TrainingRecipe) -> dict[str, torch.Tensor]:
    objective = build_objective(models, features.visual_width, recipe)
    sheets = PipelineSheets(corpus, run_id, recipe, models, features, objective)
    Trainer(corpus, run_id, features, objective, sheets=sheets).train()
    return {name: parameter.detach().clone() for name, parameter in objective.trainable().items()}


@pytest.mark.parametrize("changes", [{}, {"precision": "bfloat16", "gradient_checkpointing": True}])
def test_a_training_with_sheets_is_bit_by_bit_the_one_without(corpus, cached, models, changes):
    features = FeatureSet.open(corpus, "emoset", cached)
    recipe = RECIPE.model_copy(update=changes)
    watched = recipe.model_copy(update={"sample_every": 1, "samples_per_emotion": 2})
    run = f"watched-{len(changes)}"
    plain = trained(corpus, models, features, f"un{run}", recipe)
    seen = trained(corpus, models, features, run, watched)
    assert all(torch.equal(seen[name], tensor) for name, tensor in plain.items())
    assert corpus.list_files("runs", run, "training_samples") == [f"step-00000000{step}.png" for step in (1, 2)]
    sheets = [corpus.read_file("runs", run, "training_samples", f"step-00000000{step}.png") for step in (1, 2)]
    picture = Image.open(io.BytesIO(sheets[0]))
    assert picture.size == (LABEL_WIDTH + 2 * SIDE + GAP, HEADER_HEIGHT + 8 * (SIDE + 2))
    assert sheets[0] != sheets[1]
    assert recipe.identity == watched.identity


def test_a_sheet_that_a_stop_left_out_is_drawn_on_resuming(corpus, cached, models):
    features = FeatureSet.open(corpus, "emoset", cached)
    recipe = RECIPE.model_copy(update={"steps": 3, "sample_every": 2, "samples_per_emotion": 1})
    objective = build_objective(models, features.visual_width, RECIPE.model_copy(update={"steps": 3}))
    Trainer(corpus, "left-out", features, objective).train(stop_at=2)
    trained(corpus, models, features, "left-out", recipe)
    assert corpus.list_files("runs", "left-out", "training_samples") == ["step-000000002.png"]
