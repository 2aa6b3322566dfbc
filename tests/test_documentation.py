"""Pages name files and headings that are there, and their lines are short."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT, ROOT / "docs", ROOT / "benchmarks", ROOT / "coemogen_core" / "lab")
PAGES = [page for folder in FOLDERS for page in sorted(folder.glob("*.md"))]
ROOTS = (ROOT, ROOT / "coemogen_core", ROOT / "tests")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
HEADING_LINK = re.compile(r"\]\(([^)#:\s]*)#([^)\s]+)\)")
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|toml|yaml|md|jinja|txt))`")
WIDTH = 119
ONE_LINK = re.compile(r"\s*(?:[-*] )?!?\[[^\]]*\]\([^)]*\)[.:]?")
of_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@of_every_page
def test_links_and_named_files_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    missing = [name for name in NAMED.findall(text) if not any((root / name).exists() for root in (*ROOTS, page.parent))]
    assert (broken, missing) == ([], [])


@of_every_page
def test_links_to_headings_find_them(page: Path) -> None:
    links = [(page.parent / file if file else page, anchor) for file, anchor in HEADING_LINK.findall(page.read_text(encoding="utf-8"))]
    assert [f"{file.name}#{anchor}" for file, anchor in links if file.exists() and anchor not in anchors(file)] == []


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@of_every_page
def test_lines_of_prose_are_short(page: Path) -> None:
    assert [f"{page.name}:{number}: {len(line)} columns" for number, line in prose(page) if len(line) > WIDTH] == []


def prose(page: Path) -> list[tuple[int, str]]:
    """The numbered lines that can be broken: not those of tables and code, and none that is one link or one picture."""
    found, in_code = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code and not line.lstrip().startswith("|") and not ONE_LINK.fullmatch(line):
            found.append((number, line))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_are_started_are_there(page: Path) -> None:
    modules = re.findall(r"-m ((?:flows|tasks|coemogen_core)[\w.]*)", page.read_text(encoding="utf-8"))
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []
