"""The table of a matrix as Markdown, CSV and LaTeX."""

import csv
import io

from coemogen_core.evaluation.definitions import DEFINITIONS
from coemogen_core.experiments.table import COLUMNS, Cell, ExperimentTable, number, text_of
from coemogen_core.statistics.paired_tests import PairedTest
from schemas.metrics import MetricName


def to_markdown(table: ExperimentTable) -> str:
    """The table, its note, and the tests below it."""
    titles = [DEFINITIONS[name].label for name in COLUMNS]
    lines = [f"| method | seeds | {' | '.join(titles)} |", f"|---|{'---:|' * (len(COLUMNS) + 1)}"]
    for row in table.rows:
        cells = [_text(row.cells.get(name), name) for name in COLUMNS]
        lines.append(f"| {row.method} | {row.seeds} | {' | '.join(cells)} |")
        if any(cell.published is not None for cell in row.cells.values()):
            lines.append(f"| {row.method}, published | | {' | '.join(_published(row.cells.get(name), name) for name in COLUMNS)} |")
    lines += ["", table.note()]
    if table.tests:
        lines += ["", "| metric | method | against | difference | test | pairs | p | p (Holm) |", "|---|---|---|---:|---|---:|---:|---:|"]
        lines += [_test_line(test) for test in table.tests]
    return "\n".join(lines) + "\n"


def to_csv(table: ExperimentTable) -> str:
    """A line a method and metric: mean, standard deviation, interval, seeds, published; numbers in full."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", "metric", "mean", "standard_deviation", "low", "high", "seeds", "published"])
    for row in table.rows:
        for name, cell in row.cells.items():
            low, high = cell.interval or (None, None)
            writer.writerow([row.method, name, cell.spread.mean, cell.spread.deviation, low, high, cell.spread.seeds, cell.published])
    return buffer.getvalue()


def to_latex(table: ExperimentTable) -> str:
    r"""A `tabular` for the package booktabs, intervals left out."""
    arrows = [rf"{DEFINITIONS[name].title} $\{'downarrow' if DEFINITIONS[name].better == 'lower' else 'uparrow'}$" for name in COLUMNS]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(COLUMNS)}}}", r"\toprule", f"Method & {' & '.join(arrows)} \\\\", r"\midrule"]
    for row in table.rows:
        cells = [_latex(row.cells.get(name), name) for name in COLUMNS]
        lines.append(f"{row.method} & {' & '.join(cells)} \\\\")
        if any(cell.published is not None for cell in row.cells.values()):
            values = [_published(row.cells.get(name), name).replace("%", r"\%").replace("–", "--") for name in COLUMNS]
            lines.append(f"\\quad published & {' & '.join(values)} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def p_text(value: float | None) -> str:
    """A p value as people write it; a dash for none."""
    return "–" if value is None else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def difference_text(test: PairedTest) -> str:
    """The difference with its sign, in the metric's units."""
    text = number(abs(test.difference), test.metric)
    return f"{'−' if test.difference < 0 else '+'}{text}"


def _text(cell: Cell | None, name: MetricName) -> str:
    if cell is None:
        return "–"
    text = text_of(cell.spread, lambda value: number(value, name))
    if cell.interval is None:
        return text
    low, high = (number(end, name) for end in cell.interval)
    return f"{text} [{low}, {high}]"


def _published(cell: Cell | None, name: MetricName) -> str:
    return "–" if cell is None or cell.published is None else number(cell.published, name)


def _latex(cell: Cell | None, name: MetricName) -> str:
    if cell is None:
        return "--"
    return text_of(cell.spread, lambda value: number(value, name)).replace("±", r"$\pm$").replace("%", r"\%")


def _test_line(test: PairedTest) -> str:
    p = test.reason if test.p_value is None and test.reason else p_text(test.p_value)
    fields = [
        DEFINITIONS[test.metric].title,
        test.method,
        test.against,
        difference_text(test),
        test.test,
        str(test.pairs),
        p,
        p_text(test.adjusted),
    ]
    return f"| {' | '.join(fields)} |"
