"""Two processes train as one with the whole batch does."""

from typing import Any

import pytest
import torch
from safetensors.torch import load
from torch.distributed.elastic.utils.distributed import get_free_port

from coemogen_core.training.loss_log import read_log
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train
from tests.coemogen_core.training.training_process import start_training

# A step's four samples show four emotions: every row of emotion gates that one process uses, the other does not.
RECIPE = TrainingRecipe(steps=6, batch_size=4, log_every=2, checkpoint_every=3, condition_dropout=0.3, device="cpu")


def train_together(*training: Any, processes: int = 2) -> None:
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(get_free_port()), "GLOO_SOCKET_IFNAME": "lo"}
    running = [start_training(*training, **shared, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(processes)]
    errors = [process.communicate(timeout=600)[1] for process in running]
    assert [process.returncode for process in running] == [0] * processes, "\n".join(errors)


@pytest.mark.slow
def test_two_processes_that_accumulate_have_the_losses_and_weights_of_one_with_the_whole_batch(corpus, cached, models):
    recipe = RECIPE.model_copy(update={"accumulate": 2})
    alone, together = "alone", "together"
    train(corpus, "emoset", cached, models, RECIPE, run_id=alone)
    train_together(corpus, cached, models, recipe, together)
    one, two = read_log(corpus, alone), read_log(corpus, together)
    assert [line["step"] for line in one] == [line["step"] for line in two] == [2, 4, 6]
    for first, second in zip(one, two, strict=True):
        assert second["ldm"] == pytest.approx(first["ldm"], rel=1e-4)
        assert second["sem"] == pytest.approx(first["sem"], rel=1e-4)
        assert second["emotions"].keys() == first["emotions"].keys()
        assert sum(losses["samples"] for losses in second["emotions"].values()) == 8
    for name in ("hilora", "conditioner"):
        expected, found = (load(corpus.read_file("runs", run, "model", f"{name}.safetensors")) for run in (alone, together))
        for key, tensor in expected.items():
            torch.testing.assert_close(found[key], tensor, atol=2e-4, rtol=1e-3)
