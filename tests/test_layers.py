"""Imports point one way: between the layers, and between the packages of the core. No file stands in a circle."""

import ast
from graphlib import TopologicalSorter

import pytest

from docs.packages import LAYERS, PACKAGES, PAGE, imports, modules, package_of, with_drawing

ORDER = list(PACKAGES)
MODULES = modules()
IMPORTS = imports()


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_those_below(layer: str) -> None:
    forbidden = {
        *LAYERS[LAYERS.index(layer) + 1 :],
        *(("prefect",) if layer in ("coemogen_core", "schemas") else ()),
        "tests",
        "docs",
        "benchmarks",
    }
    of_layer = {name: others for name, others in IMPORTS.items() if name.partition(".")[0] == layer}
    assert of_layer
    assert {
        f"{name} imports {other}" for name, others in of_layer.items() for other in others if other.partition(".")[0] in forbidden
    } == set()


def test_every_file_of_the_core_belongs_to_a_package_of_the_list() -> None:
    assert {package_of(name) for name in MODULES} - {None} == set(ORDER)


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_only_those_before_it(package: str) -> None:
    later = set(ORDER[ORDER.index(package) + 1 :])
    inside = [name for name in MODULES if package_of(name) == package]
    assert {f"{name} imports {other}" for name in inside for other in IMPORTS[name] if package_of(other) in later} == set()


def test_no_file_imports_itself_through_others() -> None:
    TopologicalSorter({name: [other for other in others if other in MODULES] for name, others in IMPORTS.items()}).prepare()


def test_the_drawing_of_the_packages_is_that_of_today() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_drawing(page), "run `python docs/packages.py`"


def test_tensors_are_never_unpickled() -> None:
    for file in MODULES.values():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True" for keyword in node.keywords), file
            assert not (isinstance(node, ast.Import) and any(name.name == "pickle" for name in node.names)), file


def test_nothing_is_validated_by_assert() -> None:
    """An assert is gone under `python -O`, and its message is none."""
    found = [
        f"{file}:{node.lineno}"
        for file in MODULES.values()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert not found
