"""Captions of a curated dataset, drawn part by part, are those that one draw from all would give."""

import json

import polars as pl
import pytest

from coemogen_core.captioning.audit.sample import draw_from_dataset, draw_sample
from coemogen_core.curation.decisions import read_record
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.captioning.audit.audited_source import PARTS, write_captions, write_decisions, write_source

COLUMNS = ["image_id", "part", "emotion", "recipe_id", "attempt", "caption", "similarity"]


@pytest.mark.parametrize("kept_only", [True, False])
def test_a_dataset_is_drawn_part_by_part(workspace: Workspace, kept_only: bool) -> None:
    captions = write_source(workspace)
    kept = pl.col("image_id") < "8"
    write_decisions(workspace, captions, kept)
    drawn = draw_from_dataset(workspace, read_record(workspace, "emoset", "v1"), per_emotion=3, seed=5, kept_only=kept_only)
    expected = draw_sample(captions.filter(kept) if kept_only else captions, 3, 5)
    assert drawn.select(COLUMNS).equals(expected.select(COLUMNS))
    assert drawn.height > 8


def test_the_attempt_that_was_decided_on_is_the_one_judged(workspace: Workspace) -> None:
    captions = write_source(workspace)
    ids = captions.filter(part=PARTS[0])["image_id"].to_list()
    write_captions(workspace, PARTS[0], ids[:2], attempt=2, fields={"scene": "a forest", "objects": ["dog"]})
    second = pl.when(pl.col("image_id") == ids[1]).then(2).otherwise("attempt")
    write_decisions(workspace, captions.with_columns(attempt=second), pl.lit(True))
    drawn = {
        row["image_id"]: row
        for row in draw_from_dataset(workspace, read_record(workspace, "emoset", "v1"), per_emotion=9, seed=0).rows(named=True)
    }
    assert len(drawn) == captions.height
    assert [drawn[name]["attempt"] for name in ids[:3]] == [1, 2, 1]
    assert drawn[ids[0]]["fields"] is None
    assert json.loads(drawn[ids[1]]["fields"])["objects"] == ["dog"]


def test_a_dataset_that_was_never_curated_is_named(workspace: Workspace) -> None:
    with pytest.raises(FileNotFoundError, match="no decisions v1"):
        draw_from_dataset(workspace, read_record(workspace, "emoset", "v1"), per_emotion=3, seed=5)


def test_a_caption_for_another_emotion_is_not_judged_for_this_one(workspace: Workspace) -> None:
    captions = write_source(workspace)
    ids = captions.filter(part=PARTS[0])["image_id"].to_list()
    write_captions(workspace, PARTS[0], ids[:2], attempt=2, prior=captions["emotion"][0])
    second = captions.with_columns(attempt=pl.when(pl.col("image_id").is_in(ids[:2])).then(2).otherwise("attempt"))
    write_decisions(workspace, second, pl.lit(True))
    drawn = draw_from_dataset(workspace, read_record(workspace, "emoset", "v1"), per_emotion=9, seed=0, kept_only=False)
    assert set(captions["image_id"]) - set(drawn["image_id"]) == {ids[1]}
