"""The complete example of docs/experiments.md runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

from coemogen_core.experiments.matrix import read_matrix
from coemogen_core.methods.registry import METHODS
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.training.recipes import RECIPES

PAGE = (Path(__file__).parents[3] / "docs" / "experiments.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_a_generator_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("python")
    (tmp_path / "grey_pictures.py").write_text(code)
    (tmp_path / "matrix.toml").write_text(blocks("toml")[1])
    monkeypatch.syspath_prepend(str(tmp_path))
    plain, own = read_matrix(tmp_path / "matrix.toml").resolve(RECIPES["lab"])
    assert (plain.name, own.name) == ("sd", "grey-pictures")
    models = BaseModels(diffusion="lab:diffusion", clip="lab:clip")
    generator = own.load(models, GenerationRecipe(), "")
    pictures = [np.asarray(picture) for picture in generator.generate("awe", [3, 4])]
    assert pictures[0].shape == (64, 64, 3)
    assert (pictures[0] != pictures[1]).any()
    assert own.sample_identity(models, GenerationRecipe())["settings"] == {"side": 64}


def test_the_matrix_of_the_page_is_one(tmp_path: Path) -> None:
    (tmp_path / "matrix.toml").write_text(blocks("toml")[0])
    matrix = read_matrix(tmp_path / "matrix.toml")
    assert "ti-one-word" in matrix.names
    assert len(matrix.resolve(RECIPES["lab"])) == 5


def test_every_method_is_described() -> None:
    assert all(f"| `{name}` |" in PAGE for name in METHODS)
