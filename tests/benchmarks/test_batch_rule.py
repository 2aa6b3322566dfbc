"""The cells of benchmarks/batch_rule.py: as many samples each, and one training where the rule has nothing to do."""

import importlib
from pathlib import Path

import pytest

from coemogen_core.training.recipes import RECIPES


def test_cells_see_as_many_samples_with_the_rule_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    script = importlib.import_module("batch_rule")
    base = RECIPES["lab"].model_copy(update={"steps": 200, "warmup_steps": 4})
    cells = script.cells(base)
    assert {recipe.steps * recipe.batch_size for recipe in cells.values()} == {800}
    assert cells[script.WITH, 4] == cells[script.WITHOUT, 4] == base
    for size in script.SIZES:
        rule, plain = cells[script.WITH, size], cells[script.WITHOUT, size]
        assert (rule.batch_size, plain.batch_size, plain.base_batch) == (size, size, None)
        assert plain.model_copy(update={"base_batch": rule.base_batch, "warmup_steps": rule.warmup_steps}) == rule
