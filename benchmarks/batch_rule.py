"""The batch rule on the lab: one recipe at several batch sizes, as many samples each, with the rule and with the settings left alone.

    .venv/bin/python benchmarks/batch_rule.py --workspace demo/workspace --samples 800 --seeds 2 --json FILE

With the rule: `recipe.for_batch(size)` of the lab's recipe, shortened with its share of warm-up. Without: the same number of steps;
learning rate, decay rates and steps of warm-up as the recipe has them. Besides the pictures' metrics: both losses of all training pictures
under noise that is the same for every cell and was not trained on, and how far the weights have come from their start (root mean square).

Works on the features that a finished `make demo` has left in its workspace; what stands there is not computed again, so a run that was
killed goes on. One torch thread. The seeds are used for nothing else, and the rule has nothing to tune.
"""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import torch
from results_table import Row, report, row

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.reference import select_reference
from coemogen_core.experiments.run_cell import prepare_reference, run_cell
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.model.saved_model import SavedModel
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.batches import BatchSource
from coemogen_core.training.beginning import start_from
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import build_objective
from coemogen_core.training.recipes import RECIPES, TrainingRecipe
from flows.corpora import read_corpora, reference_record
from flows.params import load_params
from flows.train_and_eval import cell_settings
from flows.train_params import TrainAndEvalParams
from schemas.metrics import MetricName

SIZES = (1, 4, 16, 32)
FIRST_SEED = 1900
SHOWN: dict[MetricName, str] = {"emo_a": "Emo-A", "fid": "FID", "lpips": "LPIPS", "sem_c": "Sem-C", "sem_d": "Sem-D"}
WITH, WITHOUT = "with", "without"
NOISE_SEED, BATCH = 77_000, 28
Cell = tuple[str, int]
"""With or without the rule, and the batch size."""
Values = dict[str, float]


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default="demo/workspace", help="workspace of a finished demo")
    parser.add_argument("--samples", type=int, default=800, help="training samples of every cell")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of every cell")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--images", type=int, default=8, help="pictures per emotion and cell")
    parser.add_argument("--json", type=Path, help="write the table to this file")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    lab = RECIPES["lab"]
    steps = arguments.samples // lab.batch_size
    base = lab.model_copy(update={"steps": steps, "warmup_steps": max(1, round(lab.warmup_steps * steps / lab.steps))})
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    params = load_params("lab", TrainAndEvalParams, {"workspace": arguments.workspace, "images_per_emotion": arguments.images})
    report(compared(measure(params, cells(base), seeds)), arguments.json)


def cells(base: TrainingRecipe) -> dict[Cell, TrainingRecipe]:
    """The recipes of the table. At the recipe's own batch size the rule changes nothing, and both are one."""
    recipes: dict[Cell, TrainingRecipe] = {}
    for size in SIZES:
        steps = math.ceil(base.steps * base.batch_size / size)
        recipes[WITH, size] = base.for_batch(size)
        recipes[WITHOUT, size] = base.model_copy(update={"batch_size": size, "steps": steps})
    return recipes


def measure(params: TrainAndEvalParams, recipes: Mapping[Cell, TrainingRecipe], seeds: Sequence[int]) -> dict[Cell, list[Values]]:
    """Train, draw and measure every cell, seed by seed: its numbers by name."""
    torch.set_num_threads(1)
    workspace = Workspace(params.workspace)
    records = read_corpora(workspace, params)
    record = reference_record(params, records)
    selection = select_reference(workspace, record.source, params.evaluation.minimum_reference, params.evaluation.protocol, record)
    prepare_reference(workspace, selection, params.evaluation)
    settings = cell_settings(params, records, {}, selection.emotions)
    features = FeatureSet.open(workspace, settings.dataset, settings.feature_id)
    found: dict[Cell, list[Values]] = {cell: [] for cell in recipes}
    for seed in seeds:
        for cell, recipe in recipes.items():
            run = run_cell(workspace, settings, CoEmoGen("coemogen", recipe), seed, selection)
            pictures = {label: run.metrics[name].value for name, label in SHOWN.items()}
            model = SavedModel.load(workspace.path("runs", str(run.training_run), "model"))
            found[cell].append(pictures | looked_into(model, params, recipe.model_copy(update={"seed": seed}), features))
            values = ", ".join(f"{label} {value:.4g}" for label, value in found[cell][-1].items())
            print(f"seed {seed}, batch {cell[1]}, {cell[0]} the rule, {recipe.steps} steps: {values}", flush=True)
    return found


@torch.no_grad()
def looked_into(model: SavedModel, params: TrainAndEvalParams, recipe: TrainingRecipe, features: FeatureSet) -> Values:
    """Both losses, and how far the weights have come; `recipe` has the training's seed, so that its start is built again."""
    objective = build_objective(params.models, features.visual_width, recipe)
    groups = (list(objective.hilora.parameters()), list(objective.conditioner.parameters()))
    start = [[weights.clone() for weights in group] for group in groups]
    start_from(objective, model)
    moved = [[now - then for now, then in zip(group, before, strict=True)] for group, before in zip(groups, start, strict=True)]
    pairs = torch.cat([stack.flatten(1) for stack in moved[0]], 1)
    conditioner = torch.cat([weights.flatten() for weights in moved[1]])
    far = {"emotions' pairs": pairs[: len(EMOTIONS)], "polarities' pairs": pairs[len(EMOTIONS) :], "conditioner": conditioner}
    objective.eval()
    batches = BatchSource(
        features, recipe.model_copy(update={"seed": NOISE_SEED, "batch_size": BATCH}), objective.scheduler.config.num_train_timesteps
    )
    losses = [objective(batches.at(step)) for step in range(len(features) // BATCH)]
    diffusion, semantic = (float(torch.cat(each).mean()) for each in zip(*losses, strict=True))
    travel = {f"travel of the {name}": float(each.square().mean().sqrt()) for name, each in far.items()}
    return {"L_LDM": diffusion, "L_SEM": semantic, **travel}


def compared(found: Mapping[Cell, Sequence[Values]]) -> list[Row]:
    """Means over the seeds: each batch size with the rule beside the same without it; at the recipe's own they are one."""
    rows = []
    for name in found[WITH, SIZES[0]][0]:
        for size in SIZES:
            ours, reference = (mean(values[name] for values in found[rule, size]) for rule in (WITH, WITHOUT))
            rows.append(row(f"{name}, batch {size}: with the rule; without", "", ours, reference, None, None))
    return rows


if __name__ == "__main__":
    main()
