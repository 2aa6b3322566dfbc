import numpy as np
import pytest
import torch

from coemogen_core.classifier.emotion_probe import (
    calibrated_probabilities,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)


@pytest.fixture
def overconfident():
    """Labels drawn from softmax(logits), then the logits made three times too large."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (4000, 8))
    labels = np.array([generator.choice(8, p=row) for row in calibrated_probabilities(logits, 1.0)])
    return logits * 3, labels


def brute_force_ece(probabilities, labels, bins):
    total = 0.0
    for index in range(bins):
        inside = [
            row
            for row in range(len(labels))
            if index / bins < probabilities[row].max() <= (index + 1) / bins or (index == 0 and probabilities[row].max() == 0)
        ]
        if inside:
            accuracy = sum(probabilities[row].argmax() == labels[row] for row in inside) / len(inside)
            total += len(inside) / len(labels) * abs(accuracy - sum(probabilities[row].max() for row in inside) / len(inside))
    return total


def test_likelihood_is_torchs_cross_entropy(overconfident):
    logits, labels = overconfident
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(logits) / 1.7, torch.from_numpy(labels))
    assert negative_log_likelihood(logits, labels, 1.7) == pytest.approx(expected.item(), abs=1e-12)


def test_temperature_undoes_the_scale(overconfident):
    logits, labels = overconfident
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(3.0, rel=0.05)
    grid = [negative_log_likelihood(logits, labels, t) for t in np.linspace(0.5, 6, 300)]
    assert negative_log_likelihood(logits, labels, temperature) <= min(grid) + 1e-6


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_against_brute_force(overconfident, bins):
    logits, labels = overconfident
    for temperature in (1.0, 3.0):
        probabilities = calibrated_probabilities(logits, temperature)
        assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(
            brute_force_ece(probabilities, labels, bins), abs=1e-9
        )


def test_calibration_lowers_the_error(overconfident):
    logits, labels = overconfident
    before = expected_calibration_error(calibrated_probabilities(logits, 1.0), labels)
    after = expected_calibration_error(calibrated_probabilities(logits, fit_temperature(logits, labels)), labels)
    assert after < 0.03 < before


def test_certain_and_right_is_zero():
    assert expected_calibration_error(np.eye(8), np.arange(8)) == 0.0


def test_an_impossible_class_stays_impossible():
    logits = np.array([[1.0, -np.inf, 0.0]])
    assert calibrated_probabilities(logits, 2.0)[0, 1] == 0.0
    assert np.isfinite(fit_temperature(np.repeat(logits, 4, axis=0), np.array([0, 0, 2, 0])))
