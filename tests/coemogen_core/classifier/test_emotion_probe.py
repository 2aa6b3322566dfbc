import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from coemogen_core.classifier.emotion_probe import EmotionProbe, LabelledVectors, ProbeRecipe, measure_probe
from coemogen_core.classifier.probe_fitting import HIDDEN_EPOCHS, LINEAR_STRENGTHS, fit_probe


def clusters(rows: int, seed: int, noise: float = 1.0, classes: int = 8, flipped: float = 0.0) -> LabelledVectors:
    centres = np.random.default_rng(99).normal(0, 1, (8, 20))
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    vectors = centres[labels] + generator.normal(0, noise, (rows, 20))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wrong = generator.random(rows) < flipped
    return LabelledVectors(vectors.astype(np.float32), np.where(wrong, generator.integers(0, classes, rows), labels))


def test_folded_weights_are_scikit_learns_pipeline():
    train, val = clusters(600, 0), clusters(200, 1)
    probe, strength = fit_probe(train, val, ProbeRecipe(strengths=(0.01,)))
    scaler = StandardScaler().fit(train.vectors.astype(np.float64))
    model = LogisticRegression(C=strength, max_iter=500, tol=1e-5).fit(scaler.transform(train.vectors.astype(np.float64)), train.labels)
    raw = probe.with_temperature(1.0).predict(val.vectors)
    assert np.allclose(raw, model.predict_proba(scaler.transform(val.vectors.astype(np.float64))), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 8])
def test_a_hidden_layer_is_scikit_learns_too(classes):
    train, val = clusters(400, 0, classes=classes), clusters(200, 1, classes=classes)
    probe, _ = fit_probe(train, val, ProbeRecipe(hidden_width=16, strengths=(1.0,), seed=3))
    scaler = StandardScaler().fit(train.vectors.astype(np.float64))
    model = MLPClassifier((16,), alpha=1.0, max_iter=HIDDEN_EPOCHS, random_state=3)
    model.fit(scaler.transform(train.vectors.astype(np.float64)), train.labels)
    expected = model.predict_proba(scaler.transform(val.vectors.astype(np.float64)))
    assert np.allclose(probe.with_temperature(1.0).predict(val.vectors)[:, :classes], expected, atol=1e-4)


def test_a_hidden_layer_separates_what_no_plane_can():
    def ring(seed: int) -> LabelledVectors:
        generator = np.random.default_rng(seed)
        vectors = generator.normal(0, 1, (1200, 2))
        return LabelledVectors(vectors.astype(np.float32), (np.hypot(*vectors.T) > 1.2).astype(int))

    linear, _ = fit_probe(ring(0), ring(1), ProbeRecipe())
    hidden, _ = fit_probe(ring(0), ring(1), ProbeRecipe(hidden_width=32))
    assert measure_probe(linear, ring(2)).accuracy < 0.7
    assert measure_probe(hidden, ring(2)).accuracy > 0.9


def test_metrics_are_scikit_learns():
    probe, _ = fit_probe(clusters(600, 0), clusters(200, 1), ProbeRecipe())
    test = clusters(300, 2)
    metrics = measure_probe(probe, test)
    predicted = probe.predict(test.vectors).argmax(axis=1)
    assert metrics.accuracy == pytest.approx(accuracy_score(test.labels, predicted))
    assert metrics.macro_accuracy == pytest.approx(balanced_accuracy_score(test.labels, predicted))
    assert np.array_equal(metrics.confusion, confusion_matrix(test.labels, predicted, labels=range(8)))
    assert metrics.majority_share == pytest.approx(np.bincount(test.labels).max() / 300)
    assert metrics.accuracy > 0.8


def test_mislabelled_photos_lower_the_confidence_not_the_accuracy():
    recipe = ProbeRecipe()
    clean, _ = fit_probe(clusters(2000, 0), clusters(400, 1), recipe)
    noisy, _ = fit_probe(clusters(2000, 0, flipped=0.3), clusters(400, 1, flipped=0.3), recipe)
    test = clusters(400, 2)
    assert measure_probe(noisy, test).accuracy > measure_probe(clean, test).accuracy - 0.03
    assert noisy.predict(test.vectors).max(axis=1).mean() < clean.predict(test.vectors).max(axis=1).mean() - 0.1
    metrics = measure_probe(noisy, clusters(400, 3, flipped=0.3))
    assert metrics.ece_after < metrics.ece_before


def test_validation_chooses_the_strength():
    train, val = clusters(120, 0, noise=2.0), clusters(400, 1, noise=2.0)
    _, strength = fit_probe(train, val, ProbeRecipe())
    losses = {each: measure_probe(fit_probe(train, val, ProbeRecipe(strengths=(each,)))[0], val).nll_after for each in LINEAR_STRENGTHS}
    assert losses[strength] == pytest.approx(min(losses.values()))


def test_probabilities_are_float32_rows_that_add_up_to_one():
    probe, _ = fit_probe(clusters(300, 0), clusters(100, 1), ProbeRecipe())
    probabilities = probe.predict(clusters(50, 2).vectors.astype(np.float16))
    assert probabilities.shape == (50, 8)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_logits_of_a_row_do_not_depend_on_the_others(rng):
    weights = (rng.normal(size=(256, 768)).astype(np.float32), rng.normal(size=(8, 256)).astype(np.float32))
    probe = EmotionProbe(weights, (np.zeros(256, np.float32), np.zeros(8, np.float32)))
    vectors, order = rng.normal(size=(400, 768)).astype(np.float16), rng.permutation(400)
    whole = probe.logits(vectors)
    assert np.array_equal(probe.logits(vectors[order]), whole[order])
    for size in (1, 7, 100):
        assert np.array_equal(np.concatenate([probe.logits(vectors[start : start + size]) for start in range(0, 400, size)]), whole)


@pytest.mark.parametrize("classes", [2, 6])
def test_absent_emotions_get_probability_zero(classes):
    train, val = clusters(300, 0, classes=classes), clusters(100, 1, classes=classes)
    probe, _ = fit_probe(train, val, ProbeRecipe())
    probabilities = probe.predict(val.vectors)
    assert (probabilities[:, classes:] == 0).all()
    assert measure_probe(probe, val).accuracy > 0.8


def test_two_classes_are_scikit_learns_too():
    train, val = clusters(300, 0, classes=2), clusters(100, 1, classes=2)
    probe, _ = fit_probe(train, val, ProbeRecipe(strengths=(0.01,)))
    scaler = StandardScaler().fit(train.vectors.astype(np.float64))
    model = LogisticRegression(C=0.01, max_iter=500, tol=1e-5).fit(scaler.transform(train.vectors.astype(np.float64)), train.labels)
    expected = model.predict_proba(scaler.transform(val.vectors.astype(np.float64)))
    assert np.allclose(probe.with_temperature(1.0).predict(val.vectors)[:, :2], expected, atol=1e-5)


def test_embeddings_of_another_encoder_are_refused():
    probe, _ = fit_probe(clusters(100, 0), clusters(50, 1), ProbeRecipe(strengths=(0.01,)))
    with pytest.raises(ValueError, match=r"\[n, 20\]"):
        probe.predict(np.zeros((3, 768)))
