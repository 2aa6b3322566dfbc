"""Emo-A, the confusion matrix and the collapse check; Sem-C's maximum."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from coemogen_core.evaluation import emo_a, semantics
from coemogen_core.statistics import bootstrap


def test_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    probabilities, wanted = rng.dirichlet(np.ones(8), 200), rng.integers(0, 8, 200)
    found = emo_a.probe_metrics(probabilities, wanted)
    assert found.accuracy == accuracy_score(wanted, probabilities.argmax(1))
    assert found.confusion == sklearn_confusion(wanted, probabilities.argmax(1), labels=range(8)).tolist()
    assert emo_a.correct(probabilities, wanted).mean() == found.accuracy


def test_a_collapsed_probe_is_seen() -> None:
    probabilities = np.tile(np.eye(8)[6], (40, 1))
    found = emo_a.probe_metrics(probabilities, np.arange(40) % 8)
    assert (found.accuracy, found.majority_share, found.majority_emotion, found.majority_baseline) == (0.125, 1.0, "fear", 0.125)


def collapse_of(answers: list[int], wanted: list[int]) -> bool | None:
    groups = np.array(wanted)
    return emo_a.probe_metrics(np.eye(8)[answers], groups, 0.95).collapsed


def test_a_collapse_is_flagged_by_how_far_one_answer_exceeds_what_was_asked_for() -> None:
    eight = [k for k in range(8) for _ in range(25)]
    third = [6 if index % 25 < 5 or k == 6 else k for index, k in enumerate(eight)]  # fear for 30 %
    more = [6 if index % 25 < 7 or k == 6 else k for index, k in enumerate(eight)]  # fear for 37 %
    assert [collapse_of(answers, eight) for answers in (eight, third, more, [6] * 200)] == [False, False, True, True]
    assert collapse_of([1] * 50, [1] * 50) is None, "only one emotion was asked for, so one answer is no collapse"
    assert collapse_of([1] * 90 + [2] * 10, [1] * 90 + [2] * 10) is False, "awe is what most images were made for"
    assert collapse_of([1] * 100, [1] * 50 + [2] * 50) is True


def test_without_a_level_there_is_no_verdict_and_with_one_there_are_intervals(rng: np.random.Generator) -> None:
    probabilities, wanted = rng.dirichlet(np.ones(8), 400), np.arange(400) % 8
    bare = emo_a.probe_metrics(probabilities, wanted)
    assert (bare.interval, bare.majority_interval, bare.collapsed) == (None, None, None)
    found = emo_a.probe_metrics(probabilities, wanted, 0.95)
    assert found.interval is not None
    normal = 1.96 * np.sqrt(found.accuracy * (1 - found.accuracy) / 400)  # type: ignore[operator]  # few differ from one another by emotion
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(normal, rel=0.15)
    assert found.collapsed is False


def test_no_images_give_nulls() -> None:
    found = emo_a.probe_metrics(np.empty((0, 8)), np.empty(0, int))
    assert found.accuracy is None
    assert found.majority_share is None


def test_clarity_takes_the_surer_classifier() -> None:
    assert np.allclose(semantics.clarity(np.array([0.9, 0.2]), np.array([0.1, 0.6])), [0.9, 0.6])
    assert bootstrap.mean_or_none(np.empty(0)) is None
