"""The files of a matrix in `runs/<run_id>`: `experiments.json`, and its table as Markdown, CSV and LaTeX."""

import csv
import io
import re

from coemogen_core.evaluation.definitions import DEFINITIONS
from coemogen_core.experiments.table import COLUMNS, TEST_COLUMNS, ExperimentTable, MethodCell, build_table, published_cells
from coemogen_core.markdown import table_cell
from coemogen_core.storage.workspace import Workspace
from schemas.experiments import Experiments

FILE = "experiments.json"


def write_experiments(workspace: Workspace, run_id: str, experiments: Experiments) -> str:
    """Write all files of a matrix; returns the Markdown."""
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


def to_markdown(table: ExperimentTable) -> str:
    """The table, its notes, and the tests below it."""
    titles = [DEFINITIONS[name].label for name in COLUMNS]
    lines = [f"| method | seeds | {' | '.join(titles)} |", f"|---|{'---:|' * (len(COLUMNS) + 1)}"]
    for row in table.rows:
        lines.append(f"| {table_cell(row.label)} | {row.seeds} | {' | '.join(_text(row.cells.get(name)) for name in COLUMNS)} |")
    lines += [f"| {label} | | {' | '.join(published_cells(values))} |" for label, values in table.published.items()]
    for note in filter(None, (table.note(), table.published_note(), table.order_note())):
        lines += ["", note]
    if table.tests:
        lines += ["", f"| {' | '.join(TEST_COLUMNS)} |", "|---|---|---|---:|---|---:|---:|---:|"]
        lines += [f"| {' | '.join(map(table_cell, cells))} |" for cells in table.test_cells()]
    return "\n".join(lines) + "\n"


def to_csv(table: ExperimentTable) -> str:
    """A line a method and metric: mean, standard deviation, interval, seeds; numbers in full, methods by name.

    The paper's rows come last, by their labels, with a mean alone.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", "metric", "mean", "standard_deviation", "low", "high", "seeds"])
    for row in table.rows:
        for name, cell in row.cells.items():
            low, high = cell.interval or (None, None)
            writer.writerow([row.method, name, cell.mean, cell.deviation, low, high, cell.seeds])
    for label, values in table.published.items():
        writer.writerows([label, name, values[name], None, None, None, None] for name in COLUMNS if name in values)
    return buffer.getvalue()


def to_latex(table: ExperimentTable) -> str:
    r"""A `tabular` for the package booktabs, intervals left out."""
    arrows = [rf"{DEFINITIONS[name].title} $\{'downarrow' if DEFINITIONS[name].better == 'lower' else 'uparrow'}$" for name in COLUMNS]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(COLUMNS)}}}", r"\toprule", f"Method & {' & '.join(arrows)} \\\\", r"\midrule"]
    for row in table.rows:
        cells = [row.cells.get(name) for name in COLUMNS]
        lines.append(f"{_escaped(row.label)} & {' & '.join('--' if cell is None else _escaped(cell.text) for cell in cells)} \\\\")
    if table.published:
        lines.append(r"\midrule")
    for label, values in table.published.items():
        lines.append(f"{_escaped(label)} & {' & '.join(map(_escaped, published_cells(values)))} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _text(cell: MethodCell | None) -> str:
    if cell is None:
        return "–"
    return f"{cell.text} [{', '.join(cell.ends)}]" if cell.ends else cell.text


def _escaped(text: str) -> str:
    signs = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    escaped = re.sub(r"[&%$#_{}\\^~]", lambda found: signs.get(found[0], rf"\{found[0]}"), text)
    return escaped.replace("±", r"$\pm$").replace("–", "--")
