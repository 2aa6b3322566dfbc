"""Brightness and colourfulness of pictures whose values are known."""

import numpy as np
import pytest

from coemogen_core.evaluation import colour


def flat(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((6, 4, 3), (red, green, blue), np.uint8)


def test_brightness_of_flat_pictures() -> None:
    assert colour.brightness(flat(0, 0, 0)) == 0.0
    assert colour.brightness(flat(255, 255, 255)) == pytest.approx(1.0, abs=1e-6)
    assert colour.brightness(flat(0, 255, 0)) == pytest.approx(0.7152, abs=1e-6)


def test_colourfulness_is_zero_for_grey_and_follows_the_formula() -> None:
    assert colour.colourfulness(flat(90, 90, 90)) == 0.0
    assert colour.colourfulness(flat(200, 0, 0)) == pytest.approx(0.3 * np.hypot(200, 100), rel=1e-6)
    two = np.concatenate([flat(255, 0, 0), flat(0, 255, 0)])  # rg = +-255, yb = 127.5
    assert colour.colourfulness(two) == pytest.approx(255 + 0.3 * 127.5, rel=1e-6)


def test_polarities_are_averaged_apart() -> None:
    result = colour.by_polarity(np.array([0, 1, 7]), np.array([0.5, 0.7, 0.1]), np.array([10.0, 20, 5]))
    assert (result["positive"].images, result["negative"].images) == (2, 1)
    assert result["positive"].brightness == pytest.approx(0.6)
    assert result["negative"].colourfulness == 5.0
    assert colour.by_polarity(np.array([0]), np.array([0.5]), np.array([1.0]))["negative"].brightness is None
