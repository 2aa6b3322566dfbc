import json

import numpy as np
import polars as pl
import pytest

from coemogen_core.classifier.classifier_store import load_probe, read_classifier_card, score_part
from coemogen_core.classifier.emotion_probe import ProbeRecipe
from coemogen_core.classifier.probe_training import classifier_id, labelled_pictures, train_classifier
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Images
from tests.coemogen_core.curation.small_tables import image_row, labelled_photos, write_images

PARTS = ["part-00000-aa", "part-00001-bb"]
pytestmark = pytest.mark.every_storage
RECIPE = ProbeRecipe(strengths=(0.001, 0.1), min_held_out_rows=8)


@pytest.fixture
def encoder(tiny_clip):
    return EncoderRecipe(model=str(tiny_clip), device="cpu")


@pytest.fixture
def workspace(workspace, encoder):
    """Two parts of embedded photos, one of each without a label."""
    for number, part in enumerate(PARTS):
        write_images(workspace, "photos", part, [*labelled_photos(10, 10 * number), image_row("awe", 90 + number)])
        embed_part(workspace, "photos", part, encoder)
    return workspace


def test_classifier_is_trained_kept_and_reused(workspace, encoder):
    trained = train_classifier(workspace, "photos", PARTS, encoder.encoder_id, RECIPE)
    card = trained.card
    assert not trained.reused
    assert (card.train_rows, card.val.rows, card.test.rows) == (96, 32, 32)
    assert card.test.accuracy > 0.9
    assert np.array(card.test.confusion).sum() == 32
    assert card.emotions == EMOTIONS
    again = train_classifier(workspace, "photos", PARTS[::-1], encoder.encoder_id, RECIPE)
    assert again.reused
    assert again.card == card == read_classifier_card(workspace, card.classifier_id)
    assert card.classifier_id == classifier_id(labelled_pictures(workspace, "photos", PARTS), encoder.encoder_id, RECIPE)


def test_the_id_hashes_pictures_encoder_and_settings(workspace, encoder):
    labelled = labelled_pictures(workspace, "photos", PARTS)
    base = classifier_id(labelled, "clip-1", RECIPE)
    assert base == classifier_id(labelled.sample(fraction=1.0, shuffle=True, seed=1), "clip-1", RECIPE)
    others = [
        classifier_id(labelled_pictures(workspace, "photos", PARTS[:1]), "clip-1", RECIPE),
        classifier_id(labelled.with_columns(split=pl.lit("train")), "clip-1", RECIPE),
        classifier_id(labelled.with_columns(label=pl.lit("awe")), "clip-1", RECIPE),
        classifier_id(labelled, "clip-2", RECIPE),
        classifier_id(labelled, "clip-1", ProbeRecipe(seed=1)),
    ]
    assert len({base, *others}) == 6


def test_the_same_pictures_in_other_parts_of_another_source_are_the_same_classifier(workspace, encoder):
    trained = train_classifier(workspace, "photos", PARTS, encoder.encoder_id, RECIPE)
    rows = workspace.table("images", "photos").read(parts=PARTS)
    workspace.table("images", "renamed").write_part("whole", rows.sort("image_id"), Images)
    embed_part(workspace, "renamed", "whole", encoder)
    again = train_classifier(workspace, "renamed", ["whole"], encoder.encoder_id, RECIPE)
    assert again.reused
    assert again.card == trained.card


def test_training_again_elsewhere_gives_the_same_bytes(tmp_path, encoder):
    files = []
    for name in ("a", "b"):
        workspace = Workspace(str(tmp_path / name))
        write_images(workspace, "photos", PARTS[0], labelled_photos(10))
        embed_part(workspace, "photos", PARTS[0], encoder)
        card = train_classifier(workspace, "photos", PARTS[:1], encoder.encoder_id, RECIPE).card
        files.append([workspace.read_file("classifiers", card.classifier_id, file) for file in ("probe.safetensors", "classifier.json")])
    assert files[0] == files[1]


def test_a_classifier_killed_before_its_card_is_trained_again(workspace, encoder):
    name = classifier_id(labelled_pictures(workspace, "photos", PARTS), encoder.encoder_id, RECIPE)
    workspace.write_file(b"half", "classifiers", name, "probe.safetensors")
    assert not train_classifier(workspace, "photos", PARTS, encoder.encoder_id, RECIPE).reused


def test_scores_are_the_probes_predictions(workspace, encoder):
    name = train_classifier(workspace, "photos", PARTS, encoder.encoder_id, RECIPE).card.classifier_id
    outcome = score_part(workspace, "photos", PARTS[0], encoder.encoder_id, name)
    assert (outcome.rows, outcome.reused) == (81, False)
    scores = workspace.table("emotion_scores", "photos", name).read_part(PARTS[0])
    embeddings = workspace.table("embeddings", "photos", encoder.encoder_id).read_part(PARTS[0])
    expected = load_probe(workspace, name).predict(embeddings["embedding"].to_numpy())
    assert np.array_equal(scores["probabilities"].to_numpy(), expected)
    assert scores["label"].to_list() == [EMOTIONS[index] for index in expected.argmax(axis=1)]
    assert np.array_equal(scores["confidence"].to_numpy(), expected.max(axis=1))
    assert score_part(workspace, "photos", PARTS[0], encoder.encoder_id, name).reused
    labels = workspace.table("images", "photos").read_part(PARTS[0], ["image_id", "label"]).rename({"label": "truth"})
    assert (
        scores.join(labels, on="image_id").filter(pl.col("truth").is_not_null()).select((pl.col("label") == pl.col("truth")).mean()).item()
        > 0.9
    )


def test_an_empty_part_gets_empty_scores(workspace, encoder):
    name = train_classifier(workspace, "photos", PARTS, encoder.encoder_id, RECIPE).card.classifier_id
    write_images(workspace, "art", "part-00000-cc", [])
    embed_part(workspace, "art", "part-00000-cc", encoder)
    assert score_part(workspace, "art", "part-00000-cc", encoder.encoder_id, name).rows == 0


def test_errors_name_the_missing_stage(workspace, encoder):
    with pytest.raises(FileNotFoundError, match="no classifier probe-1"):
        score_part(workspace, "photos", PARTS[0], encoder.encoder_id, "probe-1")
    with pytest.raises(FileNotFoundError, match="ingest source 'photos' first"):
        train_classifier(workspace, "photos", [*PARTS, "part-00002-dd"], encoder.encoder_id, RECIPE)
    name = train_classifier(workspace, "photos", PARTS, encoder.encoder_id, RECIPE).card.classifier_id
    with pytest.raises(ValueError, match="reads embeddings of"):
        score_part(workspace, "photos", PARTS[0], "clip-other", name)
    with pytest.raises(FileNotFoundError, match="embed source 'art' first"):
        score_part(workspace, "art", PARTS[0], encoder.encoder_id, name)


def test_absent_emotions_and_unlabelled_sources(workspace, encoder):
    write_images(workspace, "some", "part-00000-cc", labelled_photos(10, emotions=EMOTIONS[:6]))
    write_images(workspace, "art", "part-00000-cc", [image_row("awe", 1)])
    for source in ("some", "art"):
        embed_part(workspace, source, "part-00000-cc", encoder)
    with pytest.raises(ValueError, match="fear, sadness"):
        train_classifier(workspace, "some", ["part-00000-cc"], encoder.encoder_id, RECIPE)
    with pytest.raises(ValueError, match="'art' has no labelled image"):
        train_classifier(workspace, "art", ["part-00000-cc"], encoder.encoder_id, RECIPE)
    lenient = RECIPE.model_copy(update={"require_all_emotions": False})
    name = train_classifier(workspace, "some", ["part-00000-cc"], encoder.encoder_id, lenient).card.classifier_id
    score_part(workspace, "photos", PARTS[0], encoder.encoder_id, name)
    probabilities = workspace.table("emotion_scores", "photos", name).read_part(PARTS[0])["probabilities"].to_numpy()
    assert (probabilities[:, 6:] == 0).all()
    json.dumps(workspace.read_json("classifiers", name, "classifier.json"), allow_nan=False)
