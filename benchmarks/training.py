"""Training: a gated HiLoRA step beside one without LoRA, mixed batches beside PEFT one by one, our trainer beside diffusers' example.

    .venv/bin/python benchmarks/training.py --json training.json

On the lab's models and drawn photos; `unet` also on a wider U-Net. "Without LoRA" is forward and backward through the frozen U-Net down to
the conditioner, its clipping and its AdamW: a backward pass exists on both sides. Sides take turns, figures are medians.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from beside_the_example import STEPS_A_TURN, flops_rows, loop_rows, true_size_rows
from diffusers import UNet2DConditionModel
from drawn_corpus import LAB_MODELS, cache_features, draw_photos
from results_table import Row, report, row
from training_rigs import FrozenParts, Seconds, UNetStep, WholeStep
from turns import seconds_by_turns

from coemogen_core.model.base_models import load_noise_scheduler, load_unet
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.batches import BatchSource
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.recipes import TrainingRecipe

MOST_TIMES_WITHOUT_LORA = 1.35
LEAST_TIMES_PEFT = 3.0


def main() -> None:
    """Run the chosen comparisons, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", choices=["unet", "step", "peft", "loop", "flops", "true-size"], help="true-size (6 GB) runs only where it is asked for"
    )
    parser.add_argument("--rounds", type=int, default=11, help="turns of every side")
    parser.add_argument("--batch", type=int, default=16, help="samples of a batch, emotions mixed")
    parser.add_argument("--photos", type=int, default=256, help="drawn photos to train on")
    parser.add_argument("--threads", type=int, help="torch's threads; its own choice where not given")
    parser.add_argument("--compile", action="store_true", help="our trainer with torch.compile as well, which takes two minutes first")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        photos = draw_photos(chosen.photos)
        features = cache_features(Workspace(folder), photos)
        recipe = TrainingRecipe(steps=1_000_000, batch_size=chosen.batch, device="cpu", log_every=STEPS_A_TURN)
        if chosen.only in (None, "unet"):
            rows += unet_rows(chosen.batch, chosen.rounds)
        if chosen.only in (None, "step"):
            rows += step_rows(features, recipe, chosen.rounds)
        if chosen.only in (None, "peft"):
            rows += peft_rows(features, recipe, chosen.rounds)
        if chosen.only in (None, "loop"):
            rows += loop_rows(Path(folder), photos, features, recipe, chosen.rounds, compiled=chosen.compile)
        if chosen.only in (None, "flops"):
            rows += flops_rows()
        if chosen.only == "true-size":
            rows += true_size_rows(max(3, chosen.rounds // 3))
    report(rows, chosen.json)


def unet_rows(batch_size: int, rounds: int) -> list[Row]:
    """The U-Net alone, with and without the pairs, against the bar where it is the lab's."""
    rows = []
    for name, make, bar in (("lab's U-Net", _lab_unet, MOST_TIMES_WITHOUT_LORA), ("wider U-Net", _wider_unet, None)):
        plain, gated = (UNetStep(make(), batch_size, gated=gated) for gated in (False, True))
        sides: dict[str, Callable[[], None]] = {"gated": gated.take, "plain": plain.take, "forward": plain.forward_only}
        seconds = seconds_by_turns(sides, rounds if bar else max(3, rounds // 3))
        holds = None if bar is None else seconds["gated"] <= bar * seconds["plain"]
        rows.append(row(f"{name} alone, batch {batch_size}, without LoRA", "s/step", seconds["gated"], seconds["plain"], bar, holds))
        rows.append(row(f"{name} alone, batch {batch_size}, forward only", "s/step", seconds["gated"], seconds["forward"], None, None))
    return rows


def step_rows(features: FeatureSet, recipe: TrainingRecipe, rounds: int) -> list[Row]:
    """The whole step, conditioner included, with and without the pairs; and what its parts take."""
    batches = BatchSource(features, recipe, load_noise_scheduler(LAB_MODELS).config.num_train_timesteps)
    gated, plain = (make(_lab_parts(features), recipe) for make in (WholeStep.gated, WholeStep.without_lora))
    parts: list[Seconds] = []
    steps = itertools.count()

    def ours() -> float:
        started = time.perf_counter()
        batch = batches.at(next(steps))
        prepared = time.perf_counter() - started
        parts.append({"batch preparation": prepared, **gated.take(batch)})
        return sum(parts[-1].values()) - prepared

    fixed = batches.at(0)
    seconds = seconds_by_turns({"gated": ours, "plain": lambda: sum(plain.take(fixed).values())}, rounds)
    ratio = seconds["gated"] / seconds["plain"]
    name = f"whole step, batch {recipe.batch_size}, without LoRA"
    bar = MOST_TIMES_WITHOUT_LORA
    return [row(name, "s/step", seconds["gated"], seconds["plain"], bar, ratio <= bar), *_profile(parts[1:])]


def peft_rows(features: FeatureSet, recipe: TrainingRecipe, rounds: int) -> list[Row]:
    """Samples a second: a mixed batch beside its samples one by one, each with PEFT's two adapters of its own."""
    num_timesteps = load_noise_scheduler(LAB_MODELS).config.num_train_timesteps
    batch = BatchSource(features, recipe, num_timesteps).at(0)
    singles = BatchSource(features, recipe.model_copy(update={"batch_size": 1}), num_timesteps)
    ours, theirs = (make(_lab_parts(features), recipe) for make in (WholeStep.gated, WholeStep.peft))
    steps = itertools.count()
    sides = {
        "ours": lambda: sum(ours.take(batch).values()),
        "peft": lambda: sum(sum(theirs.take(singles.at(next(steps))).values()) for _ in range(STEPS_A_TURN)),
    }
    seconds = seconds_by_turns(sides, rounds)
    rates = recipe.batch_size / seconds["ours"], STEPS_A_TURN / seconds["peft"]
    return [row("mixed batch, PEFT one by one", "samples/s", *rates, LEAST_TIMES_PEFT, rates[0] >= LEAST_TIMES_PEFT * rates[1])]


def _profile(parts: list[Seconds]) -> list[Row]:
    medians = {part: statistics.median(seconds[part] for seconds in parts) for part in parts[0]}
    total = sum(medians.values())
    return [row(f"of our step: {part}", "share", seconds / total, None, None, None) for part, seconds in medians.items()]


def _lab_parts(features: FeatureSet) -> FrozenParts:
    return FrozenParts.load(LAB_MODELS, features.visual_width)


def _lab_unet() -> UNet2DConditionModel:
    return load_unet(LAB_MODELS)


def _wider_unet() -> UNet2DConditionModel:
    """Stable Diffusion 1.5's block types and condition width, its channels halved, one level fewer; random weights."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(160, 320, 320),
        layers_per_block=1,
        attention_head_dim=8,
        cross_attention_dim=768,
    ).eval()


if __name__ == "__main__":
    main()
