"""Rows that compare our training from cached features with a loop like diffusers' example, at the lab's size and at the paper's."""

import copy
import itertools
import time
from pathlib import Path

import torch
from drawn_corpus import LAB_MODELS, RESOLUTION, DrawnPhoto, draw_photos
from results_table import Row, row
from sd15_shape import WIDTH, new_parts, new_vae
from step_flops import flops_from_cache, flops_with_encoders
from text_to_image_loop import LoopModels, TextToImageLoop
from torch import Tensor
from training_rigs import UNetStep, WholeStep
from turns import seconds_by_turns

from coemogen_core.model.base_models import load_unet
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import build_objective
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.trainer import Progress, Trainer

LEAST_TIMES_EXAMPLE = 2.0
STEPS_A_TURN = 4  # steps differ from one another
TRUE_SIZE_PIXELS = 256  # half of the paper's side: its own takes minutes a step on a CPU


class TimedTrainer:
    """Our trainer, a few steps a turn."""

    def __init__(self, folder: Path, features: FeatureSet, recipe: TrainingRecipe) -> None:
        objective = build_objective(LAB_MODELS, features.visual_width, recipe)
        self._trainer = Trainer(Workspace(str(folder)), "run", features, objective)
        self._ends = itertools.count(STEPS_A_TURN, STEPS_A_TURN)
        self._intervals: list[Progress] = []

    def take(self) -> float:
        """Seconds a step."""
        self._trainer.train(self._intervals.append, stop_at=next(self._ends))
        return self._intervals[-1].seconds_per_step


def loop_rows(
    folder: Path, photos: list[DrawnPhoto], features: FeatureSet, recipe: TrainingRecipe, rounds: int, *, compiled: bool
) -> list[Row]:
    """Samples a second of our trainer on cached features, and of the loop that encodes pictures and captions in every step.

    The U-Net's own forward and backward, without any LoRA, say what a trainer could reach with these kernels if all else took no time.
    """
    batch_size = recipe.batch_size
    loop = TextToImageLoop(LoopModels.load(LAB_MODELS), photos, RESOLUTION, batch_size)
    unet_alone = UNetStep(load_unet(LAB_MODELS), batch_size, gated=False)
    sides = {"ours": TimedTrainer(folder / "plain", features, recipe).take, "theirs": lambda: _several(loop), "unet": unet_alone.take}
    if compiled:
        sides["compiled"] = TimedTrainer(folder / "compiled", features, recipe.model_copy(update={"compile": True})).take
    rates = {side: batch_size / seconds for side, seconds in seconds_by_turns(sides, rounds).items()}
    rows = [_beside(f"trainer, batch {batch_size}, diffusers' example", rates["ours"], rates["theirs"])]
    if compiled:
        rows.append(_beside(f"trainer with compile, batch {batch_size}, diffusers' example", rates["compiled"], rates["theirs"]))
    bound = f"U-Net alone without LoRA, batch {batch_size}, diffusers' example"
    return [*rows, row(bound, "samples/s", rates["unet"], rates["theirs"], None, None)]


def true_size_rows(rounds: int, pixels: int = TRUE_SIZE_PIXELS) -> list[Row]:
    """The same at Stable Diffusion 1.5's true shape with random weights, batch 1, float32: what the encoders weigh there, in time."""
    parts = new_parts(torch.device("cpu"), torch.float32)
    theirs = LoopModels(copy.deepcopy(parts.unet), new_vae(), parts.text_encoder, parts.noise_scheduler)
    loop = TextToImageLoop(theirs, draw_photos(8), pixels, batch_size=1)
    ours, batch = WholeStep.gated(parts, TrainingRecipe(steps=1, batch_size=1)), _made_up_batch(pixels // 8)
    sides = {"ours": lambda: sum(ours.take(batch).values()), "theirs": lambda: _several(loop, steps=1)}
    seconds = seconds_by_turns(sides, rounds)
    name = f"SD 1.5's shape, {pixels} px, batch 1, diffusers' example"
    return [row(name, "samples/s", 1 / seconds["ours"], 1 / seconds["theirs"], None, None)]


def flops_rows() -> list[Row]:
    """What caching can save at most at the paper's size: FLOPs of a sample with the encoders in every step, and from the cache."""
    ours, theirs = flops_from_cache() / 1e12, flops_with_encoders() / 1e12
    return [row("a sample's step at SD 1.5's size, diffusers' example", "TFLOP", ours, theirs, None, None)]


def _beside(name: str, ours: float, theirs: float) -> Row:
    return row(name, "samples/s", ours, theirs, LEAST_TIMES_EXAMPLE, ours >= LEAST_TIMES_EXAMPLE * theirs)


def _several(loop: TextToImageLoop, steps: int = STEPS_A_TURN) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        loop.step()
    return (time.perf_counter() - started) / steps


def _made_up_batch(side: int) -> TrainingBatch:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(1, *shape, generator=generator)

    return TrainingBatch(
        latents=drawn(4, side, side),
        noise=drawn(4, side, side),
        timesteps=torch.tensor([500]),
        visual=drawn(WIDTH),
        caption=drawn(WIDTH),
        label=torch.tensor([1]),
        unconditional=torch.tensor([False]),
    )
