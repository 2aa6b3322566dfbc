"""A matrix file on the lab's world with several seeds: the paper's table and paired tests, such as the baselines' and the ablations'.

    .venv/bin/python benchmarks/lab_matrix.py benchmarks/baselines.toml --workspace demo/workspace --seeds 3 --json FILE
    .venv/bin/python benchmarks/lab_matrix.py benchmarks/ablations.toml --workspace demo/workspace --seeds 3 --json FILE

Works on the features that a finished `make demo` has left in its workspace. Every training, part of pictures and number is stored when it
is done, under the ids that `coemogen train-and-eval --matrix FILE` uses too: kill it at any time, the same command goes on. After every
cell `runs/lab-<name of the file>` of the workspace holds the table as far as it is done. One torch thread.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from results_table import Row, report, row

from coemogen_core.evaluation.reference import select_reference
from coemogen_core.experiments.files import write_experiments
from coemogen_core.experiments.matrix import read_matrix
from coemogen_core.experiments.run_cell import prepare_reference, run_cell
from coemogen_core.experiments.table import ExperimentTable, build_table
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.features import cache_features_part
from flows.corpora import each_record, own_corpora, read_corpora, reference_record, trained_emotions
from flows.params import load_params
from flows.train_and_eval import cell_settings
from flows.train_params import TrainAndEvalParams
from schemas.experiments import MethodRun


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matrix", type=Path, help="TOML file of methods; its seeds give way to --seeds")
    parser.add_argument("--workspace", default="demo/workspace", help="workspace of a finished demo")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per method")
    parser.add_argument("--images", type=int, default=32, help="pictures per emotion and run")
    parser.add_argument("--steps", type=int, help="optimizer steps; those of the demo where not given")
    parser.add_argument("--methods", nargs="+", help="only these of the matrix; what they are tested against has to be among them")
    parser.add_argument("--json", type=Path, help="write Emo-A of the first method beside the others' to this file")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    table = run_matrix(lab_params(arguments), f"lab-{arguments.matrix.stem}")
    report(comparisons(table), arguments.json)


def lab_params(arguments: argparse.Namespace) -> TrainAndEvalParams:
    """The lab's profile with the matrix put into it."""
    matrix = read_matrix(arguments.matrix)
    wanted = tuple(spec for spec in matrix.methods if arguments.methods is None or spec.name in arguments.methods)
    matrix = matrix.model_copy(update={"methods": wanted, "seeds": tuple(range(arguments.seeds))})
    training: dict[str, Any] = {} if arguments.steps is None else {"steps": arguments.steps}
    given = {"workspace": arguments.workspace, "training": training, "images_per_emotion": arguments.images}
    return load_params("lab", TrainAndEvalParams, {**given, "matrix": matrix.model_dump()})


def run_matrix(params: TrainAndEvalParams, run_id: str) -> ExperimentTable:
    """Run every missing cell, seed by seed, and keep the files of the table up to date."""
    import torch

    torch.set_num_threads(1)
    assert params.matrix is not None
    workspace = Workspace(params.workspace)
    records, own = read_corpora(workspace, params), own_corpora(workspace, params)
    record, recipe = reference_record(params, records), params.evaluation
    trained = trained_emotions(workspace, [records, *own.values()], params.train_splits)
    selection = select_reference(workspace, record.source, recipe.minimum_reference, recipe.protocol, record, trained)
    prepare_reference(workspace, selection, recipe)
    for each in each_record(records, own):
        for part in each.parts:
            cache_features_part(workspace, each.dataset, each.version, each.source, part, params.features)
    settings = cell_settings(params, records, own, [emotion for emotion in trained if emotion in selection.emotions])
    methods = params.methods
    runs: list[MethodRun] = []
    markdown = ""
    for seed in params.matrix.seeds:
        for method in methods:
            runs.append(run_cell(workspace, settings, method, seed, selection))
            experiments = params.matrix.results(workspace, methods, params.evaluation.protocol, params.images_per_emotion, runs)
            markdown = write_experiments(workspace, run_id, experiments)
            print(f"{method.name}, seed {seed}: Emo-A {runs[-1].metrics['emo_a'].value:.3f}", flush=True)
    budgets = ", ".join(f"{experiments.label(name)} {samples:,}" for name, samples in experiments.budgets.items())
    print(f"\ntraining samples per seed: {budgets}\n\n{markdown}")
    return build_table(experiments)


def comparisons(table: ExperimentTable) -> list[Row]:
    """Emo-A of the matrix's first method against each other's; it holds where its interval over the seeds lies above the other's."""
    found = [(each.label, each.cells["emo_a"]) for each in table.rows if "emo_a" in each.cells]
    rows = []
    for label, cell in found[1:]:
        first, ours = found[0]
        apart = None if ours.interval is None or cell.interval is None else ours.interval[0] > cell.interval[1]
        rows.append(row(f"Emo-A, {first} against {label}", "share", ours.mean, cell.mean, None, apart))
    return rows


if __name__ == "__main__":
    main()
