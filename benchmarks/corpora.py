"""Photographs, paintings, both together, and one after the other: CoEmoGen on four trainings, measured against both corpora.

    .venv/bin/python benchmarks/corpora.py --workspace demo/workspace --seeds 3 --json FILE

Works on what a finished `make demo` has left. Every training sees as many samples; the fine-tuned one sees them after those of the
photographs. Drawn and measured are the emotions that both corpora have, from the same noise. What is done is stored: the same command goes
on. One torch thread.
"""

import argparse
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from results_table import Row, report, row

from coemogen_core.curation.decisions import DecisionsRecord
from coemogen_core.emotions import Emotion
from coemogen_core.evaluation.reference import ReferenceSelection, select_reference
from coemogen_core.experiments.run_cell import CellSettings, prepare_reference, run_cell
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.features import cache_features_part
from flows.corpora import read_corpora, trained_emotions
from flows.params import load_params
from flows.train_and_eval import cell_settings
from flows.train_params import TrainAndEvalParams
from schemas.experiments import MethodRun
from schemas.metrics import MetricName

PHOTOS, ART = "emoset", "emoart"
TRAININGS = {"photos": (PHOTOS,), "paintings": (ART,), "together": (PHOTOS, ART), "paintings after photos": (ART,)}
SHOWN: tuple[MetricName, ...] = ("emo_a", "fid", "cmmd", "precision", "recall", "sem_c")


class Measured(NamedTuple):
    """One training with one seed against one corpus."""

    training: str
    against: str
    run: MethodRun


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default="demo/workspace", help="workspace of a finished demo")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per training")
    parser.add_argument("--images", type=int, default=16, help="pictures per emotion and training")
    parser.add_argument("--steps", type=int, default=600, help="optimizer steps of every training")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    report(rows(list(measure(arguments))), arguments.json)


def measure(arguments: argparse.Namespace) -> Iterator[Measured]:
    """All trainings with all seeds, on both references."""
    import torch

    torch.set_num_threads(1)
    workspace = Workspace(arguments.workspace)
    shared = {"workspace": arguments.workspace, "training": {"steps": arguments.steps}, "images_per_emotion": arguments.images}
    params = {name: load_params("lab", TrainAndEvalParams, shared | _corpora(TRAININGS[name])) for name in TRAININGS}
    records = {name: read_corpora(workspace, params[name]) for name in TRAININGS}
    for record in records["together"]:
        for part in record.parts:
            cache_features_part(workspace, record.dataset, record.version, record.source, part, params["together"].features)
    recipe = params["photos"].evaluation
    common = trained_emotions(workspace, list(records.values()), params["photos"].train_splits)
    references = {record.dataset: _reference(workspace, record, recipe.minimum_reference, common) for record in records["together"]}
    for selection in references.values():
        prepare_reference(workspace, selection, recipe)
    settings = {name: cell_settings(params[name], records[name], {}, common) for name in TRAININGS}
    for seed in range(arguments.seeds):
        for name, run, against in _seed(workspace, settings, params, references, seed):
            print(f"{name}, seed {seed}, against {against}: Emo-A {run.metrics['emo_a'].value:.3f}", flush=True)
            yield Measured(name, against, run)


def _seed(
    workspace: Workspace,
    settings: dict[str, CellSettings],
    params: dict[str, TrainAndEvalParams],
    references: dict[str, ReferenceSelection],
    seed: int,
) -> Iterator[tuple[str, MethodRun, str]]:
    before = None
    for name in TRAININGS:
        training = params[name].training.model_copy(update={"from_run": before if " after " in name else None})
        for against, selection in references.items():
            run = run_cell(workspace, settings[name], CoEmoGen("coemogen", training), seed, selection)
            before = run.training_run if name == "photos" else before
            yield name, run, against


def _corpora(names: tuple[str, ...]) -> dict[str, object]:
    return {"dataset": names[0], "joined_with": names[1:]}


def _reference(workspace: Workspace, record: DecisionsRecord, minimum: int, emotions: tuple[Emotion, ...]) -> ReferenceSelection:
    return select_reference(workspace, record.source, minimum, "corrected", record, emotions)


def rows(found: list[Measured]) -> list[Row]:
    """Means over the seeds, each beside the training on photographs alone; the deviations are printed above."""
    table: list[Row] = []
    print("\n| trained on | measured against | " + " | ".join(SHOWN) + " |\n|---|---|" + "---:|" * len(SHOWN))
    for against in (PHOTOS, ART):
        means: dict[str, dict[str, float]] = {}
        for name in TRAININGS:
            runs = [each.run for each in found if (each.training, each.against) == (name, against)]
            values = {metric: [run.metrics[metric].value for run in runs] for metric in SHOWN}
            means[name] = {metric: statistics.mean(some) for metric, some in values.items()}
            spread = {metric: statistics.stdev(some) if len(some) > 1 else 0.0 for metric, some in values.items()}
            print(f"| {name} | {against} | " + " | ".join(f"{means[name][m]:.3g} ± {spread[m]:.2g}" for m in SHOWN) + " |")
        for name in list(TRAININGS)[1:]:
            table += [row(f"{m}, {name}, against {against}", m, means[name][m], means["photos"][m], None, None) for m in SHOWN]
    return table


if __name__ == "__main__":
    main()
