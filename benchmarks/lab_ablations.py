"""Ablations on the lab's world: the full model, without L_SEM, without emotion-specific and without polarity-shared LoRAs.

    .venv/bin/python benchmarks/lab_ablations.py --workspace demo/workspace --seeds 3 --json ablations.json

Works on the features that a finished `make demo` has left in its workspace; trains, generates and measures every variant with every
seed, and computes nothing twice. Two processes of one thread each use two cores best.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import mean, stdev
from typing import Any

PAPER = {"full": 80.15, "without L_SEM": 65.90, "without emotion-specific LoRAs": 75.37, "without polarity-shared LoRAs": 78.83}
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "without L_SEM": {"semantic_weight": 0.0},
    "without emotion-specific LoRAs": {"use_emotion_pairs": False},
    "without polarity-shared LoRAs": {"use_polarity_pairs": False},
}
METRICS = ("emo_a", "fid", "sem_c", "sem_d", "lpips")


def run_variant(workspace_uri: str, variant: str, seed: int, images: int, steps: int | None) -> dict[str, float]:
    """Train, generate and measure one variant with one seed."""
    import torch

    torch.set_num_threads(1)
    from coemogen_core.curation.decisions import current_version, read_record
    from coemogen_core.data.workspace import Workspace
    from coemogen_core.emotions import EMOTIONS
    from coemogen_core.evaluation.image_parts import select_reference
    from coemogen_core.evaluation.recipe import load_extractors
    from coemogen_core.evaluation.run_files import evaluate_samples
    from coemogen_core.generation.sample_part import generate_part, samples_run_id
    from coemogen_core.training.features import FeatureRecipe
    from coemogen_core.training.run import train
    from flows.params import TrainAndEvalParams
    from flows.profiles import load_params

    training = {**VARIANTS[variant], "seed": seed, **({"steps": steps} if steps else {})}
    params = load_params("lab", "train-and-eval", TrainAndEvalParams, {"workspace": workspace_uri, "training": training})
    workspace = Workspace(workspace_uri)
    version = current_version(workspace, params.dataset)
    features = FeatureRecipe(models=params.models, resolution=params.resolution, splits=params.train_splits)
    model = train(workspace, params.dataset, features.feature_id(version), params.models, params.training).run_id
    settings: dict[str, Any] = {"count": images, "seed": 10_000 * seed, "recipe": params.generation, "models": params.models}
    run_id = samples_run_id("coemogen", **settings, model_run_id=model)
    for emotion in EMOTIONS:
        generate_part(workspace, run_id, "coemogen", emotion, **settings, model_run_id=model)
    source = read_record(workspace, params.dataset, version).source
    selection = select_reference(workspace, source, params.evaluation.minimum_reference)
    measured = evaluate_samples(workspace, run_id, "coemogen", selection, params.evaluation, load_extractors(params.evaluation)).metrics
    values = {name: measured.estimate(name).value for name in METRICS}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if value is not None}


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default="demo/workspace", help="workspace of a finished demo")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per variant")
    parser.add_argument("--images", type=int, default=32, help="pictures per emotion")
    parser.add_argument("--steps", type=int, help="optimizer steps of every variant; those of the demo where not given")
    parser.add_argument("--json", help="write the rows to this file")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    jobs = [(variant, seed) for seed in range(arguments.seeds) for variant in VARIANTS]
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        futures = {job: pool.submit(run_variant, arguments.workspace, *job, arguments.images, arguments.steps) for job in jobs}
        results = {job: future.result() for job, future in futures.items()}
    rows = []
    print(f"| variant | {' | '.join(METRICS)} | paper's Emo-A |\n|---|{'---:|' * (len(METRICS) + 1)}")
    for variant in VARIANTS:
        runs = [results[variant, seed] for seed in range(arguments.seeds)]
        cells = [_mean_and_deviation([run[name] for run in runs]) for name in METRICS]
        print(f"| {variant} | {' | '.join(cells)} | {PAPER[variant]:.2f} % |")
        ours, full = mean(run["emo_a"] for run in runs), mean(results["full", seed]["emo_a"] for seed in range(arguments.seeds))
        row = {"name": variant, "unit": "Emo-A", "ours": ours, "reference": full, "ratio": ours / full, "bar": None, "holds": None}
        rows.append({**row, "runs": runs})
    if arguments.json:
        with open(arguments.json, "w") as file:  # noqa: PTH123
            json.dump(rows, file, indent=1)


def _mean_and_deviation(values: list[float]) -> str:
    return f"{mean(values):.4g} ± {stdev(values):.2g}" if len(values) > 1 else f"{values[0]:.4g}"


if __name__ == "__main__":
    main()
