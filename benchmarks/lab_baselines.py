"""CoEmoGen and its baselines on the lab's world: six methods, several seeds, the paper's table and paired tests.

    .venv/bin/python benchmarks/lab_baselines.py --workspace demo/workspace --seeds 3 --json FILE

Works on the features that a finished `make demo` has left in its workspace. Every training, part of pictures and number is stored when it
is done, under the ids that `coemogen train-and-eval --matrix benchmarks/baselines.toml` uses too: kill it at any time, the same command
goes on. One torch thread.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from results_table import Row, report, row

from coemogen_core.curation.decisions import current_version, read_record
from coemogen_core.experiments.collect import new_experiments, write_experiments
from coemogen_core.experiments.matrix import read_matrix
from coemogen_core.experiments.run_cell import CellSettings, prepare_reference, run_cell
from coemogen_core.experiments.table import ExperimentTable, build_table
from coemogen_core.methods.registry import OURS
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.features import FeatureRecipe
from flows.params import TrainAndEvalParams, load_params
from schemas.experiments import MethodRun

MATRIX = Path(__file__).parent / "baselines.toml"
RUN = "lab-baselines"  # below runs/; holds the table as far as it is done


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default="demo/workspace", help="workspace of a finished demo")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per method")
    parser.add_argument("--images", type=int, default=32, help="pictures per emotion and run")
    parser.add_argument("--steps", type=int, help="CoEmoGen's optimizer steps; those of the demo where not given")
    parser.add_argument("--methods", nargs="+", help="compute only these of the matrix")
    parser.add_argument("--json", type=Path, help="write what the bar asks for to this file")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    table = run_matrix(Workspace(arguments.workspace), _params(arguments), arguments.methods)
    report(_rows(table), arguments.json)


def run_matrix(workspace: Workspace, params: TrainAndEvalParams, only: list[str] | None) -> ExperimentTable:
    """Run every missing cell, seed by seed, and keep the files of the table up to date."""
    import torch

    torch.set_num_threads(1)
    assert params.matrix is not None
    settings = _settings(workspace, params)
    selection = prepare_reference(workspace, settings)
    runs: list[MethodRun] = []
    markdown = ""
    for seed in params.matrix.seeds:
        for method in params.methods:
            if only is not None and method.name not in only:
                continue
            runs.append(run_cell(workspace, settings, method, seed, selection))
            experiments = new_experiments(params.matrix, params.methods, params.evaluation, params.images_per_emotion, runs)
            markdown = write_experiments(workspace, RUN, experiments)
            print(f"{method.name}, seed {seed}: Emo-A {runs[-1].metrics['emo_a'].value:.3f}", flush=True)
    budgets = ", ".join(f"{name} {samples:,}" for name, samples in experiments.budgets.items())
    print(f"\ntraining samples per seed: {budgets}\n\n{markdown}")
    return build_table(experiments)


def _params(arguments: argparse.Namespace) -> TrainAndEvalParams:
    matrix = read_matrix(MATRIX).model_copy(update={"seeds": tuple(range(arguments.seeds))})
    training: dict[str, Any] = {} if arguments.steps is None else {"steps": arguments.steps}
    given = {"workspace": arguments.workspace, "training": training, "images_per_emotion": arguments.images}
    return load_params("lab", TrainAndEvalParams, {**given, "matrix": matrix.model_dump()})


def _settings(workspace: Workspace, params: TrainAndEvalParams) -> CellSettings:
    version = current_version(workspace, params.dataset)
    features = FeatureRecipe(models=params.models, resolution=params.resolution, splits=params.train_splits)
    return CellSettings(
        dataset=params.dataset,
        feature_id=features.feature_id(version),
        source=read_record(workspace, params.dataset, version).source,
        models=params.models,
        generation=params.generation,
        evaluation=params.evaluation,
        images_per_emotion=params.images_per_emotion,
        first_seed=params.seed,
    )


def _rows(table: ExperimentTable) -> list[Row]:
    """Emo-A of CoEmoGen against each baseline's; it holds where the intervals over the seeds do not touch."""
    found = {each.method: each.cells["emo_a"] for each in table.rows if "emo_a" in each.cells}
    ours = found.pop(OURS, None)
    if ours is None:
        return []
    rows = []
    for method, cell in found.items():
        apart = None if ours.interval is None or cell.interval is None else ours.interval[0] > cell.interval[1]
        rows.append(row(f"Emo-A, CoEmoGen against {method}", "share", ours.spread.mean, cell.spread.mean, None, apart))
    return rows


if __name__ == "__main__":
    main()
