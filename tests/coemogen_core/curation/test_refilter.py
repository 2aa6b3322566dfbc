import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from coemogen_core.curation.decide import Thresholds, decide, refilter
from coemogen_core.curation.decisions import mark_current, read_decisions, resolve_version
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE, build_art

ROOT = Path(__file__).parents[3]


@pytest.fixture
def version(workspace):
    build_art(workspace)
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    mark_current(workspace, "emoart", version)
    return version


def test_other_thresholds_give_what_building_with_them_gives(workspace, version):
    wanted = RECIPE.model_copy(update={"drop_fraction": 0.5, "selection": RECIPE.selection.model_copy(update={"min_confidence": 0.85})})
    outcome = refilter(workspace, "emoart", version, Thresholds(min_confidence=0.85, drop_fraction=0.5))
    assert outcome.version != version
    reasons = Counter(read_decisions(workspace, "emoart", outcome.version)["reason"])
    assert (reasons["kept"], reasons["low alignment"], reasons["low confidence"]) == (3, 2, 13)
    assert decide(workspace, SOURCE, PARTS, wanted).version == outcome.version
    assert resolve_version(workspace, "emoart") == version  # the new one stands beside it


def test_a_lower_threshold_names_what_was_never_captioned(workspace, version):
    lower = refilter(workspace, "emoart", version, Thresholds(min_confidence=0.7))
    reasons = Counter(read_decisions(workspace, "emoart", lower.version)["reason"])
    assert reasons["low confidence"] == 0
    assert reasons["kept"] == 8 + 4 + 3  # the angry ones had been captioned for another threshold


def test_nothing_changed_is_the_same_version(workspace, version):
    outcome = refilter(workspace, "emoart", version, Thresholds())
    assert outcome.version == version
    assert outcome.reused


def test_labels_have_no_confidence(workspace, version):
    from coemogen_core.curation.decide import with_thresholds
    from coemogen_core.curation.selection import Selection

    with pytest.raises(ValueError, match="leave min_confidence out"):
        with_thresholds(RECIPE.model_copy(update={"selection": Selection()}), Thresholds(min_confidence=0.5))
    with pytest.raises(FileNotFoundError, match="no decisions emoart-0"):
        refilter(workspace, "emoart", "emoart-0", Thresholds())


def test_no_model_is_loaded(workspace, version):
    """The command's whole code, publication included, does not even import what could load one."""
    code = (
        "import sys\n"
        "from flows.command_line.datasets import refilter\n"
        "refilter(workspace=sys.argv[1], drop_fraction=0.4, make_current=True, publish=True)\n"
        "assert not {'torch', 'transformers', 'diffusers'} & set(sys.modules)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, workspace.uri], capture_output=True, text=True, check=True, env=environment)
    new = resolve_version(workspace, "emoart")
    assert new != version
    assert f"{new}: 9 kept" in done.stdout
    assert workspace.exists("curated", "emoart", new, "manifest.json")
