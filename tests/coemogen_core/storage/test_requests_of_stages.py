"""What a part costs in an object store, whatever is in it."""

import hashlib
import uuid

import numpy as np
import polars as pl

from benchmarks.counting_storage import counted_requests
from coemogen_core.classifier.classifier_store import PublishedHeadCard, save_classifier, score_part
from coemogen_core.classifier.emotion_probe import EmotionProbe
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import read_record
from coemogen_core.emotions import EMOTIONS
from coemogen_core.publication.publication import publish_part
from coemogen_core.storage.workspace import Workspace
from schemas.tables import embeddings_schema
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE, build_art

BAR = 6


def test_a_part_of_scores() -> None:
    workspace = Workspace(f"memory://{uuid.uuid4().hex}")
    card = PublishedHeadCard(
        classifier_id="head", encoder_id="clip", emotions=EMOTIONS, temperature=1.0, origin="emogen", sha256=hashlib.sha256().hexdigest()
    )
    save_classifier(workspace, EmotionProbe((np.ones((8, 4), np.float32),), (np.zeros(8, np.float32),), 1.0), card)
    rows = {"image_id": [hashlib.sha256(b"").hexdigest()], "embedding": pl.Series([[0.5] * 4], dtype=pl.Array(pl.Float16(), 4))}
    workspace.table("embeddings", "photos", "clip").write_part("part-00000", pl.DataFrame(rows), embeddings_schema(4))
    with counted_requests() as counted:
        assert not score_part(workspace, "photos", "part-00000", "clip", "head").reused
        assert 0 < counted.total() <= BAR
        counted.clear()
        assert score_part(workspace, "photos", "part-00000", "clip", "head").reused
        assert 0 < counted.total() <= BAR


def test_a_published_part() -> None:
    workspace = Workspace(f"memory://{uuid.uuid4().hex}")
    build_art(workspace)
    record = read_record(workspace, RECIPE.dataset, decide(workspace, SOURCE, PARTS, RECIPE).version)
    with counted_requests() as counted:
        assert not publish_part(workspace, record, PARTS[0]).reused
        assert 0 < counted.total() <= BAR
        counted.clear()
        assert publish_part(workspace, record, PARTS[0]).reused
        assert 0 < counted.total() <= BAR
