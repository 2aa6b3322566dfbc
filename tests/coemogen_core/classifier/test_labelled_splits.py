import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coemogen_core.classifier.emotion_probe import ProbeRecipe
from coemogen_core.classifier.probe_training import assign_splits, check_classes
from coemogen_core.emotions import EMOTIONS

RECIPE = ProbeRecipe()


def rows_of(labels_and_splits):
    ids = [f"{index:064x}" for index in range(len(labels_and_splits))]
    data = [(image_id, *row) for image_id, row in zip(ids, labels_and_splits, strict=True)]
    return pl.DataFrame(data, schema={"image_id": pl.String, "label": pl.String, "split": pl.String}, orient="row")


def test_published_splits_are_used_as_they_are():
    rows = rows_of([(emotion, split) for emotion in EMOTIONS for split in ["train"] * 10 + ["val"] * 3 + ["test"] * 3])
    assert assign_splits(rows, RECIPE).equals(rows)


@given(st.lists(st.tuples(st.sampled_from(EMOTIONS), st.sampled_from([None, "train", "val", "test"])), min_size=1, max_size=150))
@settings(max_examples=80)
def test_nothing_is_lost_and_no_class_gives_its_last_training_row(labels_and_splits):
    rows = rows_of(labels_and_splits)
    assigned = assign_splits(rows, RECIPE)
    assert assigned.drop("split").equals(rows.drop("split"))
    assert set(assigned["split"]) <= {"train", "val", "test"}
    carved = [split for split in ("val", "test") if rows.filter(pl.col("split") == split).height < RECIPE.min_held_out_rows]
    if len(carved) == 2:
        assert set(assigned.filter(pl.col("split") == "train")["label"]) == set(rows["label"])
        for label, count in rows.group_by("label").len().iter_rows():
            held_out = assigned.filter((pl.col("label") == label) & (pl.col("split") != "train")).height
            assert held_out >= min(count - 1, 2)
    assert assign_splits(rows.sort("image_id", descending=True), RECIPE).equals(assigned)


def test_another_seed_carves_other_rows():
    rows = rows_of([(emotion, None) for emotion in EMOTIONS for _ in range(20)])
    assert not assign_splits(rows, RECIPE).equals(assign_splits(rows, ProbeRecipe(seed=5)))
    assert assign_splits(rows, RECIPE)["split"].value_counts().sort("split")["count"].to_list() == [24, 120, 16]


def test_absent_emotion_is_named_unless_allowed():
    rows = assign_splits(rows_of([(emotion, None) for emotion in EMOTIONS[:6] for _ in range(10)]), RECIPE)
    with pytest.raises(ValueError, match="no image of: fear, sadness"):
        check_classes(rows, RECIPE)
    check_classes(rows, ProbeRecipe(require_all_emotions=False))


def test_hopeless_splits_are_refused():
    lenient = ProbeRecipe(require_all_emotions=False)
    with pytest.raises(ValueError, match="fewer than two emotions"):
        check_classes(rows_of([("awe", "train")] * 3 + [("awe", "val")]), lenient)
    with pytest.raises(ValueError, match="at least three labelled images"):
        check_classes(assign_splits(rows_of([(emotion, None) for emotion in EMOTIONS]), RECIPE), RECIPE)
    with pytest.raises(ValueError, match="the training split lacks: fear"):
        check_classes(rows_of([("awe", "train"), ("anger", "train"), ("fear", "val"), ("awe", "test")]), lenient)
