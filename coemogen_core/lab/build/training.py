"""What the lab's trainings share: pools of rendered scenes, kept so that training never draws; their augmentation; one training loop."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.lab.scenes.painterly import STYLES, paint
from coemogen_core.lab.scenes.scene import Scene, render, sample_scene

Kind = Literal["neutral", "emotional", "mixed"]
SAVED_EVERY = 250  # steps


@dataclass(frozen=True)
class ScenePool:
    """Rendered scenes: `pixels` uint8 [n, 64, 64, 3], and their truth."""

    pixels: np.ndarray
    scenes: list[Scene]

    def __len__(self) -> int:
        return len(self.scenes)


def draw_pool(count: int, seed: int, kind: Kind, painted_share: float = 0.0) -> ScenePool:
    """Sample and draw scenes.

    Args:
        count: how many.
        seed: seed of everything; different seeds give disjoint pictures for all practical purposes.
        kind: neutral renderings of any content, emotional ones of the eight emotions in turn, or half and half.
        painted_share: share that passes through a random painterly style.
    """
    rng = np.random.default_rng(seed)
    pixels = np.empty((count, 64, 64, 3), dtype=np.uint8)
    painted = rng.random(count) < painted_share
    scenes = []
    for index in range(count):
        scene = sample_scene(rng, _emotion_at(index, kind))
        picture = render(scene)
        if painted[index]:
            picture = paint(picture, str(rng.choice(list(STYLES))), scene.seed)
        pixels[index] = np.asarray(picture)
        scenes.append(scene)
    return ScenePool(pixels, scenes)


def cached_pool(folder: Path, name: str, count: int, seed: int, kind: Kind, painted_share: float = 0.0) -> ScenePool:
    """`draw_pool`, kept in a folder under a name so that the builders of several models share the drawing."""
    pixels, truth = folder / f"{name}.npy", folder / f"{name}.json"
    if not truth.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pool = draw_pool(count, seed, kind, painted_share)
        np.save(pixels, pool.pixels)
        truth.write_text(json.dumps({"scenes": [asdict(scene) for scene in pool.scenes]}))
    return ScenePool(np.load(pixels, mmap_mode="r"), [Scene(**scene) for scene in json.loads(truth.read_text())["scenes"]])


def _emotion_at(index: int, kind: Kind) -> Emotion | None:
    if kind == "neutral" or (kind == "mixed" and index % 2):
        return None
    return EMOTIONS[(index // (2 if kind == "mixed" else 1)) % len(EMOTIONS)]


def augmented(pixels: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Pixels uint8 [n, 64, 64, 3] as float [n, 3, 64, 64] in [0, 1], mirrored, shifted, blurred and noised at random.

    Generated pictures are never quite sharp nor quite clean; a judge that has only seen clean drawings would be fooled by that.
    """
    x = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255
    if rng.random() < 0.5:
        x = x.flip(3)
    dy, dx = (int(shift) for shift in rng.integers(-3, 4, 2))
    x = torch.roll(F.pad(x, (3, 3, 3, 3), mode="replicate"), (dy, dx), (2, 3))[:, :, 3:-3, 3:-3]
    if rng.random() < 0.5:
        half = F.interpolate(F.interpolate(x, scale_factor=0.5, mode="area"), scale_factor=2, mode="bilinear")
        x = x + float(rng.uniform(0.2, 0.9)) * (half - x)
    noise = float(rng.uniform(0, 0.05))
    x = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(int(rng.integers(2**31))))
    return x.clamp(0, 1)


@dataclass(frozen=True)
class LoopState:
    """Where a long training keeps its state, and the generator of its sample order, which is part of that state."""

    file: Path
    rng: np.random.Generator

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
    checkpoint: LoopState | None = None,
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
        if checkpoint and step % SAVED_EVERY == SAVED_EVERY - 1:
            checkpoint.save(step + 1, parts)
        if step % 100 == 99 or step == steps - 1:
            print(
                f"{name} step {step + 1}/{steps} loss {running:.4f} {(time.monotonic() - started) / (step + 1 - first):.3f} s/step",
                flush=True,
            )
    return average.module.eval()
