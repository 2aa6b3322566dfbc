import pytest
import torch

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.gates import PAIRS
from coemogen_core.model.saved_model import SavedModel
from coemogen_core.training.beginning import check_beginning, samples_before
from coemogen_core.training.checkpoint import CheckpointFolder
from coemogen_core.training.loss_log import read_log
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train, training_run_id
from coemogen_core.training.stopping import TrainingDivergedError
from coemogen_core.training.trainer import Trainer
from tests.coemogen_core.training.new_trainer import new_trainer

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
def uninterrupted(corpus, models, features):
    trainer = new_trainer(corpus, "whole", models, features, RECIPE)
    trainer.train()
    return weights(trainer)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainer.objective.trainable().items()}


def test_checkpoints_beyond_those_to_keep_go(corpus, uninterrupted):
    assert CheckpointFolder(corpus, "whole", 2).steps() == [4, 6]  # 2 had no log interval yet, so nobody knows how good it was


def test_everything_trained_moves_and_the_base_stays(corpus, models, features):
    recipe = RECIPE.model_copy(update={"batch_size": 8, "condition_dropout": 0.0, "ema_decay": None, "steps": 3, "warmup_steps": 0})
    trainer = new_trainer(corpus, "moves", models, features, recipe)
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
    trainer = new_trainer(corpus, f"without-{flag}", models, features, recipe)
    trainer.train()
    rows = [PAIRS.index(pair) for pair in still]
    others = [index for index in range(10) if index not in rows]
    layer = next(iter(trainer.objective.hilora.layers.values()))
    assert not layer.lora_B[rows].any()
    assert layer.lora_B[others].any()


def test_nan_stops_with_the_last_good_checkpoint(corpus, models, features):
    trainer = new_trainer(corpus, "diverges", models, features, RECIPE)
    trainer.train(stop_at=2)
    trainer = new_trainer(corpus, "diverges", models, features, RECIPE)
    step = trainer._step

    def poisoned(number: int) -> None:
        if number == 3:
            with torch.no_grad():
                next(iter(trainer.objective.hilora.layers.values())).lora_B.fill_(float("nan"))
        step(number)

    trainer._step = poisoned  # type: ignore[method-assign]
    with pytest.raises(TrainingDivergedError, match=r"between steps 3 and 4.*lower the learning rate"):
        trainer.train()
    assert CheckpointFolder(corpus, "diverges", 2).steps() == [2]


def test_no_checkpoint_holds_weights_that_are_no_numbers(corpus, models, features):
    """A last update can break the weights after a loss that was well."""
    trainer = new_trainer(corpus, "breaks", models, features, RECIPE)
    trainer.train(stop_at=2)
    step = trainer._step

    def breaking(number: int) -> None:
        step(number)
        if number == 3:
            with torch.no_grad():
                next(iter(trainer.objective.hilora.layers.values())).lora_B[0, 0, 0] = float("inf")

    trainer._step = breaking  # type: ignore[method-assign]
    with pytest.raises(TrainingDivergedError, match=r"after step 4, 1 tensors .* no checkpoint was written"):
        trainer.train()
    assert CheckpointFolder(corpus, "breaks", 2).steps() == [2]


def test_an_exploding_loss_stops_the_training_and_leaves_its_checkpoints(corpus, models, features):
    recipe = RECIPE.model_copy(update={"steps": 12, "log_every": 1, "checkpoint_every": 1, "explosion_factor": 1000.0, "ema_decay": None})
    trainer = new_trainer(corpus, "explodes", models, features, recipe)
    step = trainer._step

    def thrown(number: int) -> None:
        if number == 7:
            with torch.no_grad():
                trainer.objective.unet.conv_out.weight.mul_(1e3)
        step(number)

    trainer._step = thrown  # type: ignore[method-assign]
    with pytest.raises(TrainingDivergedError, match=r"exploded between steps 7 and 8.*explosion_factor"):
        trainer.train()
    steps = CheckpointFolder(corpus, "explodes", 2).steps()
    assert steps[-2:] == [6, 7]
    assert len(steps) <= 3


@pytest.mark.parametrize("pieces", [2, 4])
def test_a_step_in_pieces_is_the_step_at_once(corpus, models, features, pieces):
    recipe = RECIPE.model_copy(update={"steps": 1, "ema_decay": None, "batch_size": 8, "warmup_steps": 0})
    gradients, runs = [], []
    for accumulate in (1, pieces):
        run = f"pieces-{pieces}-{accumulate}"
        trainer = new_trainer(corpus, run, models, features, recipe.model_copy(update={"accumulate": accumulate}))
        clip = trainer._accelerator.clip_grad_norm_

        def spy(parameters, norm, clip=clip):
            gradients.append([parameter.grad.clone() for parameter in parameters])
            return clip(parameters, norm)

        trainer._accelerator.clip_grad_norm_ = spy
        trainer.train()
        runs.append(read_log(corpus, run)[0])
    assert len(gradients) == 2
    for whole, summed in zip(*gradients, strict=True):
        torch.testing.assert_close(summed, whole, atol=1e-6, rtol=1e-4)
    assert runs[1]["ldm"] == pytest.approx(runs[0]["ldm"], rel=1e-5)
    assert runs[1]["emotions"].keys() == runs[0]["emotions"].keys()


def test_float16_on_a_cpu_is_refused_with_what_to_choose(corpus, models, features):
    with pytest.raises(ValueError, match="needs a GPU: choose bfloat16"):
        new_trainer(corpus, "float16", models, features, RECIPE.model_copy(update={"precision": "float16"}))


def test_bfloat16_stops_and_resumes_at_the_same_bits(corpus, models, features):
    recipe = RECIPE.model_copy(update={"precision": "bfloat16", "steps": 3})
    new_trainer(corpus, "half-stopped", models, features, recipe).train(stop_at=1)
    trainers = [new_trainer(corpus, run, models, features, recipe) for run in ("half-whole", "half-stopped")]
    for trainer in trainers:
        trainer.train()
    whole, stopped = map(weights, trainers)
    assert all(torch.equal(whole[name], tensor) for name, tensor in stopped.items())


def test_bfloat16_and_gradient_checkpointing_train(corpus, models, features):
    recipe = RECIPE.model_copy(update={"precision": "bfloat16", "gradient_checkpointing": True, "steps": 1, "ema_decay": None})
    trainer = new_trainer(corpus, "bfloat16", models, features, recipe)
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


def test_a_training_goes_on_from_the_weights_of_a_finished_one(corpus, cached, models):
    first = train(corpus, "emoset", cached, models, RECIPE.model_copy(update={"steps": 2, "ema_decay": None}))
    recipe = RECIPE.model_copy(
        update={"steps": 1, "learning_rate": 1e-12, "weight_decay": 0.0, "ema_decay": None, "from_run": first.run_id}
    )
    second = train(corpus, "emoset", cached, models, recipe)
    assert second.run_id != first.run_id
    before, after = (SavedModel.load(corpus.path("runs", run.run_id, "model")) for run in (first, second))
    for old, new in ((before.conditioner, after.conditioner), (before.hilora, after.hilora)):
        assert all(torch.allclose(new[name], old[name], atol=1e-9) for name in old)
    assert after.config.training["recipe"]["from_run"] == first.run_id
    third = recipe.model_copy(update={"from_run": second.run_id})
    assert [samples_before(corpus, one) for one in (RECIPE, recipe, third)] == [0, 2 * RECIPE.batch_size, 3 * RECIPE.batch_size]


def test_a_training_from_another_shape_or_from_nowhere_is_refused(corpus, cached, models):
    first = train(corpus, "emoset", cached, models, RECIPE.model_copy(update={"steps": 2, "ema_decay": None}))
    wider = RECIPE.model_copy(update={"steps": 1, "rank": 3, "from_run": first.run_id})
    with pytest.raises(ValueError, match="another rank: 4 there, 3 here"):
        check_beginning(corpus, models, wider)  # before anything is computed
    with pytest.raises(ValueError, match=r"another visual_width: \d+ there, 5 here"):
        check_beginning(corpus, models, wider.model_copy(update={"rank": 4}), visual_width=5)
    with pytest.raises(ValueError, match=rf"training.from_run {first.run_id} has another rank: 4 there, 3 here. Give it as"):
        train(corpus, "emoset", cached, models, wider)
    louder = RECIPE.model_copy(update={"steps": 1, "alpha": 16.0, "from_run": first.run_id})
    with pytest.raises(ValueError, match=rf"training.from_run {first.run_id} has another alpha: 4.0 there, 16.0 here"):
        train(corpus, "emoset", cached, models, louder)
    corpus.write_json({"format": 1, "kind": "textual-inversion", "training": {}}, "runs", "textual-inversion-1", "model", "config.json")
    with pytest.raises(ValueError, match=r"holds a model of textual-inversion, not of CoEmoGen: name a run train-"):
        train(corpus, "emoset", cached, models, RECIPE.model_copy(update={"from_run": "textual-inversion-1"}))
    with pytest.raises(FileNotFoundError, match=r"no trained model in .*train-none"):
        train(corpus, "emoset", cached, models, RECIPE.model_copy(update={"from_run": "train-none"}))
