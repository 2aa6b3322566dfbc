"""The section of a matrix: the table in the paper's form, and which differences are more than chance."""

from typing import Any

from coemogen_core.evaluation.definitions import DEFINITIONS
from coemogen_core.experiments.formats import difference_text, p_text
from coemogen_core.experiments.table import COLUMNS, Cell, build_table, number, text_of
from coemogen_core.report.data import ReportData
from schemas.metrics import MetricName

NO_BREAK = "\u00a0"


def experiments_content(data: ReportData) -> dict[str, Any] | None:
    """What the section shows; None for a run without a matrix."""
    if data.experiments is None:
        return None
    table = build_table(data.experiments)
    rows = [
        {
            "method": data.labels.get(row.method, row.method),
            "seeds": row.seeds,
            "cells": [_cell(row.cells.get(name), name) for name in COLUMNS],
        }
        for row in table.rows
    ]
    tests = [
        {
            "metric": DEFINITIONS[test.metric].title,
            "method": data.labels.get(test.method, test.method),
            "against": data.labels.get(test.against, test.against),
            "test": test.test,
            "pairs": f"{test.pairs:,}",
            "difference": difference_text(test),
            "p": test.reason or p_text(test.p_value),
            "adjusted": p_text(test.adjusted),
        }
        for test in table.tests
    ]
    budgets = [f"{data.labels.get(name, name)} {samples:,}" for name, samples in data.experiments.budgets.items()]
    return {
        "columns": [DEFINITIONS[name].label for name in COLUMNS],
        "rows": rows,
        "tests": tests,
        "note": table.note("below"),
        "has_published": table.has_published,
        "budgets": ", ".join(budgets),
    }


def _cell(cell: Cell | None, name: MetricName) -> dict[str, str]:
    if cell is None:
        return {"value": "–", "interval": "", "published": ""}
    ends = "" if cell.interval is None else " – ".join(number(end, name) for end in cell.interval)
    published = "" if cell.published is None else number(cell.published, name)
    value = text_of(cell.spread, lambda value: number(value, name))
    unbroken = {"value": value, "interval": ends, "published": published}
    return {key: text.replace(" ", NO_BREAK) for key, text in unbroken.items()}
