import polars as pl
import pytest

from coemogen_core.captioning.recaption.candidates import Found, RecaptionReasons, find_candidates
from coemogen_core.captioning.recipe import CaptionRecipe
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import read_record
from coemogen_core.storage.workspace import Workspace
from schemas.tables import CaptionReviews
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE, add_captions, build_art
from tests.coemogen_core.curation.small_tables import CAPTION_RECIPE, caption_row, write_captions

NEW = "caption-ffffffffffff"
SAMPLED = CaptionRecipe(model="m", temperature=0.7)
GREEDY = CaptionRecipe(model="m")
NOTHING = RecaptionReasons(rejected=False, failed=False, linted=False, lowest_alignment=0.0)


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    build_art(workspace)
    return workspace


def find(workspace: Workspace, reasons: RecaptionReasons, recipe: CaptionRecipe = SAMPLED, max_images: int | None = None) -> Found:
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    return find_candidates(workspace, read_record(workspace, "emoart", version), recipe, NEW, reasons, max_tries=2, max_images=max_images)


def named(workspace: Workspace, reasons: RecaptionReasons, **changed) -> pl.DataFrame:
    return find(workspace, reasons, **changed).candidates


def only(**reasons) -> RecaptionReasons:
    return NOTHING.model_copy(update=reasons)


def captioned(workspace: Workspace) -> list[str]:
    """Wanted pictures with a caption, the least aligned first."""
    return named(workspace, only(older_recipe=True))["image_id"].to_list()


def test_without_reasons_nothing_is_chosen(workspace):
    assert named(workspace, NOTHING).is_empty()


def test_a_picture_without_a_caption_failed_or_was_linted(workspace):
    failed = named(workspace, only(failed=True))
    assert failed["reason"].unique().to_list() == ["failed"]
    assert failed["caption"].null_count() == failed.height > 0
    image_id = failed["image_id"][0]
    row = caption_row(image_id, None, attempt=2) | {"error": "rejected: refusal ('I am sorry')"}
    add_captions(workspace, failed["part"][0], 7, [row], [0.0])
    assert image_id not in named(workspace, only(failed=True))["image_id"]
    assert named(workspace, only(linted=True)).filter(image_id=image_id)["reason"].to_list() == ["linted"]


def test_a_caption_that_the_encoder_cut_is_linted(workspace):
    image_id = captioned(workspace)[0]
    version = decide(workspace, SOURCE, PARTS, RECIPE)
    part = next(row["part"] for row in named(workspace, only(older_recipe=True)).iter_rows(named=True) if row["image_id"] == image_id)
    alignment = workspace.table("alignment", SOURCE, RECIPE.encoder_id)
    for chunk in alignment.parts(within=part):
        rows = alignment.read_part(chunk)
        cut = pl.when(pl.col("image_id") == image_id).then(pl.lit(5, pl.Int32)).otherwise("cut_tokens")
        from schemas.tables import Alignment

        alignment.write_part(chunk, rows.with_columns(cut_tokens=cut), Alignment)
    assert version.version
    assert named(workspace, only(linted=True))["image_id"].to_list() == [image_id]


def test_the_lowest_share_of_each_emotion_is_chosen_weakest_first(workspace):
    chosen = named(workspace, only(lowest_alignment=0.5))
    assert chosen["similarity"].is_sorted()
    everything = named(workspace, only(older_recipe=True))
    for (emotion,), rows in everything.group_by("emotion"):
        mine = chosen.filter(emotion=emotion)
        assert mine.height == rows.height // 2
        if mine.height:
            assert mine["similarity"].max() <= rows.join(mine, on="image_id", how="anti")["similarity"].min()


def test_a_list_is_read_and_a_bad_line_is_named(workspace, tmp_path):
    wanted = captioned(workspace)[:2]
    (tmp_path / "list.txt").write_text("\n".join([*wanted, "", "0" * 64]) + "\n")
    assert sorted(named(workspace, only(list_uri=str(tmp_path / "list.txt")))["image_id"]) == sorted(wanted)
    (tmp_path / "list.txt").write_text(f"{wanted[0]}\nawe_00001.jpg\n")
    with pytest.raises(ValueError, match=r"line 2: 'awe_00001\.jpg' is no image id"):
        named(workspace, only(list_uri=str(tmp_path / "list.txt")))


def test_what_a_person_rejected_comes_first_and_has_no_caption_any_more(workspace):
    image_id = captioned(workspace)[-1]
    review = {"image_id": image_id, "recipe_id": CAPTION_RECIPE, "attempt": 1, "audit_id": "audit-0123456789ab", "emotion": "awe"}
    review |= {"caption": None, "verdict": "reject", "note": None, "reviewer": None, "exported_at": "2026-01-01T00:00:00.000Z"}
    workspace.table("caption_reviews", SOURCE).write_part("audit-0.0", pl.DataFrame([review]), CaptionReviews)
    chosen = named(workspace, RecaptionReasons(lowest_alignment=0.5))
    assert chosen.row(0, named=True)["reason"] == "rejected by a person"
    assert chosen.row(0, named=True)["image_id"] == image_id
    assert chosen["caption"][0] is None


def test_the_budget_takes_the_most_urgent_and_counts_the_rest(workspace):
    whole = find(workspace, RecaptionReasons(lowest_alignment=0.5))
    found = find(workspace, RecaptionReasons(lowest_alignment=0.5), max_images=2)
    assert found.candidates.equals(whole.candidates.head(2))
    assert found.over_budget == whole.candidates.height - 2


def test_what_this_recipe_was_asked_often_enough_is_left_alone(workspace):
    first = named(workspace, only(older_recipe=True)).row(0, named=True)
    for attempt in (1, 2):
        row = caption_row(first["image_id"], "again", attempt=attempt, recipe=NEW, prior=first["emotion"])
        write_captions(workspace, SOURCE, first["part"], attempt, [row], recipe=NEW)
        found = find(workspace, only(older_recipe=True))
        again = found.candidates.filter(image_id=first["image_id"])
        if attempt == 1:
            assert again["after_attempt"].to_list() == [1]
            greedy = find(workspace, only(older_recipe=True), recipe=GREEDY)  # it would say the same again
            assert first["image_id"] not in greedy.candidates["image_id"]
    assert again.is_empty()
    assert found.exhausted == 1


def test_a_verdict_on_a_caption_for_another_emotion_is_no_reason(workspace):
    image_id = captioned(workspace)[-1]
    before = named(workspace, RecaptionReasons(lowest_alignment=0.5))
    failed = named(workspace, only(failed=True))["image_id"][0]
    for number, name in enumerate((image_id, failed)):
        review = {"image_id": name, "recipe_id": CAPTION_RECIPE, "attempt": 1, "audit_id": "audit-0123456789ab"}
        review |= {
            "emotion": "excitement",
            "caption": None,
            "verdict": "reject",
            "note": None,
            "reviewer": None,
            "exported_at": "2026-01-01T00:00:00.000Z",
        }
        workspace.table("caption_reviews", SOURCE).write_part(f"audit-0.{number}", pl.DataFrame([review]), CaptionReviews)
    assert named(workspace, RecaptionReasons(lowest_alignment=0.5)).equals(before)
