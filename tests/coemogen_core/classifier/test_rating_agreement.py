import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from coemogen_core.classifier.classifier_report import agreement_markdown
from coemogen_core.classifier.classifier_store import score_rows
from coemogen_core.classifier.human_ratings import RATINGS_SCHEMA, Ratings
from coemogen_core.classifier.rating_agreement import compare_with_ratings, measure_agreement, polarity_score, rank_correlation
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.tables import EmotionScores
from tests.coemogen_core.curation.small_tables import image_row, write_images


def test_the_correlation_is_scipys_and_its_interval_holds_it():
    generator = np.random.default_rng(0)
    ratings = generator.integers(1, 8, 150).astype(float)  # with ties
    scores = ratings + generator.normal(0, 3, 150)
    found = rank_correlation(scores, ratings)
    assert found.spearman == pytest.approx(spearmanr(scores, ratings).statistic)
    assert found.interval.low < found.spearman < found.interval.high
    assert 0.1 < found.interval.high - found.interval.low < 0.4
    assert rank_correlation(scores, ratings) == found


def test_the_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        a, b = generator.normal(size=(2, 60))
        interval = rank_correlation(a, b, resamples=200).interval
        covered += interval.low <= 0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


@pytest.mark.parametrize(
    ("scores", "ratings"), [(np.arange(9.0), np.arange(9.0)), (np.zeros(20), np.arange(20.0)), (np.empty(0), np.empty(0))]
)
def test_too_little_to_correlate_is_said_so(scores, ratings):
    found = rank_correlation(scores, ratings)
    assert (found.pictures, found.spearman, found.interval) == (len(scores), None, None)


def test_polarity_is_the_positive_four_minus_the_negative_four():
    assert polarity_score(np.eye(8, dtype=np.float32)).tolist() == [1, 1, 1, 1, -1, -1, -1, -1]


def test_agreement_is_measured_on_the_pictures_that_have_both(tmp_path):
    workspace = Workspace(str(tmp_path))
    rows = []
    for number in range(24):
        row = image_row(EMOTIONS[number % 8], number)
        row["image"] = {**row["image"], "path": f"Style/painter_{number}.png"}
        rows.append(row)
    write_images(workspace, "art", "part-00000-aa", rows)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(8), 20).astype(np.float32)
    predictions = score_rows(pl.Series("image_id", [str(row["image_id"]) for row in rows[:20]]), probabilities)
    valence = np.random.default_rng(1).normal(size=30)
    frame = pl.DataFrame(
        [
            {"name": f"painter_{number}", "valence": value, **dict.fromkeys(EMOTIONS), "fear": float(number)}
            for number, value in enumerate(valence)
        ],
        schema=RATINGS_SCHEMA,
    )
    ratings = Ratings("wikiart-emotions", "0" * 64, frame, ((7, "no number"),))
    report = measure_agreement(workspace, "emoart", "art", ratings, predictions, "probe-1")
    assert report.valence.pictures == 20
    assert report.valence.spearman == pytest.approx(spearmanr(polarity_score(probabilities), valence[:20]).statistic)
    assert list(report.emotions) == ["fear"]
    assert report.emotions["fear"].spearman == pytest.approx(spearmanr(probabilities[:, EMOTIONS.index("fear")], np.arange(20)).statistic)
    assert workspace.read_json("reports", "emoart", f"{report.agreement_id}.json")["valence"]["pictures"] == 20
    markdown = agreement_markdown(report)
    assert f"| fear | 20 | {report.emotions['fear'].spearman:.3f} |" in markdown
    assert "30 pictures rated, 1 lines" in markdown
    nothing = measure_agreement(workspace, "emoart", "art", ratings, predictions.clear(), "probe-2")
    assert (nothing.valence.pictures, nothing.valence.spearman, nothing.emotions) == (0, None, {})


def test_scores_of_all_parts_are_compared_or_a_cross_validations(tmp_path):
    workspace = Workspace(str(tmp_path / "workspace"))
    lines, everything = ["image_id,valence_mean_1to7"], []
    generator = np.random.default_rng(0)
    for first, part in ((0, "part-00000-aa"), (12, "part-00001-bb")):
        images = write_images(workspace, "photos", part, [image_row(EMOTIONS[number % 8], number) for number in range(first, first + 12)])
        scores = score_rows(images["image_id"], generator.dirichlet(np.ones(8), 12).astype(np.float32))
        workspace.table("emotion_scores", "photos", "head-1").write_part(part, scores, EmotionScores)
        everything.append(scores)
    lines += [f"{number},{1 + number % 6}" for number in range(0, 24, 2)]  # half of the pictures are rated
    (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n")
    arguments = (workspace, "emoart", "photos", "oasis", str(tmp_path / "ratings.csv"), "head-1")
    found = compare_with_ratings(*arguments)
    rated = pl.concat(everything)[::2]
    expected = spearmanr(polarity_score(rated["probabilities"].to_numpy()), [1 + number % 6 for number in range(0, 24, 2)]).statistic
    assert (found.predictions, found.valence.pictures) == ("head-1", 12)
    assert found.valence.spearman == pytest.approx(expected)
    workspace.table("cross_validation", "folds-1").write_part("out_of_fold", pl.concat(everything)[::-1], EmotionScores)
    folds = compare_with_ratings(*arguments, "folds-1")
    assert folds.predictions == "folds-1"
    assert folds.valence.spearman == pytest.approx(expected)
    with pytest.raises(FileNotFoundError, match="score the source 'photos' first"):
        compare_with_ratings(*arguments[:-1], "head-2")
