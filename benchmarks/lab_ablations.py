"""Ablations on the lab's world: without L_SEM, without either kind of LoRA, with other forms of L_SEM; several seeds each.

    .venv/bin/python benchmarks/lab_ablations.py --workspace demo/workspace

Works on the features that a finished `make demo` has left in its workspace. Every run is stored when it is done and never computed twice;
after each, `ablations.json` of the workspace holds all of them, and the next report shows it. One torch thread a process.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from results_table import Row, report, row

from coemogen_core.curation.decisions import current_version, read_record
from coemogen_core.experiments.ablation_study import AblationPlan, collect_runs, prepare, read_run, run_variant
from coemogen_core.experiments.ablation_study_file import write_ablations
from coemogen_core.experiments.ablation_summary import markdown_table, remark_on_order, summarise
from coemogen_core.experiments.ablation_variants import VARIANTS
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.features import FeatureRecipe
from flows.params import TrainAndEvalParams, load_params
from schemas.ablations import Ablations, VariantName

Job = tuple[VariantName, int]


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default="demo/workspace", help="workspace of a finished demo")
    parser.add_argument("--seeds", type=int, default=5, help="seeds per variant")
    parser.add_argument("--images", type=int, default=32, help="pictures per emotion; recorded in the file")
    parser.add_argument(
        "--steps", type=int, help="optimizer steps of every variant; those of the demo where not given; recorded in the file"
    )
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="compute only these")
    parser.add_argument("--processes", type=int, default=2, help="runs side by side")
    parser.add_argument("--json", type=Path, help="write Emo-A of the variants beside the full method's to this file")
    arguments = parser.parse_args()
    workspace = Workspace(arguments.workspace)
    plan = lab_plan(workspace, arguments.images, arguments.steps)
    jobs = [(variant, seed) for seed in range(arguments.seeds) for variant in arguments.variants]
    failed = run_all(workspace, plan, jobs, arguments.processes)
    ablations = collect_runs(workspace, plan, range(arguments.seeds))
    write_ablations(workspace, ablations)
    print(f"\n{ablations.steps} steps, {ablations.images_per_emotion} pictures an emotion\n\n{markdown_table(ablations)}\n")
    print(remark_on_order(ablations))
    if arguments.json:
        report(_rows(ablations), arguments.json)
    if failed:
        sys.exit(f"{failed} of {len(jobs)} runs failed; the others are stored: run the same command again for the rest")


def lab_plan(workspace: Workspace, images_per_emotion: int, steps: int | None) -> AblationPlan:
    """The lab's profile over the features of a finished demo."""
    training: dict[str, Any] = {} if steps is None else {"steps": steps}
    params = load_params("lab", TrainAndEvalParams, {"workspace": workspace.uri, "training": training})
    version = current_version(workspace, params.dataset)
    features = FeatureRecipe(models=params.models, resolution=params.resolution, splits=params.train_splits)
    return AblationPlan(
        dataset=params.dataset,
        feature_id=features.feature_id(version),
        source=read_record(workspace, params.dataset, version).source,
        models=params.models,
        training=params.training,
        generation=params.generation,
        evaluation=params.evaluation,
        images_per_emotion=images_per_emotion,
    )


def run_all(workspace: Workspace, plan: AblationPlan, jobs: Sequence[Job], processes: int) -> int:
    """Run what is missing side by side, each in a process with one torch thread; returns how many failed. One failure stops no other."""
    os.environ["OMP_NUM_THREADS"] = "1"
    missing = [job for job in jobs if read_run(workspace, plan, *job) is None]
    print(f"{len(jobs)} runs, {len(jobs) - len(missing)} of them there already", flush=True)
    if missing:
        prepare(workspace, plan)
    failed = 0
    with ProcessPoolExecutor(max_workers=processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_run, workspace.uri, plan, job): job for job in missing}
        for number, future in enumerate(as_completed(futures), start=1):
            variant, seed = futures[future]
            error = future.exception()
            failed += error is not None
            print(f"{number}/{len(missing)} {variant}, seed {seed}: {f'failed, {error}' if error else 'stored'}", flush=True)
            write_ablations(workspace, collect_runs(workspace, plan, sorted({seed for _, seed in jobs})))
    return failed


def _run(workspace_uri: str, plan: AblationPlan, job: Job) -> None:
    import torch

    torch.set_num_threads(1)
    run_variant(Workspace(workspace_uri), plan, *job)


def _rows(ablations: Ablations) -> list[Row]:
    means = {summary.variant: summary.metrics["emo_a"].mean for summary in summarise(ablations) if "emo_a" in summary.metrics}
    return [row(f"{variant}, Emo-A", "share", value, means.get("full"), None, None) for variant, value in means.items()]


if __name__ == "__main__":
    main()
