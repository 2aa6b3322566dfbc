"""train-and-eval: corpus -> features -> HiLoRA -> pictures -> metrics -> report.

Wraps training, generation and evaluation of `coemogen_core`. Trains on a corpus that `build-emoset` has decided; samples of CoEmoGen and
of the baseline start from the same noise. Without Prefect: the functions that the tasks name, in this order.
"""

import time
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from coemogen_core.curation.decisions import DecisionsRecord, current_version, read_record
from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.report.build import CorpusVersion, ReportRecipe
from coemogen_core.generation.sample_part import Method, samples_run_id
from coemogen_core.recipe import recipe_id
from coemogen_core.training.features import FeatureRecipe
from flows.artifacts import publish_link, publish_markdown
from flows.evaluation_stages import assemble_metrics, evaluate_methods, metrics_markdown
from flows.params import TrainAndEvalParams
from flows.stages import Stages, on_worker
from schemas.outcomes import PartOutcome, RunOutcome
from tasks.evaluate import write_metrics_task, write_report_task
from tasks.generate import generate_part_task
from tasks.train import cache_features_part_task, train_task


@flow(name="train-and-eval", task_runner=ThreadPoolTaskRunner(max_workers=1), validate_parameters=True)
def train_and_eval(params: TrainAndEvalParams) -> RunOutcome:
    """Train, generate, evaluate and report; what stands already in the workspace is not computed again."""
    stages = Stages("train-and-eval", params.workspace)
    workspace = Workspace(params.workspace)
    corpus = CorpusVersion(dataset=params.dataset, version=_version(workspace, params.dataset, params.version))
    art = None
    if params.emoart_dataset is not None:
        art = CorpusVersion(dataset=params.emoart_dataset, version=current_version(workspace, params.emoart_dataset))
    record = read_record(workspace, corpus.dataset, corpus.version)
    model_run_id = _train(stages, params, corpus, record)
    sample_runs = _generate(stages, params, model_run_id)
    recipe = params.evaluation
    run_id = recipe_id("eval", {"samples": sample_runs, "recipe": recipe, "source": record.source, "corpus": corpus, "art": art})
    started = time.monotonic()
    done = workspace.exists("runs", run_id, "report.html")
    methods, reference = evaluate_methods(stages, params.workspace, record.source, sample_runs, recipe)
    if not done:
        metrics = assemble_metrics(workspace, params, run_id, methods, reference, art)
        write_metrics_task(params.workspace, metrics)
        write_report_task(params.workspace, metrics, sample_runs, ReportRecipe(), corpus, art)
        publish_markdown(f"metrics-{run_id}", metrics_markdown(metrics))
    stages.record("report", [PartOutcome(part=run_id, rows=len(methods), reused=done)], time.monotonic() - started)
    report = workspace.path("runs", run_id, "report.html")
    if "://" in report:
        publish_link(f"report-{run_id}", report, "report")
    return RunOutcome(
        run_id=run_id,
        model_run_id=model_run_id,
        sample_runs=sample_runs,
        report=report,
        metrics=workspace.path("runs", run_id, "metrics.json"),
        stages=stages.outcomes,
    )


def _version(workspace: Workspace, dataset: str, version: str) -> str:
    return current_version(workspace, dataset) if version == "current" else version


def _train(stages: Stages, params: TrainAndEvalParams, corpus: CorpusVersion, record: DecisionsRecord) -> str:
    """Cache the features and train; returns the run of the trained model."""
    features = FeatureRecipe(models=params.models, resolution=params.resolution, splits=params.train_splits)
    shared: dict[str, Any] = {
        "workspace_uri": params.workspace,
        "dataset": corpus.dataset,
        "version": corpus.version,
        "source": record.source,
    }
    stages.each_part("features", cache_features_part_task, record.parts, **shared, recipe=features)
    started = time.monotonic()
    trained = on_worker(train_task, params.workspace, corpus.dataset, features.feature_id(corpus.version), params.models, params.training)
    outcome = PartOutcome(part=trained.run_id, rows=trained.images, reused=trained.reused, seconds=trained.seconds)
    stages.record("train", [outcome], time.monotonic() - started)
    return trained.run_id


def _generate(stages: Stages, params: TrainAndEvalParams, model_run_id: str) -> dict[str, str]:
    """Generate with the trained model and with the baseline; returns the run that holds each method's samples."""
    settings: dict[str, Any] = {
        "count": params.images_per_emotion,
        "seed": params.seed,
        "recipe": params.generation,
        "models": params.models,
    }
    methods: tuple[Method, ...] = ("coemogen", "sd")
    sample_runs = {method: samples_run_id(method, **settings, model_run_id=model_run_id) for method in methods}
    varying = [
        {"method": method, "run_id": sample_runs[method], "emotion": emotion, "model_run_id": model_run_id}
        for method in methods
        for emotion in EMOTIONS
    ]
    stages.each("generate", generate_part_task, varying, workspace_uri=params.workspace, **settings)
    return {str(method): run_id for method, run_id in sample_runs.items()}
