import json

import pytest
import torch

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.gates import PAIRS
from coemogen_core.model.saved_model import SavedModel
from coemogen_core.training.checkpoint import Checkpoint, CheckpointFolder
from coemogen_core.training.divergence import TrainingDivergedError
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.learning_rate import learning_rate_at
from coemogen_core.training.recipes import RECIPES, TrainingRecipe
from coemogen_core.training.run import train, training_run_id
from coemogen_core.training.trainer import Trainer

RECIPE = TrainingRecipe(
    steps=6,
    batch_size=4,
    checkpoint_every=2,
    log_every=3,
    warmup_steps=2,
    schedule="cosine",
    ema_decay=0.5,
    condition_dropout=0.3,
    device="cpu",
)


@pytest.fixture(scope="module")
def features(corpus, cached) -> FeatureSet:
    return FeatureSet.open(corpus, "emoset", cached)


@pytest.fixture(scope="module")
def uninterrupted(corpus, models, features):
    trainer = Trainer(corpus, "whole", models, features, RECIPE)
    trainer.train()
    return weights(trainer)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainer.objective.trainable().items()}


@pytest.mark.parametrize("stop", [2, 3])
def test_stopped_and_resumed_training_ends_at_the_same_bits(corpus, models, features, uninterrupted, stop):
    run = f"stopped-{stop}"
    Trainer(corpus, run, models, features, RECIPE).train(stop_at=stop)
    assert CheckpointFolder(corpus, run, 2).steps()[-1] == stop
    resumed = Trainer(corpus, run, models, features, RECIPE)
    resumed.train()
    for name, tensor in weights(resumed).items():
        assert torch.equal(tensor, uninterrupted[name]), name
    steps = [json.loads(line)["step"] for line in corpus.read_file("runs", run, "log.jsonl").decode().splitlines()]
    assert steps == [3, 6]


def test_checkpoints_beyond_those_to_keep_go(corpus, uninterrupted):
    assert CheckpointFolder(corpus, "whole", 2).steps() == [4, 6]


def test_a_checkpoint_file_comes_back():
    checkpoint = Checkpoint(7, {"weights.a": torch.randn(3), "optimizer.0.step": torch.ones(10)}, {"loss_scale": {"scale": 2.0}})
    again = Checkpoint.from_bytes(checkpoint.to_bytes())
    assert (again.step, again.facts) == (checkpoint.step, checkpoint.facts)
    assert torch.equal(again.tensors["weights.a"], checkpoint.tensors["weights.a"])
    assert checkpoint.to_bytes() == again.to_bytes()


def test_everything_trained_moves_and_the_base_stays(corpus, models, features):
    recipe = RECIPE.model_copy(update={"batch_size": 8, "condition_dropout": 0.0, "ema_decay": None, "steps": 3, "warmup_steps": 0})
    trainer = Trainer(corpus, "moves", models, features, recipe)
    before = weights(trainer)
    base = {name: value.clone() for name, value in trainer.objective.unet.state_dict().items() if ".lora_" not in name}
    progress = trainer.train()
    assert progress is not None
    assert progress.step == 3
    assert 0 < progress.diffusion_loss < 10
    assert all(not torch.equal(tensor, before[name]) for name, tensor in weights(trainer).items())
    after = trainer.objective.unet.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in base.items())


@pytest.mark.parametrize(("flag", "still"), [("use_emotion_pairs", EMOTIONS), ("use_polarity_pairs", ("positive", "negative"))])
def test_ablated_pairs_stay_at_zero(corpus, models, features, flag, still):
    recipe = RECIPE.model_copy(update={flag: False, "ema_decay": None, "steps": 2, "batch_size": 8})
    trainer = Trainer(corpus, f"without-{flag}", models, features, recipe)
    trainer.train()
    rows = [PAIRS.index(pair) for pair in still]
    others = [index for index in range(10) if index not in rows]
    layer = next(iter(trainer.hilora.layers.values()))
    assert not layer.lora_B[rows].any()
    assert layer.lora_B[others].any()


def test_nan_stops_with_the_last_good_checkpoint(corpus, models, features):
    trainer = Trainer(corpus, "diverges", models, features, RECIPE)
    trainer.train(stop_at=2)
    trainer = Trainer(corpus, "diverges", models, features, RECIPE)
    step = trainer._step

    def poisoned(number: int) -> torch.Tensor:
        if number == 3:
            with torch.no_grad():
                next(iter(trainer.hilora.layers.values())).lora_B.fill_(float("nan"))
        return step(number)

    trainer._step = poisoned  # type: ignore[method-assign]
    with pytest.raises(TrainingDivergedError, match=r"between steps 3 and 4.*lower the learning rate"):
        trainer.train()
    assert CheckpointFolder(corpus, "diverges", 2).steps() == [2]


def test_bfloat16_and_gradient_checkpointing_train(corpus, models, features):
    recipe = RECIPE.model_copy(update={"precision": "bfloat16", "gradient_checkpointing": True, "steps": 1, "ema_decay": None})
    trainer = Trainer(corpus, "bfloat16", models, features, recipe)
    progress = trainer.train()
    assert progress is not None
    assert all(parameter.dtype == torch.float32 for parameter in trainer.objective.trainable().values())
    assert trainer.objective.unet.conv_in.weight.dtype == torch.bfloat16


def test_a_run_saves_a_model_and_is_reused(corpus, cached, models):
    recipe = RECIPE.model_copy(update={"steps": 2})
    seen = []
    first = train(corpus, "emoset", cached, models, recipe, on_progress=seen.append)
    second = train(corpus, "emoset", cached, models, recipe)
    assert not first.reused
    assert second.reused
    assert second.run_id == first.run_id == training_run_id(corpus, "emoset", cached, models, recipe)
    assert seen[-1].step == 2
    saved = SavedModel.load(corpus.path("runs", first.run_id, "model"))
    assert saved.config.training["images_per_emotion"]["awe"] >= 1
    assert any(name.endswith("to_q.lora_A.awe") for name in saved.hilora)
    assert saved.clusters.width == 128


def test_only_what_can_change_the_weights_enters_the_run_id(corpus, cached, models):
    def run_id(**changes):
        return training_run_id(corpus, "emoset", cached, models, RECIPE.model_copy(update=changes))

    assert run_id(log_every=7, checkpoint_every=9, device="auto") == run_id()
    assert run_id(semantic_weight=0.0) != run_id()
    assert run_id(seed=1) != run_id()
    with pytest.raises(FileNotFoundError, match="cache the features"):
        training_run_id(corpus, "emoart", cached, models, RECIPE)


def test_learning_rate_warms_up_and_falls_to_zero():
    recipe = TrainingRecipe(steps=110, batch_size=1, warmup_steps=10, schedule="cosine", learning_rate=1.0)
    rates = [learning_rate_at(recipe, step) for step in range(110)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[60] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_the_published_recipe_is_as_published():
    paper = RECIPES["paper"]
    assert (paper.rank, paper.learning_rate, paper.weight_decay, paper.steps, paper.batch_size) == (4, 1e-3, 1e-2, 130_000, 1)
    batched = RECIPES["paper-batched"]
    assert 0 <= batched.steps * batched.batch_size - 130_000 < batched.batch_size
