"""The training loop: cached features in, trained conditioner and HiLoRA out; stops and resumes at any checkpoint with the same bits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from diffusers.training_utils import EMAModel
from torch import Tensor

from coemogen_core.data.workspace import Workspace
from coemogen_core.model.base_models import BaseModels, choose_device, load_noise_scheduler, load_text_encoder, load_unet
from coemogen_core.model.conditioner import Conditioner
from coemogen_core.model.hilora import HiLoRA, inject
from coemogen_core.training.batches import BatchSource
from coemogen_core.training.checkpoint import Checkpoint, CheckpointFolder
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.learning_rate import learning_rate_at
from coemogen_core.training.loss_log import LossLog, mean_losses
from coemogen_core.training.objective import TrainingObjective
from coemogen_core.training.pairwise_adamw import PairwiseAdamW
from coemogen_core.training.recipes import Precision, TrainingRecipe

_ACCELERATE_PRECISION: dict[Precision, str] = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
_DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Progress:
    """Where a training stands; passed to the progress callback after every log interval."""

    step: int
    steps: int
    diffusion_loss: float
    semantic_loss: float
    seconds_per_step: float


class Trainer:
    """One training run. `train()` goes from the newest checkpoint, or from the beginning, to the recipe's last step."""

    def __init__(self, workspace: Workspace, run_id: str, models: BaseModels, features: FeatureSet, recipe: TrainingRecipe) -> None:
        self.recipe = recipe
        self._workspace, self._run_id = workspace, run_id
        self._accelerator = _new_accelerator(recipe)
        self.objective = build_objective(models, features.visual_width, recipe).to(self._accelerator.device)
        self.objective.conditioner.text_encoder.to(self._accelerator.device)
        self._parameters = self.objective.trainable()
        hilora = {id(parameter) for parameter in self.hilora.parameters()}
        others = [parameter for parameter in self._parameters.values() if id(parameter) not in hilora]
        self._optimizer = PairwiseAdamW(self.hilora.parameters(), others, recipe.learning_rate, weight_decay=recipe.weight_decay)
        self._model, self._stepper = self._accelerator.prepare(self.objective, self._optimizer)
        decay = recipe.ema_decay
        self._average = None if decay is None else EMAModel(list(self._parameters.values()), decay=decay, use_ema_warmup=True)
        self._batches = BatchSource(features, recipe, self.objective.scheduler.config.num_train_timesteps)
        self._checkpoints = CheckpointFolder(workspace, run_id, recipe.keep_checkpoints)

    @property
    def hilora(self) -> HiLoRA:
        """The trained low-rank pairs."""
        return self.objective.hilora

    @property
    def conditioner(self) -> Conditioner:
        """The trained mapper and visual-perception encoder."""
        return self.objective.conditioner

    def train(self, on_progress: Callable[[Progress], None] | None = None, stop_at: int | None = None) -> Progress | None:
        """Train to the last step, then put the moving average, if there is one, in the place of the weights.

        Args:
            on_progress: called after every log interval by the main process.
            stop_at: stop after this many steps in all, leaving a checkpoint, for a training that is to go on later.

        Returns:
            The last interval, None when the checkpoint found was already the last one.

        Raises:
            TrainingDivergedError: a loss became NaN or infinite; the newest checkpoint is from before.
        """
        start = self._resume()
        end = min(stop_at or self.recipe.steps, self.recipe.steps)
        log = LossLog(self._workspace, self._run_id, start)
        progress = None
        for step in range(start, end):
            log.add(self._step(step))
            done = step + 1
            checkpoint = done % self.recipe.checkpoint_every == 0 or done == end
            if checkpoint or done % self.recipe.log_every == 0:
                line = log.close_interval(done, learning_rate_at(self.recipe, step))
                progress = Progress(done, self.recipe.steps, line["ldm"], line["sem"], line["seconds_per_step"])
                if on_progress and self._accelerator.is_main_process:
                    on_progress(progress)
            if checkpoint and self._accelerator.is_main_process:
                self._checkpoints.save(self._state(done))
                log.write()
        if self._average is not None and end == self.recipe.steps:
            self._average.copy_to(self._parameters.values())
        return progress

    def _step(self, step: int) -> Tensor:
        """One optimizer step; returns the mean losses [2] of all processes."""
        recipe, accelerator = self.recipe, self._accelerator
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(recipe, step)
        batch = self._batches.at(step, accelerator.process_index, accelerator.num_processes).to(accelerator.device)
        losses = self._model(batch)
        means = mean_losses(losses.diffusion, losses.semantic)
        accelerator.backward(means[0] + recipe.semantic_weight * means[1])
        accelerator.clip_grad_norm_(list(self._parameters.values()), recipe.max_gradient_norm)
        self._stepper.step()
        self._stepper.zero_grad()
        if self._average is not None:
            self._average.step(self._parameters.values())
        return accelerator.reduce(means.detach(), "mean")

    def _state(self, step: int) -> Checkpoint:
        tensors = {f"weights.{name}": parameter for name, parameter in self._parameters.items()}
        for index, group in enumerate(self._optimizer.param_groups):
            for moment, tensor in self._optimizer.state[group["params"][0]].items():
                tensors[f"optimizer.{index}.{moment}"] = tensor
        facts: dict[str, Any] = {}
        if self._average is not None:
            shadows = zip(self._parameters, self._average.shadow_params, strict=True)
            tensors |= {f"average.{name}": shadow for name, shadow in shadows}
            facts["average_steps"] = self._average.optimization_step
        if self._accelerator.scaler is not None:
            facts["loss_scale"] = self._accelerator.scaler.state_dict()
        return Checkpoint(step, tensors, facts)

    @torch.no_grad()
    def _resume(self) -> int:
        """Load the newest checkpoint, if any; returns the number of finished steps."""
        checkpoint = self._checkpoints.newest()
        if checkpoint is None:
            return 0
        for name, parameter in self._parameters.items():
            parameter.copy_(checkpoint.tensors[f"weights.{name}"])
        for index, group in enumerate(self._optimizer.param_groups):
            prefix = f"optimizer.{index}."
            moments = {name.removeprefix(prefix): tensor for name, tensor in checkpoint.tensors.items() if name.startswith(prefix)}
            self._optimizer.state[group["params"][0]] = {name: tensor.to(self._accelerator.device) for name, tensor in moments.items()}
        if self._average is not None:
            for name, shadow in zip(self._parameters, self._average.shadow_params, strict=True):
                shadow.copy_(checkpoint.tensors[f"average.{name}"])
            self._average.optimization_step = checkpoint.facts["average_steps"]
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(checkpoint.facts["loss_scale"])
        return checkpoint.step


def _new_accelerator(recipe: TrainingRecipe) -> Accelerator:
    AcceleratorState._reset_state()  # accelerate holds one precision per process; a flow may train several models after each other
    cpu = choose_device(recipe.device).type == "cpu"
    return Accelerator(mixed_precision=_ACCELERATE_PRECISION[recipe.precision], cpu=cpu)


def build_objective(models: BaseModels, visual_width: int, recipe: TrainingRecipe) -> TrainingObjective:
    """Load the base models, freeze them in the recipe's precision and put conditioner and HiLoRA on top, freshly initialised in float32."""
    dtype = _DTYPES[recipe.precision]
    unet = load_unet(models, dtype)
    if recipe.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
        unet.train()  # diffusers recomputes in training mode only; SD's U-Net has no dropout that this would switch on
    text_encoder = load_text_encoder(models)
    conditioner = Conditioner(recipe.conditioner, text_encoder, visual_width, seed=recipe.seed)
    text_encoder.to(dtype)
    hilora = inject(unet, recipe.rank, recipe.alpha, recipe.targets, seed=recipe.seed)
    return TrainingObjective(unet, hilora, conditioner, load_noise_scheduler(models), recipe)
