"""Training at Stable Diffusion 1.5's size on one GPU: samples a second, share of the measured matmul peak, memory.

    .venv/bin/python benchmarks/training_gpu.py --json training_gpu.json

Our whole step (conditioner, both losses, HiLoRA, clipping, PairwiseAdamW) on 64 x 64 latents, that is 512 px, from cached features made up
here; random weights of SD 1.5's shape, bfloat16 under autocast, compiled, channels last. Batches of 1, 8 and 32, then twice as many as long
as that gains 2 %. FLOPs of a sample are counted by torch over forward and backward; the peak is that of a large bfloat16 matmul in the same
process. Without CUDA it says so and exits with 2; `--tiny` runs the script itself on the lab's models, on a CPU, in float32.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from results_table import Row, report, row
from sd15_shape import new_parts
from step_flops import count_flops
from training_rigs import FrozenParts, WholeStep

from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.architectures import WIDTH as LAB_WIDTH
from coemogen_core.model.base_models import BaseModels
from coemogen_core.training.batches import BatchSource
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.recipes import TrainingRecipe

SAMPLES_A_SECOND = 100.0  # wanted of an H200
PAPER_SAMPLES = 130_000
MINUTES = 30.0  # for as many samples as the paper's
GAIN = 1.02  # below this, a larger batch is no better
MADE_UP_ROWS = 64
GIB = 2**30


@dataclass(frozen=True)
class Setting:
    """Where and how it runs."""

    device: torch.device
    autocast: torch.dtype | None
    compile: bool
    batches: tuple[int, ...]
    largest: int
    steps: int
    matmul_side: int

    def wait(self) -> None:
        """Until the device has done all its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="the lab's models on a CPU, to see that the script works")
    parser.add_argument("--no-compile", action="store_true", help="run the U-Net as it is")
    parser.add_argument("--steps", type=int, default=20, help="timed steps of every batch size")
    parser.add_argument("--largest", type=int, default=256, help="largest batch to try")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not chosen.tiny and not torch.cuda.is_available():
        print("training_gpu.py needs a CUDA device and finds none: nothing was measured (--tiny runs on a CPU)", file=sys.stderr)
        sys.exit(2)
    if chosen.tiny:
        setting = Setting(torch.device("cpu"), None, False, (1, 2), 2, 2, 256)
    else:
        setting = Setting(torch.device("cuda"), torch.bfloat16, not chosen.no_compile, (1, 8, 32), chosen.largest, chosen.steps, 8192)
    name = "CPU, tiny" if chosen.tiny else torch.cuda.get_device_name()
    print(f"{name}; torch {torch.__version__}; {'compiled' if setting.compile else 'not compiled'}")
    report(measure(setting, tiny=chosen.tiny), chosen.json)


def measure(setting: Setting, *, tiny: bool) -> list[Row]:
    """All rows: the peak, FLOPs of a sample, every batch size, and what the best of them means for the paper's training."""
    parts = _lab_parts() if tiny else new_parts(setting.device, torch.bfloat16)
    features = _made_up_features(parts)
    peak = matmul_peak(setting)
    step = WholeStep.gated(parts, TrainingRecipe(steps=1, batch_size=1), setting.autocast)
    flops = flops_of_a_sample(step, features, setting)
    rows = [row("matmul peak", "TFLOP/s", peak / 1e12, None, None, None), row("a sample's step", "TFLOP", flops / 1e12, None, None, None)]
    if setting.compile:
        parts.unet.compile()
    rates: dict[int, float] = {}
    for batch_size in _batch_sizes(setting, rates):
        try:
            rates[batch_size], memory = samples_a_second(step, features, batch_size, setting)
        except torch.cuda.OutOfMemoryError:
            print(f"batch {batch_size} does not fit into the memory of this device")
            break
        rows += _rows(batch_size, rates[batch_size], flops, peak, memory)
    best = max(rates, key=lambda size: rates[size])
    minutes = PAPER_SAMPLES / rates[best] / 60
    bars = (None, None) if tiny else (SAMPLES_A_SECOND, MINUTES)
    return [
        *rows,
        row(f"best, batch {best}", "samples/s", rates[best], None, bars[0], None if tiny else rates[best] >= SAMPLES_A_SECOND),
        row(f"{PAPER_SAMPLES:,} samples, computed from that rate", "min", minutes, None, bars[1], None if tiny else minutes <= MINUTES),
    ]


def matmul_peak(setting: Setting, repeats: int = 10) -> float:
    """FLOP/s of a large square matmul in the precision of the training: the best of several turns."""
    dtype, side = setting.autocast or torch.float32, setting.matmul_side
    left, right = (torch.randn(side, side, device=setting.device, dtype=dtype) for _ in range(2))
    seconds = [_seconds(lambda: torch.mm(left, right), setting) for _ in range(3 + repeats)]
    return 2 * side**3 / min(seconds)


def flops_of_a_sample(step: WholeStep, features: FeatureSet, setting: Setting) -> float:
    """FLOPs of one sample's step, counted over the operators that run."""
    batch = BatchSource(features, TrainingRecipe(steps=1, batch_size=1), 1000).at(0).to(setting.device)
    return count_flops(lambda: step.take(batch))


def samples_a_second(step: WholeStep, features: FeatureSet, batch_size: int, setting: Setting) -> tuple[float, float]:
    """Samples a second over the timed steps, batch preparation included, and the peak memory in bytes (0 on a CPU)."""
    source = BatchSource(features, TrainingRecipe(steps=1, batch_size=batch_size), 1000)
    numbers = itertools.count()

    def take() -> None:
        step.take(source.at(next(numbers)).to(setting.device))

    for _ in range(3):  # the first compiles
        _seconds(take, setting)
    if setting.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def several() -> None:
        for _ in range(setting.steps):
            take()

    seconds = statistics.median(_seconds(several, setting) for _ in range(3))
    memory = torch.cuda.max_memory_allocated() if setting.device.type == "cuda" else 0
    return batch_size * setting.steps / seconds, float(memory)


def _batch_sizes(setting: Setting, rates: dict[int, float]) -> Iterator[int]:
    """Those to be measured, then twice the last for as long as that was clearly better than the one before."""

    def larger() -> Iterator[int]:
        sizes = list(rates)
        size = 2 * sizes[-1]
        while size <= setting.largest and rates[sizes[-1]] > GAIN * rates[sizes[-2]]:
            yield size
            sizes = list(rates)
            size *= 2

    return itertools.chain(setting.batches, larger())


def _rows(batch_size: int, rate: float, flops: float, peak: float, memory: float) -> list[Row]:
    rows = [
        row(f"batch {batch_size}", "samples/s", rate, None, None, None),
        row(f"batch {batch_size}, of the matmul peak", "FLOP/s", rate * flops, peak, None, None),
    ]
    return [*rows, row(f"batch {batch_size}, peak memory", "GiB", memory / GIB, None, None, None)] if memory else rows


def _seconds(work: Callable[[], object], setting: Setting) -> float:
    setting.wait()
    started = time.perf_counter()
    work()
    setting.wait()
    return time.perf_counter() - started


def _made_up_features(parts: FrozenParts) -> FeatureSet:
    """Random features of the parts' shapes, every emotion in turn."""
    generator = torch.Generator().manual_seed(0)
    side = int(parts.unet.config.sample_size)
    shapes = {"latent_mean": (2, 4, side, side), "latent_std": (2, 4, side, side), "visual": (2, parts.visual_width)}
    assert parts.text_encoder.projection is not None
    shapes["caption"] = (parts.text_encoder.projection.out_features,)
    part = {name: torch.randn(MADE_UP_ROWS, *shape, generator=generator).abs().half() for name, shape in shapes.items()}
    part["label"] = torch.arange(MADE_UP_ROWS).remainder(len(EMOTIONS)).byte()
    part["image_id"] = torch.zeros(MADE_UP_ROWS, 32, dtype=torch.uint8)
    return FeatureSet([part], [{"scaling_factor": 0.18215, "shift_factor": 0.0}])


def _lab_parts() -> FrozenParts:
    return FrozenParts.load(BaseModels(diffusion="lab:diffusion", clip="lab:clip"), visual_width=LAB_WIDTH)


if __name__ == "__main__":
    main()
