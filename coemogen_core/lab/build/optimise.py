"""The one training loop of the lab's builders: AdamW, one-cycle learning rate, an average of the weights, a line of log now and then."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


@dataclass(frozen=True)
class Checkpoint:
    """Where a long training keeps its state, and the generator of its sample order, which is part of that state."""

    file: Path
    rng: np.random.Generator
    every: int = 250

    def save(self, step: int, parts: dict[str, Any]) -> None:
        """Write the state after `step` steps, whole or not at all."""
        states = {name: part.state_dict() for name, part in parts.items()}
        draws = {"torch": torch.get_rng_state(), "numpy": self.rng.bit_generator.state}
        temporary = self.file.with_suffix(".tmp")
        torch.save({"step": step, "states": states, "draws": draws}, temporary)
        temporary.replace(self.file)

    def load(self, parts: dict[str, Any]) -> int:
        """Restore the state, if there is one; returns the number of finished steps."""
        if not self.file.exists():
            return 0
        saved = torch.load(self.file, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved["states"][name])
        torch.set_rng_state(saved["draws"]["torch"])
        self.rng.bit_generator.state = saved["draws"]["numpy"]
        return int(saved["step"])


def optimise(
    name: str,
    model: nn.Module,
    parameters: Iterable[nn.Parameter],
    loss_at: Callable[[int], Tensor],
    steps: int,
    learning_rate: float,
    decay: float = 0.999,
    bfloat16: bool = False,
    checkpoint: Checkpoint | None = None,
) -> nn.Module:
    """Train a model and return the exponential average of its weights.

    Args:
        name: printed with the loss.
        model: the model, changed in place.
        parameters: what is trained.
        loss_at: loss of one step, given the step's number.
        steps: how many steps.
        learning_rate: peak of the one-cycle schedule.
        decay: of the weight average.
        checkpoint: where to keep the state, for a training longer than an afternoon.
        bfloat16: run convolutions and products in bfloat16 (weights stay in single precision).

    Raises:
        FloatingPointError: the loss is no longer a number.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=1e-2, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=min(0.1, 300 / steps))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    parts = {"model": model, "average": average, "optimiser": optimiser, "schedule": schedule}
    first = checkpoint.load(parts) if checkpoint else 0
    started, running = time.monotonic(), 0.0
    model.train()
    for step in range(first, steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = loss_at(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        running = loss.item() if step == first else 0.98 * running + 0.02 * loss.item()
        if not running < float("inf"):
            raise FloatingPointError(f"{name}: the loss is {running} at step {step}; lower the learning rate")
        if checkpoint and step % checkpoint.every == checkpoint.every - 1:
            checkpoint.save(step + 1, parts)
        if step % 100 == 99 or step == steps - 1:
            print(
                f"{name} step {step + 1}/{steps} loss {running:.4f} {(time.monotonic() - started) / (step + 1 - first):.3f} s/step",
                flush=True,
            )
    return average.module.eval()
