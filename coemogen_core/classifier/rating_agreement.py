"""How far the emotion classifier agrees with what people felt: rank correlations with human ratings, with bootstrap intervals."""

import numpy as np
import polars as pl
import scipy
from pydantic import Field

from coemogen_core.classifier.cross_validation import out_of_fold_predictions
from coemogen_core.classifier.human_ratings import Ratings, RatingsKind, ratings_of_images, read_ratings
from coemogen_core.data.part_plan import current_parts
from coemogen_core.emotions import EMOTIONS, POSITIVE
from coemogen_core.recipe import recipe_id
from coemogen_core.statistics.bootstrap import percentile_interval
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel
from schemas.metrics import Interval

LEVEL = 0.95
RESAMPLES = 2000
SEED = 0
NUMBERS_AT_ONCE = 2**20  # of one batch of resamples
MINIMUM_PICTURES = 10
REPORTS = "reports"


class RankCorrelation(FrozenModel):
    """Spearman's rank correlation of a classifier's score with a human rating."""

    pictures: int = Field(ge=0, description="pictures that have both")
    spearman: float | None = Field(description="-1 to 1; null with fewer than ten pictures, or where either does not vary")
    interval: Interval | None = Field(description="central 95 % of a percentile bootstrap over pictures")


class RatingAgreement(FrozenModel):
    """Agreement of one classifier with one ratings file."""

    agreement_id: str = Field(description="recipe id of ratings, source, its rated pictures, predictions and statistics")
    kind: RatingsKind = Field(description="whose ratings")
    ratings_sha256: str = Field(description="of the ratings file")
    source: str = Field(description="source of the pictures")
    predictions: str = Field(
        description="cross-validation whose out-of-fold predictions were compared, or the classifier that scored the source"
    )
    rated: int = Field(ge=0, description="usable rows of the ratings file")
    valence: RankCorrelation = Field(description="probability of the positive minus the negative emotions, against human valence")
    emotions: dict[str, RankCorrelation] = Field(
        description="probability of an emotion against people's intensity ratings, where there are any"
    )
    rejected: list[tuple[int, str]] = Field(description="line and reason of the rows of the ratings file that could not be used")


def compare_with_ratings(
    workspace: Workspace, dataset: str, source: str, kind: RatingsKind, file: str, classifier_id: str, validation_id: str | None = None
) -> RatingAgreement:
    """Compare a classifier that has scored the source with a ratings file, a path or URI; see `measure_agreement`.

    Holds the scores of rated pictures and of one part.

    Args:
        validation_id: a cross-validation whose out-of-fold predictions are taken instead: for pictures that the classifier learnt from.

    Raises:
        FileNotFoundError: no such file, or the source was not ingested, scored or cross-validated.
        ValueError: the file holds no such ratings.
    """
    ratings = read_ratings(kind, file)
    if validation_id is not None:
        return measure_agreement(workspace, dataset, source, ratings, out_of_fold_predictions(workspace, validation_id), validation_id)
    rated = ratings_of_images(workspace, source, ratings).select("image_id")
    table = workspace.table("emotion_scores", source, classifier_id)
    columns, remedy = ["image_id", "probabilities"], f"score the source {source!r} first"
    scored = (table.read_part(part, columns, remedy=remedy) for part in current_parts(workspace, source))
    scores = pl.concat([rows.join(rated, on="image_id", how="semi") for rows in scored])
    distinct = scores.unique("image_id", keep="first", maintain_order=True)
    return measure_agreement(workspace, dataset, source, ratings, distinct, classifier_id)


def measure_agreement(
    workspace: Workspace, dataset: str, source: str, ratings: Ratings, predictions: pl.DataFrame, name: str
) -> RatingAgreement:
    """Compare predictions with ratings, and keep the answer: `reports/<dataset>/<agreement_id>.json`.

    Args:
        predictions: rows of the scores table, each picture once. For pictures that the classifier learnt from, those of a cross-validation.
        name: id of the predictions.

    Raises:
        FileNotFoundError: the source was not ingested.
    """
    rows = ratings_of_images(workspace, source, ratings).join(predictions, on="image_id").sort("image_id")
    probabilities = rows["probabilities"].to_numpy().reshape(-1, len(EMOTIONS))
    asked = [emotion for emotion in EMOTIONS if rows.height and rows[emotion].null_count() < rows.height]
    of = {"ratings": ratings.sha256, "source": source, "pictures": rows["image_id"].to_list(), "predictions": name}
    agreement = RatingAgreement(
        agreement_id=recipe_id(f"agreement-{ratings.kind}", {**of, "statistics": [LEVEL, RESAMPLES, SEED]}),
        kind=ratings.kind,
        ratings_sha256=ratings.sha256,
        source=source,
        predictions=name,
        rated=ratings.rows.height,
        valence=rank_correlation(polarity_score(probabilities), rows["valence"].to_numpy()),
        emotions={emotion: rank_correlation(probabilities[:, EMOTIONS.index(emotion)], rows[emotion].to_numpy()) for emotion in asked},
        rejected=list(ratings.rejected),
    )
    workspace.write_json(agreement.model_dump(mode="json"), REPORTS, dataset, f"{agreement.agreement_id}.json")
    return agreement


def polarity_score(probabilities: np.ndarray) -> np.ndarray:
    """Probability of the four positive minus that of the four negative emotions, float64 [n] in [-1, 1], of probabilities [n, 8]."""
    sums = probabilities.astype(np.float64)
    return sums[:, : len(POSITIVE)].sum(axis=1) - sums[:, len(POSITIVE) :].sum(axis=1)


def rank_correlation(scores: np.ndarray, ratings: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> RankCorrelation:
    """Spearman's correlation of two [n] arrays (mean ranks for ties) with its bootstrap interval; memory does not grow with `resamples`."""
    pictures = len(scores)
    if pictures < MINIMUM_PICTURES or np.ptp(scores) == 0 or np.ptp(ratings) == 0:
        return RankCorrelation(pictures=pictures, spearman=None, interval=None)
    generator = np.random.default_rng(seed)
    resampled = np.empty(resamples)
    at_once = max(1, NUMBERS_AT_ONCE // pictures)
    for first in range(0, resamples, at_once):
        drawn = generator.integers(0, pictures, (min(at_once, resamples - first), pictures))
        resampled[first : first + len(drawn)] = _spearman(scores[drawn], ratings[drawn])
    value = float(_spearman(scores[None], ratings[None])[0])
    return RankCorrelation(pictures=pictures, spearman=value, interval=percentile_interval(resampled, LEVEL))


def _spearman(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Row-wise Spearman of two [r, n] arrays; NaN where a row does not vary."""
    ranked = scipy.stats.rankdata(left, axis=1), scipy.stats.rankdata(right, axis=1)
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in ranked)
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), spread, out=np.full(len(a), np.nan), where=spread > 0)
