"""Dependencies point one way: flows -> tasks -> coemogen_core -> schemas; the core and the schemas know no Prefect."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("flows", "tasks", "coemogen_core", "schemas")


def imports(file: Path) -> Iterator[str]:
    """Top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_those_below(layer: str) -> None:
    above = set(LAYERS[: LAYERS.index(layer)])
    forbidden = above | ({"prefect"} if layer in ("coemogen_core", "schemas") else set())
    found = {
        f"{file.relative_to(ROOT)} imports {name}" for file in (ROOT / layer).rglob("*.py") for name in imports(file) if name in forbidden
    }
    assert not found


def test_every_layer_has_files_to_check() -> None:
    assert all(list((ROOT / layer).rglob("*.py")) for layer in LAYERS)


def test_tensors_are_never_unpickled() -> None:
    for layer in LAYERS:
        for file in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                    assert any(keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True" for keyword in node.keywords), file
                assert not (isinstance(node, ast.Import) and any(name.name == "pickle" for name in node.names)), file
