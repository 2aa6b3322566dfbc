from itertools import pairwise

import polars as pl
import pytest

from coemogen_core.curation.selection import Selection, judge_labels, judge_scores
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.tables import EmotionScores
from tests.coemogen_core.curation.small_tables import image_row, write_images

SCORES = pl.DataFrame(
    [("a", "awe", 0.75), ("b", "awe", 0.7500001), ("c", "disgust", 0.99), ("d", "disgust", 0.2), ("e", None, None), ("f", "fear", 0.8)],
    schema={"image_id": pl.String, "label": pl.String, "confidence": pl.Float32},
    orient="row",
)


def selected(judged):
    return judged.filter(pl.col("reason").is_null())["image_id"].to_list()


def test_labelled_pictures_of_the_wanted_emotions():
    images = pl.DataFrame({"image_id": ["a", "b", "c"], "label": ["awe", None, "fear"]})
    assert selected(judge_labels(images)) == ["a", "c"]
    assert selected(judge_labels(images, ["fear"])) == ["c"]
    assert judge_labels(images, ["fear"])["reason"].to_list() == ["emotion not collected", "no label", None]


def test_confidence_must_be_greater_than_the_threshold():
    assert selected(judge_scores(SCORES)) == ["b", "f"]
    assert selected(judge_scores(SCORES, min_confidence=0.8)) == []  # 0.8 is stored in single precision and still not above 0.8
    assert judge_scores(SCORES)["reason"].to_list() == [
        "low confidence",
        None,
        "emotion not collected",
        "low confidence",
        "not scored",
        None,
    ]


def test_lowering_the_threshold_only_adds():
    wanted = [set(selected(judge_scores(SCORES, EMOTIONS, threshold))) for threshold in (0.9, 0.75, 0.5, 0.0)]
    assert all(fewer <= more for fewer, more in pairwise(wanted))


def test_selection_reads_labels_or_scores_of_a_part(tmp_path):
    workspace = Workspace(str(tmp_path))
    rows = [image_row("awe", 1, label="awe"), image_row("fear", 1), image_row("anger", 1, label="anger")]
    ids = write_images(workspace, "photos", "part-0", rows)["image_id"].to_list()
    scores = pl.DataFrame({"image_id": ids[:2], "probabilities": [[0.125] * 8] * 2, "label": ["disgust", "fear"], "confidence": [0.9, 0.8]})
    workspace.table("emotion_scores", "photos", "probe-1").write_part("part-0", scores, EmotionScores)
    assert dict(Selection().wanted(workspace, "photos", "part-0").rows()) == {ids[0]: "awe", ids[2]: "anger"}
    assert Selection.by_confidence("probe-1").wanted(workspace, "photos", "part-0").rows() == [(ids[1], "fear")]
    judged = Selection.by_confidence("probe-1").judge(workspace, "photos", "part-0")
    assert judged["image_id"].to_list() == sorted(ids)
    assert dict(judged.select("image_id", "reason").rows()) == {ids[0]: "emotion not collected", ids[1]: None, ids[2]: "not scored"}
    with pytest.raises(FileNotFoundError, match="score source 'photos' first"):
        Selection.by_confidence("probe-2").wanted(workspace, "photos", "part-0")
    with pytest.raises(FileNotFoundError, match="ingest source 'art' first"):
        Selection().wanted(workspace, "art", "part-0")


def test_bad_thresholds_are_refused():
    for value in (-0.1, 1.0):
        with pytest.raises(ValueError, match="min_confidence"):
            Selection.by_confidence("probe-1", min_confidence=value)
    with pytest.raises(ValueError, match="joy"):
        Selection(emotions=("joy",))
