"""docs/metrics.md and the code say the same of every metric."""

import re
from pathlib import Path

import pytest

from coemogen_core.evaluation.definitions import DEFINITIONS, LOWER_IS_BETTER, MetricDefinition, NumberName
from coemogen_core.report.tables import meaning
from schemas.metrics import METRIC_NAMES, EmotionMetrics

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """The table of the page: cells by title."""
    lines = PAGE[PAGE.index("| metric | range |") :].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2 : lines.index("")]]
    return {cells[0]: cells[1:] for cells in table}


def said_range(definition: MetricDefinition) -> str:
    if definition.low is None:
        return "any; 0 on average between equal distributions"
    return f"≥ {definition.low:g}" if definition.high is None else f"{definition.low:g} to {definition.high:g}"


def said_tolerance(definition: MetricDefinition) -> str:
    return f"{definition.tolerance:.0e} relative".replace("e-0", "e-") if definition.tolerance else "exact"


def test_the_table_holds_every_metric_and_no_other() -> None:
    assert list(rows()) == [definition.title for definition in DEFINITIONS.values()]
    assert list(DEFINITIONS) == [*METRIC_NAMES, "brightness", "colourfulness"]
    assert set(DEFINITIONS) <= set(EmotionMetrics.model_fields)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_range_direction_tolerance_and_source_are_the_codes(name: NumberName) -> None:
    definition = DEFINITIONS[name]
    spread, better, computed_to, against = rows()[definition.title]
    assert (spread, better, computed_to) == (said_range(definition), definition.better, said_tolerance(definition))
    paragraph = re.search(rf"^.*\*\*[^*]*{definition.title}[^*]*\*\*.*?(?=\n\n)", PAGE, re.DOTALL | re.MULTILINE | re.IGNORECASE)
    assert paragraph is not None, "it has no definition"
    assert definition.source in " ".join(paragraph.group(0).split())
    tests = re.findall(r"`(test_\w+\.py)`", against)
    assert tests
    found = [next(Path(__file__).parent.rglob(test)).read_text(encoding="utf-8") for test in tests]
    assert not definition.tolerance or any(f'tolerance("{name}")' in text for text in found), "no test takes this tolerance"


def test_the_report_says_the_same_of_the_direction() -> None:
    for name in METRIC_NAMES:
        arrow = {"lower": "↓", "higher": "↑"}[DEFINITIONS[name].better]
        assert DEFINITIONS[name].label == f"{DEFINITIONS[name].title} {arrow}"
        assert meaning(name)
        assert meaning(name, EmotionMetrics)
    assert LOWER_IS_BETTER == ("fid", "kid", "cmmd")
