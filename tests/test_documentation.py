"""Pages that name a file of the project name one that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT, ROOT / "docs", ROOT / "benchmarks", ROOT / "coemogen_core" / "lab")
PAGES = [page for folder in FOLDERS for page in sorted(folder.glob("*.md"))]
ROOTS = (ROOT, ROOT / "coemogen_core", ROOT / "tests")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|toml|yaml|md|jinja|txt))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_named_files_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    missing = [name for name in NAMED.findall(text) if not any((root / name).exists() for root in (*ROOTS, page.parent))]
    assert (broken, missing) == ([], [])
