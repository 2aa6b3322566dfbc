import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold

from coemogen_core.classifier.cross_validation import FoldsRecipe, cross_validate, out_of_fold_predictions, predict_out_of_fold
from coemogen_core.classifier.emotion_probe import LabelledVectors, ProbeRecipe
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.classifier.test_emotion_probe import clusters
from tests.coemogen_core.curation.small_tables import labelled_photos, write_images

PART = "part-00000-aa"
RECIPE = ProbeRecipe(strengths=(0.01, 0.1), selection_folds=3)


def test_a_fold_is_predicted_by_the_recipe_trained_on_the_others():
    rows = clusters(200, 0)
    recipe = ProbeRecipe(strengths=(0.05,), selection_folds=4)
    probabilities, fold_of, strengths = predict_out_of_fold(rows, recipe, FoldsRecipe(folds=5, seed=3))
    assert strengths == (0.05,) * 5
    for fold, (inside, outside) in enumerate(StratifiedKFold(5, shuffle=True, random_state=3).split(rows.vectors, rows.labels)):
        assert (fold_of[outside] == fold).all()
        mean, spread = rows.vectors[inside].mean(axis=0), rows.vectors[inside].std(axis=0)
        model = LogisticRegression(C=0.05, max_iter=500, tol=1e-5).fit((rows.vectors[inside] - mean) / spread, rows.labels[inside])
        assert np.array_equal(model.predict((rows.vectors[outside] - mean) / spread), probabilities[outside].argmax(axis=1))


@pytest.mark.parametrize("recipe", [ProbeRecipe(), ProbeRecipe(selection_folds=3), ProbeRecipe(selection_folds=3, hidden_width=16)])
def test_labels_that_mean_nothing_are_predicted_at_chance(recipe):
    generator = np.random.default_rng(0)
    rows = LabelledVectors(generator.normal(size=(320, 30)).astype(np.float32), np.arange(320) % 8)
    probabilities, _, _ = predict_out_of_fold(rows, recipe, FoldsRecipe())
    assert (probabilities.argmax(axis=1) == rows.labels).mean() < 0.22
    assert probabilities.max(axis=1).mean() < 0.3  # calibrated: it knows that it knows nothing


def test_an_emotion_with_fewer_rows_than_folds_is_named():
    rows = LabelledVectors(np.zeros((19, 2)), np.array([0] * 8 + [1] * 8 + [6] * 3))
    with pytest.raises(ValueError, match="fear has 3"):
        predict_out_of_fold(rows, RECIPE, FoldsRecipe())


@pytest.fixture
def photos(tmp_path, tiny_clip):
    workspace, encoder = Workspace(str(tmp_path)), EncoderRecipe(model=str(tiny_clip), device="cpu")
    write_images(workspace, "photos", PART, labelled_photos(10))
    embed_part(workspace, "photos", PART, encoder)
    return workspace, encoder.encoder_id


def test_the_report_counts_what_the_kept_predictions_say(photos):
    workspace, encoder_id = photos
    outcome = cross_validate(workspace, "photos", [PART], encoder_id, RECIPE, FoldsRecipe())
    report = outcome.report
    assert not outcome.reused
    kept = out_of_fold_predictions(workspace, report.validation_id)
    labels = workspace.table("images", "photos").read_part(PART, ["image_id", "label"]).rename({"label": "truth"})
    joined = kept.join(labels, on="image_id")
    right = joined.select(joined["label"] == joined["truth"]).to_series()
    assert report.rows == joined.height == 80
    assert report.accuracy.mean == pytest.approx(right.mean())  # equal folds: the mean of the folds is the mean of the rows
    assert report.macro_accuracy.mean == pytest.approx(balanced_accuracy_score(joined["truth"], joined["label"]))
    assert np.trace(report.confusion) == right.sum()
    assert report.accuracy.std == pytest.approx(np.std(report.accuracy.folds, ddof=1))
    assert (report.chance, report.majority, report.polarity_majority) == (0.125, 0.125, 0.5)
    assert report.polarity_accuracy.mean >= report.accuracy.mean > 0.9
    assert len(report.strengths) == 5


def test_the_same_question_is_answered_once_and_another_beside_it(photos):
    workspace, encoder_id = photos
    first = cross_validate(workspace, "photos", [PART], encoder_id, RECIPE, FoldsRecipe())
    again = cross_validate(workspace, "photos", [PART], encoder_id, RECIPE, FoldsRecipe())
    assert again.reused
    assert again.report == first.report
    other = cross_validate(workspace, "photos", [PART], encoder_id, RECIPE, FoldsRecipe(seed=1))
    assert not other.reused
    assert other.report.validation_id != first.report.validation_id


def test_a_source_without_an_emotion_or_embeddings_is_refused(photos, tiny_clip):
    workspace, encoder_id = photos
    write_images(workspace, "some", PART, labelled_photos(10, emotions=EMOTIONS[:7]))
    with pytest.raises(FileNotFoundError, match="embed source 'some' with this encoder first"):
        cross_validate(workspace, "some", [PART], encoder_id, RECIPE, FoldsRecipe())
    embed_part(workspace, "some", PART, EncoderRecipe(model=str(tiny_clip), device="cpu"))
    with pytest.raises(ValueError, match="no image of: sadness"):
        cross_validate(workspace, "some", [PART], encoder_id, RECIPE, FoldsRecipe())
