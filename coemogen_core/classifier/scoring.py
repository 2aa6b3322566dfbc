"""Emotion scores: the classifier's calibrated probabilities for every embedded picture of a part."""

import time

import numpy as np
import polars as pl

from coemogen_core.classifier.classifier_store import load_probe, read_classifier_card
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import EmotionScores


def score_part(workspace: Workspace, source: str, part: str, encoder_id: str, classifier_id: str) -> PartOutcome:
    """Score `embeddings/<source>/<encoder_id>/<part>` into `emotion_scores/<source>/<classifier_id>/<part>`.

    Raises:
        FileNotFoundError: the classifier or the embeddings do not exist.
        ValueError: the classifier was trained on another encoder's embeddings.
    """
    started = time.perf_counter()
    scores = workspace.table("emotion_scores", source, classifier_id)
    reused = scores.has_part(part)
    if not reused:
        card = read_classifier_card(workspace, classifier_id)
        if card.encoder_id != encoder_id:
            raise ValueError(
                f"classifier {classifier_id} reads embeddings of {card.encoder_id}, not of {encoder_id}: embed with that encoder"
            )
        embeddings = workspace.table("embeddings", source, encoder_id)
        if not embeddings.has_part(part):
            raise FileNotFoundError(f"no part {part} in {embeddings.uri}: embed source {source!r} first")
        rows = embeddings.read_part(part)
        probabilities = load_probe(workspace, classifier_id).predict(rows["embedding"].to_numpy())
        scores.write_part(part, score_rows(rows["image_id"], probabilities), EmotionScores)
    return PartOutcome(part=part, rows=scores.count([part]), reused=reused, seconds=time.perf_counter() - started)


def score_rows(image_ids: pl.Series, probabilities: np.ndarray) -> pl.DataFrame:
    """Rows of the scores table of pictures with these probabilities, float32 [n, 8]."""
    return pl.DataFrame(
        {
            "image_id": image_ids,
            "probabilities": pl.Series(probabilities),
            "label": pl.Series([EMOTIONS[index] for index in probabilities.argmax(axis=1)], dtype=pl.String),
            "confidence": probabilities.max(axis=1),
        }
    )
