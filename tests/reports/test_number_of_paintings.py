"""How many paintings were kept is one number: in decisions, publication, export, card, metrics and report.

And what the pages say of the demo is one number, too.
"""

import json
import re
from pathlib import Path

import pytest

from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import beside_decisions, read_decisions
from coemogen_core.curation.funnel import FUNNEL, funnel_line, write_funnel
from coemogen_core.evaluation.emoart import emoart_metrics
from coemogen_core.publication.exports import export_webdataset
from coemogen_core.publication.publication import publish, published_table
from coemogen_core.report.build import CorpusVersion, ReportRecipe, build_report_data
from coemogen_core.report.render import render_report
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import Metrics
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE, build_art

ROOT = Path(__file__).parents[2]
KEPT, CANDIDATES = 12, 21
ON_PAGES = {
    "README.md": r"\*\*EmoArt\.\*\* (\d+) of ([\d,]+) paintings are kept",
    "docs/classifier.md": r"by design: (\d+) of ([\d,]+) are kept",
    "benchmarks/RESULTS.md": r"\| EmoArt: kept under their true emotion \| [\d.]+ of (\d+) \|",
}


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    build_art(workspace)
    return workspace


def test_every_place_has_the_same_number(workspace: Workspace, tmp_path: Path) -> None:
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    funnel_text = write_funnel(workspace, "emoart", version)
    manifest = publish(workspace, "emoart", version, SOURCE).manifest
    card = workspace.read_file("curated", "emoart", version, "README.md").decode()
    decisions = read_decisions(workspace, "emoart", version)
    art = emoart_metrics(decisions)
    assert (decisions["kept"].sum(), decisions.height) == (art.kept, art.candidates) == (KEPT, CANDIDATES)
    assert manifest.rows == published_table(workspace, "emoart", version).count() == KEPT
    assert export_webdataset(workspace, "emoart", version, str(tmp_path / "tars")).rows == KEPT
    counts = workspace.read_json(*beside_decisions("emoart", version, FUNNEL))
    assert f"{KEPT} of {CANDIDATES} pictures" in funnel_text
    assert funnel_line(counts).startswith(f"{KEPT} of {CANDIDATES} kept")
    assert f"\n{KEPT} of {CANDIDATES} candidate pictures" in card

    metrics = Metrics(run_id="run", protocol="corrected", seed=0, confidence_level=0.95, methods={}, reference=None, emoart=art)
    assert json.loads(metrics.model_dump_json())["emoart"]["kept"] == KEPT
    shown = build_report_data(workspace, metrics, {}, ReportRecipe(), art=CorpusVersion(dataset="emoart", version=version))
    page = re.sub(r"<style>.*?</style>|<[^>]+>", " ", render_report(shown), flags=re.DOTALL)
    words = " ".join(page.split())
    assert f"Paintings kept in EmoArt {KEPT} of {CANDIDATES}" in words
    assert f"From {CANDIDATES} pictures to {KEPT}" in words


def test_the_pages_say_one_number_of_the_demo() -> None:
    said = {page: re.search(pattern, (ROOT / page).read_text(encoding="utf-8")) for page, pattern in ON_PAGES.items()}
    assert None not in said.values(), said
    assert len({found[1] for found in said.values()}) == 1, said
    assert len({found[2] for found in said.values() if found.re.groups == 2}) == 1, said
