"""The evaluating stages of train-and-eval: real images, every method, and all numbers in one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coemogen_core.curation.decisions import read_decisions, read_record
from coemogen_core.device import library_versions, peak_memory_mib
from coemogen_core.emotions import Emotion
from coemogen_core.evaluation.emoart import emoart_metrics, truth_of_images
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.reference import ReferenceSelection
from coemogen_core.evaluation.run_files import MethodEvaluation
from coemogen_core.experiments.matrix import ExperimentMatrix
from coemogen_core.lab.corpora import read_truth
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.report.build import CorpusVersion
from coemogen_core.storage.workspace import Workspace
from flows.outcomes import read_timings
from flows.stages import Stages, on_worker
from flows.train_params import TrainAndEvalParams
from schemas.experiments import Experiments
from schemas.metrics import METRIC_NAMES, EmoArtMetrics, MethodMetrics, Metrics, ReferenceMetrics, StageTiming
from tasks.evaluate import cell_result_task, evaluate_method_task, evaluate_real_images_task, reference_part_task


def evaluate_cells(
    stages: Stages, selection: ReferenceSelection, samples: Sequence[SamplePlan], recipe: EvaluationRecipe
) -> tuple[list[MethodEvaluation], ReferenceMetrics]:
    """Measure the samples of every method and seed against real images."""
    shared: dict[str, Any] = {"workspace_uri": stages.workspace.uri, "selection": selection, "recipe": recipe}
    stages.each_part("reference", reference_part_task, selection.parts, **shared)
    with stages.stage("evaluate") as done:
        reference = on_worker(evaluate_real_images_task, **shared)
        evaluations = [
            on_worker(evaluate_method_task, run_id=plan.run_id, method=plan.method.name, emotions=plan.emotions, **shared)
            for plan in samples
        ]
        done += [part for evaluation in evaluations for part in evaluation.parts]
    return evaluations, reference


def collect_experiments(
    params: TrainAndEvalParams, matrix: ExperimentMatrix, cells: Sequence[tuple[int, SamplePlan]], evaluations: Sequence[MethodEvaluation]
) -> Experiments:
    """The matrix with the numbers of its cells, given as seed and samples."""
    runs = [
        on_worker(cell_result_task, params.workspace, samples, seed, evaluation, params.evaluation)
        for (seed, samples), evaluation in zip(cells, evaluations, strict=True)
    ]
    return matrix.results(Workspace(params.workspace), params.methods, params.evaluation.protocol, params.images_per_emotion, runs)


def assemble_metrics(
    workspace: Workspace,
    params: TrainAndEvalParams,
    run_id: str,
    methods: dict[str, MethodMetrics],
    reference: ReferenceMetrics,
    art: CorpusVersion | None,
    truth: Mapping[str, Emotion | None] | None,
) -> Metrics:
    """Everything that metrics.json holds; `truth` as `true_emotions` gives it."""
    corpora = (params.dataset,) if art is None else (params.dataset, art.dataset)
    return Metrics(
        run_id=run_id,
        protocol=params.evaluation.protocol,
        seed=params.evaluation.seed,
        confidence_level=params.evaluation.confidence_level,
        methods=methods,
        order=() if params.matrix is None else params.matrix.names,
        reference=reference,
        emoart=None if art is None else _measure_art(workspace, art, truth),
        stages={stage: StageTiming(seconds=seconds) for stage, seconds in read_timings(workspace, *corpora).items()},
        peak_memory_mib=peak_memory_mib(),
        versions=library_versions(),
        configuration=params.model_dump(mode="json"),
    )


def metrics_rows(metrics: Metrics) -> list[dict[str, str]]:
    """The table of methods and metrics for Prefect's UI: a row a method."""
    rows = []
    for method, measured in metrics.in_order().items():
        values = {name: measured.estimate(name).value for name in METRIC_NAMES}
        rows.append({"method": method} | {name: "n/a" if value is None else f"{value:.4g}" for name, value in values.items()})
    return rows


def true_emotions(params: TrainAndEvalParams) -> dict[str, Emotion | None] | None:
    """The true emotion of every lab painting by its path, None for a neutral one; None where nobody knows them."""
    if params.emoart_truth is None:
        return None
    return {path: scene.emotion for path, scene in read_truth(Path(params.emoart_truth)).items()}


def _measure_art(workspace: Workspace, art: CorpusVersion, truth: Mapping[str, Emotion | None] | None) -> EmoArtMetrics:
    known = None if truth is None else truth_of_images(workspace, read_record(workspace, art.dataset, art.version).source, truth)
    return emoart_metrics(read_decisions(workspace, art.dataset, art.version), known)
