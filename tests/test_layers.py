"""Imports point one way: between the layers, and between the packages of the core. No file stands in a circle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("schemas", "coemogen_core", "tasks", "flows")
"""Lowest first."""
PACKAGES = (
    *("emotions", "errors", "recipe", "device", "process_keeper"),  # modules
    *("lab", "storage", "statistics", "data", "encoders", "captioning", "classifier", "curation", "publication"),
    *("model", "training", "generation", "methods", "evaluation", "experiments", "report", "lab.build"),
)
"""The packages of the core, lowest first: each imports only those before it."""


def module_name(file: Path) -> str:
    """Dotted name of a file."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): file for layer in LAYERS for file in sorted((ROOT / layer).rglob("*.py"))}


def imported(file: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever in it, also where only a type checker looks."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in MODULES else str(node.module)


IMPORTS = {name: sorted(set(imported(file))) for name, file in MODULES.items()}


def package_of(module: str) -> str | None:
    """The package of the core that a module belongs to; None outside of the core."""
    layer, _, inner = module.partition(".")
    if layer != "coemogen_core" or not inner:
        return None
    return "lab.build" if f"{inner}.".startswith("lab.build.") else inner.partition(".")[0]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_those_below(layer: str) -> None:
    forbidden = {*LAYERS[LAYERS.index(layer) + 1 :], *(("prefect",) if layer in ("coemogen_core", "schemas") else ())}
    of_layer = {name: imports for name, imports in IMPORTS.items() if name.partition(".")[0] == layer}
    assert of_layer
    assert {
        f"{name} imports {other}" for name, imports in of_layer.items() for other in imports if other.partition(".")[0] in forbidden
    } == set()


def test_every_file_of_the_core_belongs_to_a_package_of_the_list() -> None:
    found = {package_of(name) for name in MODULES} - {None}
    assert found == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_those_before_it(package: str) -> None:
    later = set(PACKAGES[PACKAGES.index(package) + 1 :])
    inside = [name for name in MODULES if package_of(name) == package]
    assert {f"{name} imports {other}" for name in inside for other in IMPORTS[name] if package_of(other) in later} == set()


def test_no_file_imports_itself_through_others() -> None:
    TopologicalSorter({name: [other for other in imports if other in MODULES] for name, imports in IMPORTS.items()}).prepare()


def test_tensors_are_never_unpickled() -> None:
    for file in MODULES.values():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True" for keyword in node.keywords), file
            assert not (isinstance(node, ast.Import) and any(name.name == "pickle" for name in node.names)), file
