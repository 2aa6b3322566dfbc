"""Cards are Markdown that others render: every table stands alone, with the cells that it should have, whatever names a source uses."""

import io
import re
from pathlib import Path

import pandas
import pytest
from markdown_it import MarkdownIt

from coemogen_core.curation.decide import decide
from coemogen_core.curation.near_duplicates import NearDuplicateRecipe, group_near_duplicates
from coemogen_core.experiments.files import to_csv, to_latex, to_markdown
from coemogen_core.experiments.table import COLUMNS, TEST_COLUMNS, build_table
from coemogen_core.publication.publication import READERS, publish
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.curation.curated_art import RECIPE, SOURCE
from tests.coemogen_core.experiments.small_matrix import experiments, run
from tests.reports.odd_publication import write_odd_publication

ROOT = Path(__file__).parents[2]
CARDS = [file for file in sorted((ROOT / "coemogen_core").rglob("*")) if file.suffix in (".py", ".jinja", ".md")]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def html_tables(markdown: str) -> list[list[list[str]]]:
    """Cells of every row of every table, as GitHub and the hub render them."""
    body = markdown.split("---\n", 2)[2] if markdown.startswith("---\n") else markdown
    html = MarkdownIt("commonmark").enable("table").render(body)
    tables = re.findall(r"<table>(.*?)</table>", html, re.DOTALL)
    return [
        [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)]
        for table in tables
    ]  # fmt: skip


TABLES = ["reader", "setting", "step", "emotion", "style", "source"]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    write_odd_publication(folder)
    return folder


@pytest.mark.parametrize("near_duplicates", [None, NearDuplicateRecipe(max_distance=0.01)])
def test_every_table_of_the_dataset_card_stands_alone(odd: Path, near_duplicates: NearDuplicateRecipe | None) -> None:
    workspace, recipe = Workspace(str(odd / "workspace")), RECIPE.model_copy(update={"near_duplicates": near_duplicates})
    parts = workspace.table("images", SOURCE).parts()
    if near_duplicates is not None:
        group_near_duplicates(workspace, SOURCE, parts, recipe.encoder_id, near_duplicates)
    version = decide(workspace, SOURCE, parts, recipe).version
    publish(workspace, "emoart", version, SOURCE)
    tables = html_tables(workspace.read_file("curated", "emoart", version, "README.md").decode())
    assert [table[0][0] for table in tables] == TABLES
    for table in tables:
        assert {len(row) for row in table} == {len(table[0])}
    assert [tuple(row[:2]) for row in tables[0][1:]] == [(reader, version) for reader, version, _ in READERS]
    assert [row[0] for row in tables[1]].count("near-duplicates") == (near_duplicates is not None)
    assert tables[4][1][0] == "Art | Nouveau"


def test_names_that_people_chose_break_no_table() -> None:
    runs = [run(name, seed, 0.5 + 0.01 * seed) for name in ("coemogen", "sd") for seed in range(2)]
    nasty = {"coemogen": "ours | new\n100 % \\LaTeX_^~", "sd": "sd|1.5"}
    table = build_table(experiments(*runs).model_copy(update={"labels": nasty}))
    tables = html_tables(to_markdown(table))
    assert [len(rows[0]) for rows in tables] == [len(COLUMNS) + 2, len(TEST_COLUMNS)]
    assert all(len(row) == len(rows[0]) for rows in tables for row in rows)
    assert tables[0][1][0] == "ours | new 100 % \\LaTeX_^~"
    assert r"ours | new" in to_latex(table)
    assert r"100 \% \textbackslash{}LaTeX\_\textasciicircum{}\textasciitilde{}" in to_latex(table)
    read = pandas.read_csv(io.StringIO(to_csv(table)))
    assert set(read["method"]) == {"coemogen", "sd"}
    assert read["mean"].tolist() == [cell.mean for row in table.rows for cell in row.cells.values()]


def test_code_on_cards_and_pages_says_dtype() -> None:
    old = re.compile(r"\btorch_dtype\s*=")
    assert [str(file) for file in (*CARDS, *PAGES) if old.search(file.read_text(encoding="utf-8"))] == []
