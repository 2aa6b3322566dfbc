"""Results of a matrix put together, and its files: `experiments.json`, and the table as `.md`, `.csv` and `.tex`."""

from collections.abc import Sequence

from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.experiments.formats import to_csv, to_latex, to_markdown
from coemogen_core.experiments.matrix import ExperimentMatrix
from coemogen_core.experiments.table import build_table
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.method import Method
from coemogen_core.methods.trained import TrainedBaseline
from coemogen_core.storage.workspace import Workspace
from schemas.experiments import Experiments, MethodRun

FILE = "experiments.json"


def new_experiments(
    matrix: ExperimentMatrix, methods: Sequence[Method], evaluation: EvaluationRecipe, images_per_emotion: int, runs: Sequence[MethodRun]
) -> Experiments:
    """A matrix with the runs that are done, method by method."""
    names = tuple(method.name for method in methods)
    ordered = sorted(runs, key=lambda run: (names.index(run.method), run.seed))
    trained = [method for method in methods if isinstance(method, CoEmoGen | TrainedBaseline)]
    return Experiments(
        methods=names,
        seeds=matrix.seeds,
        compared_with=matrix.opponents,
        protocol=evaluation.protocol,
        images_per_emotion=images_per_emotion,
        budgets={method.name: method.recipe.steps * method.recipe.batch_size for method in trained},
        runs=tuple(ordered),
    )


def write_experiments(workspace: Workspace, run_id: str, experiments: Experiments) -> str:
    """Write all files of a matrix into `runs/<run_id>/`; returns the Markdown."""
    table = build_table(experiments)
    markdown = to_markdown(table)
    for name, text in (("experiments.md", markdown), ("experiments.csv", to_csv(table)), ("experiments.tex", to_latex(table))):
        workspace.write_file(text.encode(), "runs", run_id, name)
    workspace.write_json(experiments.model_dump(mode="json"), "runs", run_id, FILE)
    return markdown


def read_experiments(workspace: Workspace, run_id: str) -> Experiments | None:
    """The matrix of a run, None when it has none.

    Raises:
        ValueError: the file is not what `write_experiments` writes.
    """
    if not workspace.exists("runs", run_id, FILE):
        return None
    try:
        return Experiments.model_validate_json(workspace.read_file("runs", run_id, FILE))
    except ValueError as error:
        raise ValueError(
            f"{workspace.path('runs', run_id, FILE)} holds no experiments: remove it, and run the matrix again ({error})"
        ) from error
