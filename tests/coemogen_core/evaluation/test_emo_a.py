"""Emo-A, the confusion matrix and the collapse check; Sem-C's maximum."""

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from coemogen_core.evaluation import emo_a, sem_c


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


def test_no_images_give_nulls() -> None:
    found = emo_a.probe_metrics(np.empty((0, 8)), np.empty(0, int))
    assert found.accuracy is None
    assert found.majority_share is None


def test_clarity_takes_the_surer_classifier() -> None:
    assert np.allclose(sem_c.clarity(np.array([0.9, 0.2]), np.array([0.1, 0.6])), [0.9, 0.6])
    assert sem_c.mean_or_none(np.empty(0)) is None
