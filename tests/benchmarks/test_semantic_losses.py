"""The weights of L_SEM's forms in benchmarks/ablations.toml."""

import importlib
from pathlib import Path

import pytest

LENGTHS = {"cosine": 0.057, "mae": 0.088, "mse": 0.367, "kl": 0.241}
"""Of a sample's gradient, as benchmarks/RESULTS.md has them."""


def test_every_form_pulls_as_hard_as_the_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    table = importlib.import_module("semantic_losses").rows(LENGTHS)
    weights = [row for row in table if row["name"].startswith("weight")]
    assert [row["holds"] for row in weights] == [True] * 3
