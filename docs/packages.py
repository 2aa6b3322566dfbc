"""The packages of the core and their imports: read for the test of their order, and drawn into docs/architecture.md.

python docs/packages.py    # writes the table and the drawing between their marks
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
LAYERS = ("schemas", "coemogen_core", "tasks", "flows")
"""Lowest first."""
BEGIN, END = "<!-- packages: written by docs/packages.py -->\n", "<!-- end of packages -->\n"
PACKAGES: dict[str, str] = {
    entry["name"]: entry["holds"] for entry in tomllib.loads((ROOT / "docs" / "packages.toml").read_text(encoding="utf-8"))["package"]
}
"""What every package of the core holds, lowest first."""


def modules() -> dict[str, Path]:
    """Every file of the layers by its dotted name."""
    files = (file for layer in LAYERS for file in sorted((ROOT / layer).rglob("*.py")))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports() -> dict[str, list[str]]:
    """By module, every module that it names in an import, wherever in the file, also where only a type checker looks."""
    known = modules()
    return {name: sorted(set(_imported(file, known))) for name, file in known.items()}


def package_of(module: str) -> str | None:
    """The package of the core that a module belongs to; None outside of the core."""
    layer, _, inner = module.partition(".")
    if layer != "coemogen_core" or not inner:
        return None
    return "lab.build" if f"{inner}.".startswith("lab.build.") else inner.partition(".")[0]


def package_imports() -> dict[str, set[str]]:
    """By package, the other packages that it imports."""
    found: dict[str, set[str]] = {package: set() for package in PACKAGES}
    for module, others in imports().items():
        if (package := package_of(module)) is not None:
            if package not in found:
                raise ValueError(f"{package} is no package of docs/packages.toml: add it where it belongs")
            found[package] |= {other for other in map(package_of, others) if other is not None} - {package}
    return found


def drawing() -> str:
    """The table of packages, and their imports as a Mermaid graph without the arrows that others imply."""
    arrows, order = package_imports(), list(PACKAGES)
    if upwards := [f"{one} imports {other}" for one, others in arrows.items() for other in others if order.index(other) > order.index(one)]:
        raise ValueError(f"{'; '.join(upwards)}: a package imports only those above it in docs/packages.toml")
    reached = {package: _reached(package, arrows) for package in arrows}
    direct = {
        package: sorted(other for other in others if not any(other in reached[between] for between in others))
        for package, others in arrows.items()
    }
    rows = [
        f"| `{name}` | {holds} | {', '.join(sorted(arrows[name], key=list(PACKAGES).index)) or '-'} |" for name, holds in PACKAGES.items()
    ]
    lines = [
        f"    {name.replace('.', '_')}[{name}] --> {other.replace('.', '_')}[{other}]"
        for name in reversed(PACKAGES)
        for other in direct[name]
    ]
    return "\n".join(["| package | holds | imports |", "|---|---|---|", *rows, "", "```mermaid", "graph TD", *lines, "```", ""])


def _reached(package: str, arrows: dict[str, set[str]]) -> set[str]:
    return arrows[package].union(*(_reached(other, arrows) for other in arrows[package]))


def _imported(file: Path, known: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{file}:{node.lineno} imports relatively: name the whole module")
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in known else str(node.module)


def with_drawing(page: str) -> str:
    """The page with table and drawing as they are now."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + drawing() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_drawing(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
