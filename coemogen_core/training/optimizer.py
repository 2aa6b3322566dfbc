"""AdamW that leaves a low-rank pair alone in steps that do not use it."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from coemogen_core.training.batch_rule import ScaledAdamW
from coemogen_core.training.optimisation import OptimisationRecipe


def learning_rate_at(recipe: OptimisationRecipe, step: int) -> float:
    """Learning rate of a step counted from 0: linear warm-up, then constant, or down to zero after the last step.

    The way down is a straight line (linear) or a half cosine; both are those of `diffusers.get_scheduler`.
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    progress = (step - recipe.warmup_steps) / max(recipe.steps - recipe.warmup_steps, 1)
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - progress)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


class PairwiseAdamW(torch.optim.Optimizer):
    """AdamW (decoupled weight decay, Loshchilov & Hutter) whose momentum, decay and bias correction count per row of a stack.

    HiLoRA keeps ten pairs in one tensor. A pair that no sample of a step uses gets a gradient of zeros, where a parameter of its own
    would get none; torch's AdamW would still move it by momentum and weight decay. Here a row whose gradient is zero throughout its group
    takes no step: its weights, moments and step count stay as they are, bit by bit, as if it were trained one emotion at a time. The rule
    looks at gradients only, so it holds across accumulation, processes and gradient scaling.

    Learning rate and betas are those of a step of the base batch size; a row that sees more samples in a step follows by the square-root
    rule (`batch_rule`).

    A group's parameters are updated as one matrix [rows, numbers]: a handful of kernels whatever the number of layers.

    Args:
        stacks: parameters that share their first dimension, the pair.
        others: ordinary parameters; together they are one row.
        lr: learning rate.
        betas: decay rates of the moments.
        eps: added to the root of the second moment.
        weight_decay: decoupled weight decay.
        growth: how many times the samples each row of the stacks [rows] sees (`batch_growth`); 1 where not given.
        growth_of_others: the same for the others, [1].
    """

    def __init__(
        self,
        stacks: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter] = (),
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        growth: Tensor | None = None,
        growth_of_others: Tensor | None = None,
    ) -> None:
        stacked, single = list(stacks), list(others)
        if len({parameter.shape[0] for parameter in stacked}) > 1:
            raise ValueError("stacked parameters differ in their first dimension: it must be the pair in all of them")
        groups: list[dict[str, Any]] = []
        if stacked:
            groups.append({"params": stacked, "rows": stacked[0].shape[0], "growth": growth})
        if single:
            groups.append({"params": single, "rows": 1, "growth": growth_of_others})
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step. Parameters without a gradient count as having a gradient of zeros."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if any(parameter.grad is not None for parameter in group["params"]):
                self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        rows, parameters = group["rows"], group["params"]
        gradient = _matrix([p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters], rows)
        state = self._state(group, gradient)
        used = (gradient != 0).any(dim=1)
        state["step"] += used
        growth = torch.ones(rows) if group["growth"] is None else group["growth"]
        scaled = ScaledAdamW.of(growth, group["lr"], group["betas"], group["weight_decay"], gradient.device)
        step = state["step"].clamp(min=1)[:, None]
        mask = used[:, None]
        mean = state["exp_avg"].lerp(gradient, scaled.fresh1)
        square = state["exp_avg_sq"].mul(scaled.beta2).addcmul_(gradient * scaled.fresh2, gradient)
        denominator = (square / (1 - scaled.beta2**step)).sqrt_().add_(group["eps"])
        update = (mean / (1 - scaled.beta1**step)).div_(denominator)
        state["exp_avg"].copy_(torch.where(mask, mean, state["exp_avg"]))
        state["exp_avg_sq"].copy_(torch.where(mask, square, state["exp_avg_sq"]))
        weights = _matrix(parameters, rows)
        moved = weights * scaled.kept - scaled.rate * update
        _write(torch.where(mask, moved, weights), parameters, rows)

    def _state(self, group: dict[str, Any], gradient: Tensor) -> dict[str, Tensor]:
        """The group's moments, kept under its first parameter: `step` [rows], `exp_avg` and `exp_avg_sq` [rows, numbers]."""
        state = self.state[group["params"][0]]
        if not state:
            state["step"] = torch.zeros(group["rows"], device=gradient.device)
            state["exp_avg"] = torch.zeros_like(gradient)
            state["exp_avg_sq"] = torch.zeros_like(gradient)
        return state


def _matrix(tensors: list[Tensor], rows: int) -> Tensor:
    return torch.cat([tensor.reshape(rows, -1) for tensor in tensors], dim=1)


def _write(matrix: Tensor, parameters: list[nn.Parameter], rows: int) -> None:
    sizes = [parameter.numel() // rows for parameter in parameters]
    for parameter, columns in zip(parameters, matrix.split(sizes, dim=1), strict=True):
        parameter.copy_(columns.reshape(parameter.shape))
