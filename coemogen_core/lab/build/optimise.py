"""The one training loop of the lab's builders: AdamW, one-cycle learning rate, an average of the weights, a line of log now and then."""

import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def optimise(
    name: str,
    model: nn.Module,
    parameters: Iterable[nn.Parameter],
    loss_at: Callable[[int], Tensor],
    steps: int,
    learning_rate: float,
    decay: float = 0.999,
    bfloat16: bool = False,
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
        bfloat16: run convolutions and products in bfloat16 (weights stay in single precision).

    Raises:
        FloatingPointError: the loss is no longer a number.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=1e-2, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=min(0.1, 300 / steps))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    started, running = time.monotonic(), 0.0
    model.train()
    for step in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = loss_at(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if not running < float("inf"):
            raise FloatingPointError(f"{name}: the loss is {running} at step {step}; lower the learning rate")
        if step % 100 == 99 or step == steps - 1:
            print(f"{name} step {step + 1}/{steps} loss {running:.4f} {(time.monotonic() - started) / (step + 1):.3f} s/step", flush=True)
    return average.module.eval()
