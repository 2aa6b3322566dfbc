import numpy as np
import polars as pl
import pytest

from coemogen_core.classifier.classifier_report import styles_markdown
from coemogen_core.classifier.classifier_store import score_rows
from coemogen_core.classifier.style_audit import NO_STYLE, audit_styles, zero_shot_labels
from coemogen_core.emotions import EMOTIONS, polarity_of
from coemogen_core.encoders.clip_encoder import ClipEncoder, EncoderRecipe, load_encoder
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.storage.workspace import Workspace
from schemas.tables import EmotionScores
from tests.coemogen_core.curation.small_tables import image_row, write_images

PARTS = ["part-00000-aa", "part-00001-bb"]
STYLES = ["Cubism", "Rococo", None]


@pytest.fixture
def art(tmp_path, tiny_clip):
    workspace, encoder = Workspace(str(tmp_path)), EncoderRecipe(model=str(tiny_clip), device="cpu")
    generator = np.random.default_rng(0)
    for first, part in zip((0, 20), PARTS, strict=True):
        rows = [image_row(EMOTIONS[n % 8], n, style=STYLES[n % 3]) for n in range(first, first + 20)]
        images = write_images(workspace, "art", part, rows)
        embed_part(workspace, "art", part, encoder)
        probabilities = generator.dirichlet(np.full(8, 0.3), 19).astype(np.float32)  # one picture is not scored
        workspace.table("emotion_scores", "art", "probe-1").write_part(
            part, score_rows(images["image_id"][:19], probabilities), EmotionScores
        )
    return workspace, encoder


def expected(workspace, encoder):
    texts = load_encoder(encoder).encode_texts([f"an image that evokes {emotion}" for emotion in EMOTIONS])
    images = workspace.table("images", "art").read(["image_id", "style"])
    vectors = workspace.table("embeddings", "art", encoder.encoder_id).read()
    nearest = [EMOTIONS[int(np.argmax(texts @ vector))] for vector in vectors["embedding"].to_numpy().astype(np.float32)]
    seen = vectors.select("image_id").with_columns(seen=pl.Series(nearest))
    return workspace.table("emotion_scores", "art", "probe-1").read().join(images, on="image_id").join(seen, on="image_id")


def test_every_style_is_counted_over_all_parts(art):
    workspace, encoder = art
    audit = audit_styles(workspace, "emoart", "art", PARTS, "probe-1", encoder, 0.6).report
    rows = expected(workspace, encoder).with_columns(pl.col("style").fill_null(NO_STYLE)).to_dicts()
    assert audit.overall.pictures == 38
    assert [row.pictures for row in audit.styles] == sorted((row.pictures for row in audit.styles), reverse=True)
    for found in [audit.overall, *audit.styles]:
        mine = [row for row in rows if found.style in ("all", row["style"])]
        above = [row for row in mine if row["confidence"] > 0.6]
        assert found.pictures == len(mine)
        assert found.mean_confidence == pytest.approx(np.mean([row["confidence"] for row in mine]), abs=1e-5)
        assert found.share_above == pytest.approx(len(above) / len(mine))
        assert found.disagreement == pytest.approx(np.mean([row["label"] != row["seen"] for row in mine]))
        assert found.polarity_disagreement == pytest.approx(
            np.mean([polarity_of(row["label"]) != polarity_of(row["seen"]) for row in mine])
        )
        assert found.disagreement_above == pytest.approx(np.mean([row["label"] != row["seen"] for row in above]))
    assert {row.style for row in audit.styles} == {"Cubism", "Rococo", NO_STYLE}


def test_the_answer_is_kept_and_keyed_by_its_question(art):
    workspace, encoder = art
    first = audit_styles(workspace, "emoart", "art", PARTS, "probe-1", encoder, 0.6)
    audit = first.report
    assert not first.reused
    assert workspace.read_json("reports", "emoart", f"{audit.audit_id}.json") == audit.model_dump(mode="json")
    again = audit_styles(workspace, "emoart", "art", PARTS[::-1], "probe-1", encoder, 0.6)
    assert again.reused
    assert again.report == audit
    assert audit_styles(workspace, "emoart", "art", PARTS, "probe-1", encoder, 0.9).report.audit_id != audit.audit_id
    table = styles_markdown(audit)
    assert table.count("\n| ") == 5  # head, all, three styles
    assert f"| Cubism | {next(row.pictures for row in audit.styles if row.style == 'Cubism')} |" in table


def test_nothing_scored_gives_an_empty_audit(tmp_path, tiny_clip):
    workspace, encoder = Workspace(str(tmp_path)), EncoderRecipe(model=str(tiny_clip), device="cpu")
    write_images(workspace, "art", PARTS[0], [])
    embed_part(workspace, "art", PARTS[0], encoder)
    empty = score_rows(pl.Series("image_id", [], dtype=pl.String), np.empty((0, 8), np.float32))
    workspace.table("emotion_scores", "art", "probe-1").write_part(PARTS[0], empty, EmotionScores)
    audit = audit_styles(workspace, "emoart", "art", PARTS[:1], "probe-1", encoder, 0.75).report
    assert (audit.overall, audit.styles) == (None, [])
    assert "pictures" in styles_markdown(audit)


def test_zero_shot_takes_the_nearest_text():
    texts = np.eye(8, 12, dtype=np.float32)
    assert zero_shot_labels(texts[[3, 0]].astype(np.float16) * 5, texts) == ["excitement", "amusement"]


def test_the_slot_is_held_to_encode_the_texts_alone(art, slot, monkeypatch):
    workspace, encoder = art
    monkeypatch.setattr(ClipEncoder, "encode_texts", slot.watch(ClipEncoder.encode_texts))
    for reused in (False, True):
        assert audit_styles(workspace, "emoart", "art", PARTS, "probe-1", encoder, 0.6, slot=slot).reused is reused
    assert (slot.seen, slot.entered) == ([True], 1)
