"""Which real images generated ones are compared with."""

import polars as pl

from coemogen_core.data.part_plan import PlannedPart, mark_finished, write_cut
from coemogen_core.evaluation.workspace_pictures import select_reference
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Images
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images


def test_pictures_that_the_source_no_longer_holds_are_no_reference(workspace: Workspace) -> None:
    write_images(workspace, [jpeg(index) for index in range(8)])
    images = workspace.table("images", SOURCE)
    images.write_part("part-of-another-cut", images.read_part(PART).with_columns(split=pl.lit("test")), Images)
    write_cut(workspace, SOURCE, 8, [PlannedPart(PART, "listing", None, "state")])
    mark_finished(workspace, SOURCE, 8)
    selection = select_reference(workspace, SOURCE, 4, "corrected")
    assert (selection.split, selection.parts, selection.images) == (None, (PART,), 8)
