import os
from collections import Counter

import polars as pl
import pytest

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import (
    REJECTED_CAPTION,
    CurationRecipe,
    mark_current,
    read_decisions,
    read_record,
    resolve_version,
    use_version,
)
from coemogen_core.curation.funnel import funnel, write_funnel
from coemogen_core.curation.selection import Selection
from coemogen_core.storage.workspace import Workspace
from schemas.tables import CaptionReviews
from tests.coemogen_core.curation.curated_art import ENCODER, PARTS, PICTURES, RECIPE, SOURCE, add_captions, build_art, similarity_of
from tests.coemogen_core.curation.small_tables import CAPTION_RECIPE, caption_row, image_row, picture, write_images

pytestmark = pytest.mark.every_storage


@pytest.fixture
def pictures(workspace):
    return build_art(workspace)


def test_every_picture_has_one_decision_with_its_reason(workspace, pictures):
    outcome = decide(workspace, SOURCE, PARTS, RECIPE)
    decisions = read_decisions(workspace, "emoart", outcome.version)
    assert sorted(decisions["image_id"]) == sorted(pictures)
    assert Counter(decisions["reason"]) == {
        "kept": 8 + 4,
        "low alignment": 2 + 1,
        "low confidence": 3,
        "emotion not collected": 1,
        "not scored": 1,
        "no caption": 1,
    }
    dropped = {pictures[row][1:3] for row in decisions.filter(pl.col("reason") == "low alignment")["image_id"]}
    lowest = {emotion: sorted((similarity_of(n), n) for _, colour, n, *_ in PICTURES if colour == emotion) for emotion in ("awe", "fear")}
    assert dropped == {*(("awe", n) for _, n in lowest["awe"][:2]), ("fear", lowest["fear"][0][1])}
    assert [part.rows for part in outcome.parts] == [len([p for p in PICTURES if p[0] == part]) for part in PARTS]
    assert sum(part.dropped for part in outcome.parts) == len(PICTURES) - 12


def test_parts_mirror_the_image_parts_and_captions_stand_where_they_count(workspace, pictures):
    outcome = decide(workspace, SOURCE, PARTS, RECIPE)
    table = workspace.table("decisions", "emoart", outcome.version)
    assert table.parts() == PARTS
    for part in PARTS:
        assert set(table.read_part(part)["image_id"]) == {image_id for image_id, picture in pictures.items() if picture[0] == part}
    decisions = table.read()
    assert (
        decisions.filter("kept")
        .select(pl.all_horizontal(pl.col("label", "confidence", "caption", "similarity").is_not_null().all()))
        .item()
    )
    assert decisions.filter(pl.col("reason") == "low confidence")["caption"].null_count() == 3  # captioned for another threshold


def test_deciding_again_reuses_and_another_threshold_is_another_version(workspace, pictures):
    first = decide(workspace, SOURCE, PARTS, RECIPE)
    again = decide(workspace, SOURCE, PARTS[::-1], RECIPE)
    assert again.reused
    assert again.version == first.version
    stricter = decide(workspace, SOURCE, PARTS, RECIPE.model_copy(update={"drop_fraction": 0.5}))
    assert stricter.version != first.version
    assert not stricter.reused
    assert read_decisions(workspace, "emoart", stricter.version)["kept"].sum() == 5 + 3
    assert read_decisions(workspace, "emoart", first.version)["kept"].sum() == 12
    record = read_record(workspace, "emoart", stricter.version)
    assert record.recipe.drop_fraction == 0.5
    assert record.parts == tuple(PARTS)


def test_a_lower_confidence_takes_captions_that_lie_there_already(workspace, pictures):
    lower = RECIPE.model_copy(update={"selection": Selection.by_confidence(RECIPE.selection.classifier_id, min_confidence=0.5)})
    reasons = Counter(read_decisions(workspace, "emoart", decide(workspace, SOURCE, PARTS, lower).version)["reason"])
    assert reasons["low confidence"] == 0
    assert reasons["kept"] == 8 + 4 + 3


def test_the_latest_successful_attempt_counts_and_makes_a_new_version(workspace, pictures):
    before = decide(workspace, SOURCE, PARTS, RECIPE)
    best = next(i for i, p in pictures.items() if p[1] == "awe" and similarity_of(p[2]) == pytest.approx(0.19))
    failed = next(i for i, p in pictures.items() if p[1] == "amusement")
    rows = [caption_row(best, "worse now", attempt=2, prior="awe"), caption_row(best, None, attempt=3, prior="awe")]
    add_captions(workspace, pictures[best][0], 1000, rows, [-0.5, 0.0])
    add_captions(workspace, PARTS[1], 2, [caption_row(failed, "a fair", attempt=2, prior="amusement")], [0.3])
    after = decide(workspace, SOURCE, PARTS, RECIPE)
    assert after.version != before.version
    rows = {row["image_id"]: row for row in read_decisions(workspace, "emoart", after.version).iter_rows(named=True)}
    assert (rows[best]["caption"], rows[best]["reason"]) == ("worse now", "low alignment")
    assert (rows[failed]["caption"], rows[failed]["reason"]) == ("a fair", "kept")


def test_more_failed_attempts_change_nothing(workspace, pictures):
    before = decide(workspace, SOURCE, PARTS, RECIPE)
    failed = next(i for i, p in pictures.items() if p[1] == "amusement")
    add_captions(workspace, PARTS[1], 2, [caption_row(failed, None, attempt=2)], [0.0])
    assert decide(workspace, SOURCE, PARTS, RECIPE).version == before.version


def test_caption_for_another_emotion_is_not_used(workspace, pictures):
    captioned = next(i for i, p in pictures.items() if p[1] == "fear")
    bare = next(i for i, p in pictures.items() if p[1] == "amusement")  # its own caption failed
    for sequence, image_id in enumerate((captioned, bare), 2):
        rows = [caption_row(image_id, "how awesome", attempt=2, prior="awe")]
        add_captions(workspace, pictures[image_id][0], sequence, rows, [0.9])
    decisions = read_decisions(workspace, "emoart", decide(workspace, SOURCE, PARTS, RECIPE).version)
    chosen = {row["image_id"]: row for row in decisions.iter_rows(named=True)}
    assert chosen[bare]["reason"] == "caption for another emotion"
    assert chosen[captioned]["caption"].startswith("a picture of fear")


def test_captions_of_other_recipes_are_not_looked_at(workspace, pictures):
    other = RECIPE.model_copy(update={"captions": CaptionPolicy.pinned("caption-ffffffffffff")})
    reasons = Counter(read_decisions(workspace, "emoart", decide(workspace, SOURCE, PARTS, other).version)["reason"])
    assert reasons["no caption"] == 16
    assert reasons["kept"] == 0


def test_a_picture_in_two_parts_counts_once(workspace, pictures):
    twin = "part-00002-cccccccc"
    rows = [image_row("awe", 0), image_row("sadness", 7)]
    write_images(workspace, SOURCE, twin, rows)
    scores = workspace.table("emotion_scores", SOURCE, RECIPE.selection.classifier_id)
    scores_row = scores.read().filter(pl.col("image_id") == rows[0]["image_id"])
    from schemas.tables import EmotionScores

    scores.write_part(twin, scores_row, EmotionScores)
    outcome = decide(workspace, SOURCE, [*PARTS, twin], RECIPE)
    decided = workspace.table("decisions", "emoart", outcome.version).read_part(twin)
    assert dict(decided.select("image_id", "reason").rows()) == {
        rows[0]["image_id"]: "duplicate of an earlier part",
        rows[1]["image_id"]: "not scored",
    }


def test_missing_stages_are_named(workspace, pictures):
    with pytest.raises(FileNotFoundError, match="align the captions"):
        decide(workspace, SOURCE, PARTS, RECIPE.model_copy(update={"encoder_id": "clip-ffffffffffff"}))
    with pytest.raises(FileNotFoundError, match="score source"):
        decide(workspace, SOURCE, PARTS, RECIPE.model_copy(update={"selection": Selection.by_confidence("probe-ffffffffffff")}))
    with pytest.raises(FileNotFoundError, match="no image parts"):
        decide(workspace, SOURCE, [], RECIPE)
    with pytest.raises(FileNotFoundError, match="no decisions emoart-1"):
        read_record(workspace, "emoart", "emoart-1")


def test_labelled_corpus(workspace):
    rows = [*(image_row("awe", n, label="awe") for n in range(4)), image_row("fear", 1), image_row("anger", 1, label="anger")]
    ids = [row["image_id"] for row in rows]
    write_images(workspace, SOURCE, "part-0", rows)
    add_captions(workspace, "part-0", 0, [caption_row(image_id, "x", prior="awe") for image_id in ids[:4]], [0.4, 0.3, 0.2, 0.1])
    recipe = CurationRecipe(
        dataset="emoset",
        selection=Selection(),
        captions=CaptionPolicy.pinned(CAPTION_RECIPE),
        encoder_id=ENCODER,
        drop_fraction=0.25,
    )
    decisions = read_decisions(workspace, "emoset", decide(workspace, SOURCE, ["part-0"], recipe).version)
    reasons = dict(decisions.select("image_id", "reason").rows())
    assert [reasons[image_id] for image_id in ids] == ["kept", "kept", "kept", "low alignment", "no label", "no caption"]
    assert decisions["confidence"].null_count() == 6


def test_funnel_adds_up(workspace, pictures):
    decisions = read_decisions(workspace, "emoart", decide(workspace, SOURCE, PARTS, RECIPE).version)
    images = workspace.table("images", SOURCE).read(["image_id", "style"])
    counts = funnel(decisions, images)
    assert (counts["candidates"], counts["kept"]) == (len(PICTURES), 12)
    remaining = counts["candidates"]
    for step in counts["steps"]:
        remaining -= step["dropped"]
        assert step["remaining"] == remaining
    assert remaining == counts["kept"]
    assert counts["per_emotion"]["awe"] == {"candidates": 10, "kept": 8}
    assert counts["per_emotion"]["excitement"] == {"candidates": 0, "kept": 0}
    assert sum(sum(row.values()) for row in counts["per_style"].values()) == 12
    assert funnel(decisions)["per_style"] == {}


def test_funnel_as_markdown_shows_the_steps_that_dropped_something(workspace, pictures):
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    text = write_funnel(workspace, "emoart", version)
    assert f"`{version}`: 12 of 21 pictures" in text
    assert "| low alignment | 3 | 12 |" in text
    assert "| fear | 5 | 4 |" in text
    assert "no label" not in text


def test_the_current_version_is_the_one_marked_last(workspace, pictures):
    with pytest.raises(FileNotFoundError, match="no curated dataset 'emoart'"):
        resolve_version(workspace, "emoart")
    versions = [decide(workspace, SOURCE, PARTS, RECIPE.model_copy(update={"drop_fraction": share})).version for share in (0.2, 0.4)]
    for version in (*versions, versions[0]):
        mark_current(workspace, "emoart", version)
        assert resolve_version(workspace, "emoart") == version
    with pytest.raises(FileNotFoundError, match="no decisions emoart-9"):
        mark_current(workspace, "emoart", "emoart-9")


def test_the_time_of_its_record_says_when_a_version_was_last_used(tmp_path):
    workspace = Workspace(str(tmp_path))
    build_art(workspace)
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    place = tmp_path / "decisions" / "emoart" / f"{version}.recipe.json"
    said = place.read_bytes()
    for use in (lambda: decide(workspace, SOURCE, PARTS, RECIPE), lambda: use_version(workspace, "emoart", version)):
        os.utime(place, (1, 1))
        use()
        assert place.stat().st_mtime > 1
        assert place.read_bytes() == said
    os.utime(place, (1, 1))
    assert read_record(workspace, "emoart", version) == use_version(workspace, "emoart", version)
    with pytest.raises(FileNotFoundError, match="no decisions emoart-9"):
        use_version(workspace, "emoart", "emoart-9")


def test_histograms_count_every_picture_that_has_a_value(workspace, pictures):
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    decisions = read_decisions(workspace, "emoart", version)
    text = write_funnel(workspace, "emoart", version)
    counts = workspace.read_json("decisions", "emoart", f"{version}.funnel.json")
    for name, column in (("confidence", "confidence"), ("alignment", "similarity")):
        found = counts["histograms"][name]
        assert sum(found["all"]) == decisions[column].drop_nulls().len()
        assert sum(found["kept"]) == 12
        assert found["edges"][0] == pytest.approx(decisions[column].min())
        assert found["edges"][-1] == pytest.approx(decisions[column].max())
        assert f"| {name} | pictures | kept |" in text
    assert counts["per_style"] == funnel(decisions, workspace.table("images", SOURCE).read(["image_id", "style"]))["per_style"]
    assert "| kept, by style | amusement | awe |" in text


@pytest.mark.parametrize("parts", [("part-a", "part-b"), ("part-b", "part-a")])
def test_a_picture_under_two_emotions_has_the_one_whose_path_is_first_however_parts_are_called(workspace, parts):
    first, second = parts
    shared = {**image_row("awe", 0, label="awe"), "image": {"bytes": picture("awe", 0), "path": "awe/x.png"}}
    again = {**shared, "label": "fear", "image": {**shared["image"], "path": "fear/x.png"}}
    write_images(workspace, "photos", first, [shared, image_row("anger", 1, label="anger")])
    write_images(workspace, "photos", second, [again, image_row("anger", 2, label="anger")])
    recipe = CurationRecipe(dataset="photos", selection=Selection(), captions=CaptionPolicy(choose="latest"), encoder_id=ENCODER)
    version = decide(workspace, "photos", sorted(parts), recipe).version
    rows = {part: workspace.table("decisions", "photos", version).read_part(part) for part in parts}
    reasons = {part: dict(found.select("image_id", "reason").iter_rows())[shared["image_id"]] for part, found in rows.items()}
    assert reasons == {first: "no caption", second: "duplicate of an earlier part"}


@pytest.mark.parametrize(
    ("prior", "emotions", "is_rejected"),
    [("awe", ("awe", "awe"), True), (None, ("awe", "fear"), True), ("awe", ("fear", "fear"), False), ("awe", ("awe", "fear"), False)],
)
def test_a_verdict_counts_for_the_caption_that_answers_to_its_emotion(workspace, pictures, prior, emotions, is_rejected):
    """Of two captions for awe, both rejected as captions for these emotions; so is the failed one of another picture."""
    image_id, (part, *_) = next((name, picture) for name, picture in pictures.items() if picture[3] == "awe")
    failed = next(name for name, picture in pictures.items() if picture[1] == "amusement")
    add_captions(workspace, part, 7, [caption_row(image_id, "again", attempt=2, prior=prior)], [0.9])
    review = {"recipe_id": CAPTION_RECIPE, "audit_id": "audit-0123456789ab", "exported_at": "2026-01-01T00:00:00.000Z"}
    review |= {"verdict": "reject", "caption": None, "note": None, "reviewer": None}
    keys = [(name, attempt, emotion) for name in (image_id, failed) for attempt, emotion in enumerate(emotions, 1)]
    rows = [review | dict(zip(("image_id", "attempt", "emotion"), key, strict=True)) for key in keys]
    workspace.table("caption_reviews", "elsewhere").write_part("audit-0123456789ab.0", pl.DataFrame(rows), CaptionReviews)
    decisions = read_decisions(workspace, "emoart", decide(workspace, SOURCE, PARTS, RECIPE).version)
    assert decisions.filter(reason=REJECTED_CAPTION)["image_id"].to_list() == [image_id] * is_rejected
    assert decisions.filter(image_id=failed)["reason"].to_list() == ["no caption"]


@pytest.mark.parametrize(("text", "number", "is_rejected"), [("judged", 5, True), ("another", 2, False)])
def test_a_verdict_counts_for_the_text_that_was_judged_whatever_its_number(workspace, pictures, text, number, is_rejected):
    image_id, (part, *_) = next((name, picture) for name, picture in pictures.items() if picture[3] == "awe")
    add_captions(workspace, part, 7, [caption_row(image_id, text, attempt=2, prior="awe")], [0.9])
    review = {"image_id": image_id, "recipe_id": CAPTION_RECIPE, "audit_id": "audit-0123456789ab", "emotion": "awe", "verdict": "reject"}
    review |= {"note": None, "reviewer": None, "exported_at": "2026-01-01T00:00:00.000Z"}
    _, colour, first, *_ = pictures[image_id]
    rows = [review | {"attempt": 1, "caption": f"a picture of {colour} {first}"}, review | {"attempt": number, "caption": "judged"}]
    workspace.table("caption_reviews", "elsewhere").write_part("audit-0123456789ab.0", pl.DataFrame(rows), CaptionReviews)
    decisions = read_decisions(workspace, "emoart", decide(workspace, SOURCE, PARTS, RECIPE).version)
    assert decisions.filter(reason=REJECTED_CAPTION)["image_id"].to_list() == [image_id] * is_rejected
