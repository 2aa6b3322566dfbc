"""train-and-eval: corpus -> features -> trained models -> pictures -> metrics -> report.

Wraps training, generation and evaluation of `coemogen_core`. Trains on a corpus that `build-emoset` or `build-emoart` has decided, of the
emotions that it has. Compared are CoEmoGen and plain Stable Diffusion, or the methods and seeds of a matrix; all start from the same
noise and share features, real images and whatever stands in the workspace already. Without Prefect: the functions that the tasks name, or
`coemogen_core.experiments.run_cell`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from coemogen_core.curation.decisions import DecisionsRecord, resolve_version
from coemogen_core.emotions import Emotion
from coemogen_core.evaluation.reference import ReferenceSelection
from coemogen_core.experiments.matrix import DEFAULT
from coemogen_core.experiments.run_cell import CellSettings
from coemogen_core.methods.method import Method
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.recipe import recipe_id
from coemogen_core.report.build import REPORT_VERSION, CorpusVersion, ReportRecipe
from coemogen_core.report.pictures import contact_sheet
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import join_sets
from flows.artifacts import publish_link, publish_markdown, publish_picture, publish_table
from flows.corpora import each_record, own_corpora, read_corpora, reference_record, trained_emotions
from flows.evaluation_stages import assemble_metrics, collect_experiments, evaluate_cells, metrics_rows, true_emotions
from flows.stages import Stages, on_worker
from flows.train_params import TrainAndEvalParams
from schemas.outcomes import PartOutcome, RunOutcome
from tasks.evaluate import evaluation_identity_task, select_reference_task, write_experiments_task, write_metrics_task, write_report_task
from tasks.train import cache_features_part_task, generate_part_task, train_task


@dataclass(frozen=True)
class Cell:
    """One method with one seed: what pictures are to be made, by which trained model."""

    seed: int
    samples: SamplePlan

    @property
    def method(self) -> str:
        """The method's name."""
        return self.samples.method.name


@flow(name=TrainAndEvalParams.flow, task_runner=ThreadPoolTaskRunner(max_workers=1))
def train_and_eval(params: TrainAndEvalParams) -> RunOutcome:
    """Train, generate, evaluate and report; what stands already in the workspace is not computed again."""
    with Stages(params.flow, params.workspace, "+".join(params.datasets), params.execution) as stages:
        return stages.completed(_run(stages, params))


def _run(stages: Stages, params: TrainAndEvalParams) -> RunOutcome:
    workspace = stages.workspace
    records, own = read_corpora(workspace, params), own_corpora(workspace, params)
    for method in params.methods:
        method.check(workspace, params.models)
    corpora = [CorpusVersion(dataset=record.dataset, version=record.version) for record in records]
    art = None
    if params.emoart_dataset is not None:
        art = CorpusVersion(dataset=params.emoart_dataset, version=resolve_version(workspace, params.emoart_dataset))
    recipe, shows = params.evaluation, ReportRecipe()
    trained = trained_emotions(workspace, [records, *own.values()], params.train_splits)
    selection = select_reference_task(workspace.uri, reference_record(params, records), recipe, trained)
    settings = cell_settings(params, records, own, [emotion for emotion in trained if emotion in selection.emotions])
    _cache_features(stages, params, each_record(records, own))
    cells = _train(stages, params, settings)
    stages.each("generate", generate_part_task, [{"plan": cell.samples, "part": part} for cell in cells for part in cell.samples.parts()])
    shown = {cell.method: cell.samples.run_id for cell in cells if cell.seed == cells[0].seed}
    truth = None if art is None else true_emotions(params)
    numbers = on_worker(evaluation_identity_task, recipe)
    run_id = evaluation_id(params, shown, cells, selection, shows, numbers, {"corpora": corpora, "art": art, "truth": truth})
    evaluations, reference = evaluate_cells(stages, selection, [cell.samples for cell in cells], recipe)
    with stages.stage("report") as done:
        done.append(PartOutcome(part=run_id, rows=len(cells), reused=workspace.exists("runs", run_id, "report.html")))
        if not done[0].reused:
            methods = {found.method: found.metrics for cell, found in zip(cells, evaluations, strict=True) if cell.seed == cells[0].seed}
            metrics = assemble_metrics(workspace, params, run_id, methods, reference, art, truth)
            write_metrics_task(params.workspace, metrics)
            if params.matrix is not None:
                experiments = collect_experiments(params, params.matrix, [(cell.seed, cell.samples) for cell in cells], evaluations)
                publish_markdown(f"experiments-{run_id}", write_experiments_task(params.workspace, run_id, experiments))
            on_worker(write_report_task, params.workspace, metrics, shown, shows, corpora, art, selection, recipe)
            publish_table(f"metrics-{run_id}", metrics_rows(metrics), "lower is better for FID and CMMD; Sem-D best as in real images")
            sheet = contact_sheet(workspace, shown, (params.matrix or DEFAULT).labels, settings.emotions)
            publish_picture(f"gallery-{run_id}", sheet, "a row an emotion, a block a method")
    report = workspace.path("runs", run_id, "report.html")
    publish_link(f"report-{run_id}", report, "report")
    return RunOutcome(
        run_id=run_id,
        model_run_id=next((cell.samples.model_run_id for cell in cells if cell.samples.model_run_id is not None), None),
        sample_runs=shown,
        report=report,
        metrics=workspace.path("runs", run_id, "metrics.json"),
        experiments=None if params.matrix is None else workspace.path("runs", run_id, "experiments.md"),
        stages=stages.outcomes,
    )


def _cache_features(stages: Stages, params: TrainAndEvalParams, records: Sequence[DecisionsRecord]) -> None:
    parts = [
        {"dataset": record.dataset, "version": record.version, "source": record.source, "part": part}
        for record in records
        for part in record.parts
    ]
    stages.each("features", cache_features_part_task, parts, recipe=params.features)


def cell_settings(
    params: TrainAndEvalParams,
    records: Sequence[DecisionsRecord],
    own: Mapping[str, Sequence[DecisionsRecord]],
    emotions: Sequence[Emotion],
) -> CellSettings:
    """What all cells have in common: corpora that are trained on, emotions that they and the real images have, and the parameters."""
    workspace = Workspace(params.workspace)

    def joined(some: Sequence[DecisionsRecord]) -> tuple[str, str]:
        return join_sets(workspace, [(record.dataset, params.features.feature_id(record.version)) for record in some])

    dataset, feature_id = joined(records)
    return CellSettings(
        dataset=dataset,
        feature_id=feature_id,
        own_corpora={method: joined(some) for method, some in own.items()},
        emotions=tuple(emotions),
        models=params.models,
        generation=params.generation,
        evaluation=params.evaluation,
        images_per_emotion=params.images_per_emotion,
        first_seed=params.seed,
    )


def _train(stages: Stages, params: TrainAndEvalParams, settings: CellSettings) -> list[Cell]:
    """Train what the cells need; returns them, seed by seed."""
    cells: list[Cell] = []
    with stages.stage("train") as done:
        for seed, method in _seeded_methods(params):
            trained = on_worker(train_task, params.workspace, *settings.learns_from(method), params.models, method, params.launch)
            if trained is not None:
                done.append(PartOutcome(part=trained.run_id, rows=trained.images, reused=trained.reused, seconds=trained.seconds))
            cells.append(Cell(seed, settings.samples(method, seed, None if trained is None else trained.run_id)))
    return cells


def _seeded_methods(params: TrainAndEvalParams) -> list[tuple[int, Method]]:
    """Every method of the matrix with every seed. Without a matrix the training recipe says the seed of the training."""
    methods = params.methods
    if params.matrix is None:
        return [(0, method) for method in methods]
    return [(seed, method.with_seed(seed)) for seed in params.matrix.seeds for method in methods]


def evaluation_id(
    params: TrainAndEvalParams,
    shown: dict[str, str],
    cells: list[Cell],
    selection: ReferenceSelection,
    shows: ReportRecipe,
    numbers: dict[str, Any],
    corpora: dict[str, Any],
) -> str:
    """Recipe id of the evaluation: everything that the numbers, the report and the experiments depend on."""
    identity = {
        "samples": shown,
        "emotions": sorted({emotion for cell in cells for emotion in cell.samples.emotions}),
        "evaluation": numbers,
        "reference": selection,
        "report": {"version": REPORT_VERSION, "shows": shows},
    }
    return recipe_id("eval", identity | corpora | _experiment_identity(params, cells))


def _experiment_identity(params: TrainAndEvalParams, cells: list[Cell]) -> dict[str, Any]:
    """What a report with a matrix depends on besides."""
    if params.matrix is None:
        return {}
    runs = [[cell.method, cell.seed, cell.samples.run_id] for cell in cells]
    return {"experiments": {"runs": runs, "compared_with": params.matrix.opponents, "labels": params.matrix.labels}}
