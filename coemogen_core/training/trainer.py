"""The training loop: cached features in, trained conditioner and HiLoRA out; stops and resumes at any checkpoint with the same bits."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from diffusers.training_utils import EMAModel

from coemogen_core.device import resolve_device
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.batch_rule import batch_growth
from coemogen_core.training.batches import BatchSource
from coemogen_core.training.checkpoint import SCORE, CheckpointFolder, TrainingState
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.loss_log import LossLog, TensorBoardCurves
from coemogen_core.training.objective import DenoisingObjective
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.optimizer import PairwiseAdamW, learning_rate_at
from coemogen_core.training.stopping import TrainingDivergedError, TrainingStoppedError, check_tensors, listens_to_sigterm
from schemas.choices import Precision

logger = logging.getLogger(__name__)

_ACCELERATE_PRECISION: dict[Precision, str] = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True)
class Progress:
    """Where a training stands; passed to the progress callback after every log interval."""

    step: int
    steps: int
    diffusion_loss: float
    semantic_loss: float
    seconds_per_step: float

    @property
    def line(self) -> str:
        """What it says, in a line."""
        losses = f"L_LDM {self.diffusion_loss:.4f}, L_SEM {self.semantic_loss:.4f}"
        return f"step {self.step} of {self.steps}: {losses}, {self.seconds_per_step:.2f} s a step"


class SampleSheets(Protocol):
    """Draws pictures of a model while it is trained; `methods.sample_sheets` has CoEmoGen's."""

    def is_due(self, step: int) -> bool:
        """Whether pictures are wanted after so many steps."""

    def draw(self, step: int, average: EMAModel | None, accelerator: Accelerator) -> None:
        """Draw them with the model as it would be saved now."""


class Trainer:
    """One training run. `train()` goes from the newest checkpoint, or from the beginning, to the recipe's last step."""

    def __init__(
        self,
        workspace: Workspace,
        run_id: str,
        features: FeatureSet,
        objective: DenoisingObjective,
        *,
        only: int | None = None,
        sheets: SampleSheets | None = None,
    ) -> None:
        """Prepare a training.

        Args:
            workspace: takes checkpoints and log.
            run_id: folder below runs/.
            features: the training set.
            objective: what is trained, with what losses, by what recipe.
            only: index of the one emotion whose pictures are seen; None takes all.
            sheets: draws sample pictures on the way; None draws none.

        Raises:
            ValueError: there are no such pictures, or the precision needs a GPU.
        """
        self.recipe = recipe = objective.recipe
        self._workspace, self._run_id = workspace, run_id
        self._accelerator = _new_accelerator(recipe)
        self.objective = objective.to(self._accelerator.device)
        self.objective.text_encoder.to(self._accelerator.device)
        self._parameters = self.objective.trainable()
        stacks = self.objective.stacks()
        stacked = {id(parameter) for parameter in stacks}
        others = [parameter for parameter in self._parameters.values() if id(parameter) not in stacked]
        seen = features.labels.unique().tolist() if only is None else [only]
        growth, growth_of_others = (
            batch_growth(shares, recipe.batch_size, recipe.base_batch) for shares in (self.objective.row_shares(seen), torch.ones(1))
        )
        self._optimizer = PairwiseAdamW(
            *(stacks, others, recipe.learning_rate),
            weight_decay=recipe.weight_decay,
            growth=growth,
            growth_of_others=growth_of_others,
        )
        self._model, self._stepper = self._accelerator.prepare(self.objective, self._optimizer)
        decay = recipe.ema_decay
        self._average = None if decay is None else EMAModel(list(self._parameters.values()), decay=decay, use_ema_warmup=True)
        self._batches = BatchSource(features, recipe, self.objective.scheduler.config.num_train_timesteps, only)
        self._checkpoints = CheckpointFolder(workspace, run_id, recipe.keep_checkpoints, recipe.keep_best)
        self._state = TrainingState(self._parameters, self._optimizer, self._average, self._accelerator)
        self._sheets = sheets
        self._log = LossLog(workspace, run_id, self.objective.semantic_weight, recipe.explosion_factor, self._accelerator.reduce)

    @property
    def is_main(self) -> bool:
        """Whether this process writes: the first of several that train together."""
        return self._accelerator.is_main_process

    def train(self, on_progress: Callable[[Progress], None] | None = None, stop_at: int | None = None) -> Progress | None:
        """Train to the last step, then put the moving average, if there is one, in the place of the weights.

        Args:
            on_progress: called after every log interval by the main process.
            stop_at: stop after this many steps in all, leaving a checkpoint, for a training that is to go on later.

        Returns:
            The last interval, None when none ended.

        Raises:
            TrainingDivergedError: a loss or weight became NaN or infinite, or the loss exploded; the newest checkpoint is from before.
            TrainingStoppedError: somebody asked for it (see `stopping`); the newest checkpoint is of the last step.
        """
        start = self._resume()
        end = min(stop_at or self.recipe.steps, self.recipe.steps)
        progress = None
        curves = TensorBoardCurves(self._workspace, self._run_id, self._log.lines, enabled=self.is_main)
        with listens_to_sigterm() as stop, closing(curves), self._log_kept():
            self._draw_samples(start)  # the sheet that a stop left out
            for step in range(start, end):
                self._step(step)
                done = step + 1
                if done % self.recipe.log_every == 0 or done == self.recipe.steps:
                    progress = self._close_interval(done, curves, on_progress)
                stopping = self._is_to_stop(stop) and done < end
                if not stopping:
                    self._draw_samples(done)
                if done % self.recipe.checkpoint_every == 0 or done == end or stopping:
                    self._save(done)
                if stopping:
                    self._stop(done)
        if self._average is not None and end == self.recipe.steps:
            self._average.copy_to(self._parameters.values())
        return progress

    def wait_for_all(self) -> None:
        """Wait until every process that trains has come here."""
        self._accelerator.wait_for_everyone()

    def _step(self, step: int) -> None:
        """One optimizer step, in as many pieces as the recipe says."""
        recipe, accelerator = self.recipe, self._accelerator
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(recipe, step)
        share = self._batches.at(step, accelerator.process_index, accelerator.num_processes)
        for piece in share.split(recipe.accumulate):
            batch = piece.to(accelerator.device)
            with accelerator.accumulate(self._model):
                losses = self._model(batch)
                self._log.add(batch.label, *losses)
                accelerator.backward(losses.diffusion.mean() + self.objective.semantic_weight * losses.semantic.mean())
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(list(self._parameters.values()), recipe.max_gradient_norm)
                self._stepper.step()
                self._stepper.zero_grad()
        if self._average is not None:
            self._average.step(self._parameters.values())
        self._log.end_step()

    def _close_interval(self, done: int, curves: TensorBoardCurves, on_progress: Callable[[Progress], None] | None) -> Progress:
        line = self._log.close_interval(done, learning_rate_at(self.recipe, done - 1))
        curves.add(line)
        progress = Progress(done, self.recipe.steps, line["ldm"], line["sem"], line["seconds_per_step"])
        if on_progress and self.is_main:
            on_progress(progress)
        return progress

    def _is_to_stop(self, stop: threading.Event) -> bool:
        """Whether any process was asked to stop: all of them stop after the same step."""
        if self._accelerator.num_processes == 1:
            return stop.is_set()
        if stop.is_set():
            self._accelerator.set_trigger()
        return self._accelerator.check_trigger()

    def _stop(self, done: int) -> None:
        place = f"{self._run_id}: stopped as asked after step {done} of {self.recipe.steps}"
        text = f"{place}; its checkpoint is written, and the same command goes on from there"
        if self.is_main:
            logger.warning(text)
        raise TrainingStoppedError(text)

    def _save(self, done: int) -> None:
        """Log first, then checkpoint: whatever is killed in between, a resumed training finds every line up to its checkpoint."""
        sums = self._log.open_sums(done)
        tensors = {} if sums is None else {"log.sums": sums}
        facts = {} if self._log.smoothed_loss is None else {SCORE: self._log.smoothed_loss}
        checkpoint = self._state.checkpoint(done, tensors, facts)
        check_tensors(checkpoint.tensors, done)  # in every process, so that none waits for one that gave up
        if self.is_main:
            self._log.write()
            self._checkpoints.save(checkpoint)

    @contextmanager
    def _log_kept(self) -> Iterator[None]:
        """Write the log of a training that goes wrong, too: it shows how. Lines beyond the checkpoint go when it is resumed."""
        try:
            yield
        except TrainingDivergedError:
            if self.is_main:
                self._log.write()
            raise

    def _draw_samples(self, done: int) -> None:
        if self._sheets is not None and self.is_main and self._sheets.is_due(done):
            self._sheets.draw(done, self._average, self._accelerator)

    def _resume(self) -> int:
        """Load the newest checkpoint, if any; returns the number of finished steps."""
        checkpoint = self._checkpoints.newest()
        self._accelerator.gradient_accumulation_steps = self.recipe.accumulate  # accelerate holds one number per process
        if checkpoint is None:
            self._log.resume(0, None)
            return 0
        self._state.restore(checkpoint)
        sums = checkpoint.tensors.get("log.sums") if self.is_main else None
        self._log.resume(checkpoint.step, None if sums is None else sums.to(self._accelerator.device))
        return checkpoint.step


def _new_accelerator(recipe: OptimisationRecipe) -> Accelerator:
    AcceleratorState._reset_state()  # accelerate holds one precision per process; a flow may train several models after each other
    device = resolve_device(recipe.device)
    if recipe.precision == "float16" and device.type == "cpu":
        raise ValueError("precision float16 needs a GPU: choose bfloat16 or float32 on a CPU")
    buffers = DistributedDataParallelKwargs(broadcast_buffers=False)  # they are constants, and each process's own gates
    return Accelerator(mixed_precision=_ACCELERATE_PRECISION[recipe.precision], cpu=device.type == "cpu", kwargs_handlers=[buffers])
