"""A small planned source with everything of a part more that is in no plan."""

import pytest

from coemogen_core.data.picture_index import pictures_table
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Pictures
from tests.coemogen_core.curation.curated_art import CLASSIFIER, ENCODER, PARTS, SOURCE, build_art
from tests.coemogen_core.upkeep.old_workspace import GONE, copy_part, plan


@pytest.fixture
def art(workspace: Workspace) -> Workspace:
    """A built and planned source, and of everything a part more that is in no plan."""
    build_art(workspace)
    plan(workspace, 10, PARTS)
    for names in (("images", SOURCE), ("emotion_scores", SOURCE, CLASSIFIER), ("captions", SOURCE), ("alignment", SOURCE, ENCODER)):
        copy_part(workspace, names, PARTS[0], GONE)
    rows = workspace.table("images", SOURCE).read(["image_id", "width", "height"], [PARTS[0]])
    for part in (PARTS[0], GONE):
        pictures_table(workspace, SOURCE).write_part(part, rows, Pictures)
    return workspace
