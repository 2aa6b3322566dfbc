"""The tables of the report: who wins, and how numbers read."""

from typing import Any

import pytest

from coemogen_core.report import tables
from schemas.metrics import Estimate, MethodMetrics, Metrics


def test_a_winner_needs_an_interval_of_its_own(metrics: Metrics) -> None:
    def with_fid(low: float, high: float) -> MethodMetrics:
        fid = Estimate(value=(low + high) / 2, low=low, high=high, images=9, extractor="x")
        return metrics.methods["sd"].model_copy(update={"fid": fid})

    assert tables.best_method({"a": with_fid(1, 2), "b": with_fid(3, 4)}, "fid") == "a"
    assert tables.best_method({"a": with_fid(1, 3.5), "b": with_fid(3, 4)}, "fid") is None
    assert tables.best_method({"a": with_fid(1, 2)}, "fid") is None
    shown = tables.metric_rows(metrics.model_copy(update={"methods": {"a": with_fid(1, 2), "b": with_fid(1.5, 3)}}))
    assert [(row.method, any(cell.best for cell in row.cells)) for row in shown] == [("a", False), ("b", False), (None, False)]


def test_a_smaller_cmmd_and_a_larger_recall_win(metrics: Metrics) -> None:
    def method(**values: float) -> MethodMetrics:
        found = {name: Estimate(value=x, low=x - 0.1, high=x + 0.1, images=9, extractor="x") for name, x in values.items()}
        return metrics.methods["sd"].model_copy(update=found)

    methods = {"near": method(cmmd=-0.2, recall=0.3), "wide": method(cmmd=0.9, recall=0.8)}
    assert tables.best_method(methods, "cmmd") == "near"
    assert tables.best_method(methods, "recall") == "wide"


def test_more_diversity_than_real_images_have_is_not_called_best(metrics: Metrics) -> None:
    def with_sem_d(low: float, high: float) -> MethodMetrics:
        sem_d = Estimate(value=(low + high) / 2, low=low, high=high, images=9, extractor="x")
        return metrics.methods["sd"].model_copy(update={"sem_d": sem_d})

    methods = {"a": with_sem_d(3, 4), "b": with_sem_d(1, 2)}
    assert tables.best_method(methods, "sem_d", with_sem_d(3.5, 5)) == "a"
    assert tables.best_method(methods, "sem_d", with_sem_d(1, 2.5)) is None


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [(0.8015, "emo_a", "80.2 %"), (40.664, "fid", "40.66"), (0.00349, "sem_d", "0.00349"), (0.7321, "lpips", "0.732"), (None, "fid", "–")],
)
def test_numbers_read_well(value: float | None, metric: str, text: str) -> None:
    assert tables.number(value, metric) == text


@pytest.mark.parametrize(("seconds", "text"), [(3.14, "3.1 s"), (119.7, "2 min 00 s"), (7260, "2 h 01 min")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert tables.duration(seconds) == text


def test_notes_say_which_real_images_are_compared_with_and_how_many(metrics: Metrics) -> None:
    def said(
        of_each: int | None, short: dict[str, int] | None = None, configuration: dict[str, Any] | None = None, compared: int | None = None
    ) -> str:
        assert metrics.reference is not None
        real, ours = metrics.reference.model_copy(update={"of_each": of_each, "short": short or {}}), metrics.methods["coemogen"]
        fid = ours.fid.model_copy(update={"images": ours.images if compared is None else compared})
        methods = {**metrics.methods, "coemogen": ours.model_copy(update={"fid": fid})}
        changed = {"reference": real, "methods": methods, "configuration": configuration or {}}
        return " ".join(tables.reference_notes(metrics.model_copy(update=changed)))

    assert "of all emotions together compare with all of them; precision, recall, density and coverage compare" in said(None)
    assert "of all emotions together compare with up to 31 of each emotion (drawn with seed 0);" in said(31)
    assert "There are only 2 of awe, 1 of fear: what is compared" in said(31, {"awe": 2, "fear": 1})
    assert "There are only" not in said(31)
    assert "(all labelled images)" in said(None)
    assert "(all labelled images, held out from training or not)" in said(None, configuration={"train_splits": ["train"]})
    assert "uneven" not in said(None)
    assert "The images of coemogen are uneven: 5 of " in said(None, compared=5)
    assert tables.reference_notes(metrics.model_copy(update={"reference": None})) == []
