"""Fitting the emotion classifier with scikit-learn; standardisation is folded into the first layer: a probe reads raw embeddings."""

import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from coemogen_core.classifier.emotion_probe import EmotionProbe, LabelledVectors, ProbeRecipe, fit_temperature, negative_log_likelihood
from coemogen_core.emotions import EMOTIONS

LINEAR_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
HIDDEN_STRENGTHS = (0.1, 0.3, 1.0, 10.0)
HIDDEN_EPOCHS = 60
"""A hidden layer that is trained to convergence learns the labels by heart, wrong ones included."""


def fit_probe(train: LabelledVectors, val: LabelledVectors, recipe: ProbeRecipe) -> tuple[EmotionProbe, float]:
    """Multinomial logistic regression, or one hidden ReLU layer, on standardised vectors, calibrated.

    The strength whose temperature-scaled likelihood on rows that did not fit the weights is best wins, the stronger regularisation
    among equals. Those rows are `val`, or with `selection_folds` the training rows themselves, each predicted by the folds without it;
    `val` then chooses nothing and may be empty.

    Returns:
        The probe and the chosen inverse regularisation strength.

    Raises:
        ValueError: an emotion has fewer training rows than there are folds.
    """
    strengths = sorted(recipe.strengths or (HIDDEN_STRENGTHS if recipe.hidden_width else LINEAR_STRENGTHS))
    tried = (_try_strength(train, val, strength, recipe) for strength in strengths)
    _, strength, probe, temperature = min(tried, key=lambda found: found[0])  # the first of equals
    return (probe or _fit(train, strength, recipe)).with_temperature(temperature), strength


def _try_strength(
    train: LabelledVectors, val: LabelledVectors, strength: float, recipe: ProbeRecipe
) -> tuple[float, float, EmotionProbe | None, float]:
    """Calibrated loss, the strength, the probe where one was fitted on all training rows, and its temperature."""
    probe = None
    if recipe.selection_folds is None:
        probe = _fit(train, strength, recipe)
        logits, labels = probe.logits(val.vectors), val.labels
    else:
        logits, labels = np.zeros((len(train.labels), len(EMOTIONS))), train.labels
        for inside, outside in stratified_folds(train.labels, recipe.selection_folds, recipe.seed):
            logits[outside] = _fit(train.take(inside), strength, recipe).logits(train.vectors[outside])
    temperature = fit_temperature(logits, labels)
    return negative_log_likelihood(logits, labels, temperature), strength, probe, temperature


def fitted_and_held_out(rows: LabelledVectors, recipe: ProbeRecipe) -> tuple[LabelledVectors, LabelledVectors]:
    """The rows to fit and those to choose strength and temperature on, which the recipe may leave to folds of the former."""
    if recipe.selection_folds is not None:
        return rows, rows.take(np.empty(0, dtype=int))
    split = StratifiedShuffleSplit(1, test_size=recipe.held_out_fraction, random_state=recipe.seed)
    fitted, held_out = next(split.split(np.zeros(len(rows.labels)), rows.labels))
    return rows.take(fitted), rows.take(held_out)


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row indices inside and outside of each fold, every emotion spread evenly, the same for the same seed.

    Raises:
        ValueError: an emotion has fewer rows than there are folds.
    """
    counts = np.bincount(labels, minlength=len(EMOTIONS))
    few = [f"{emotion} has {count}" for emotion, count in zip(EMOTIONS, counts, strict=True) if 0 < count < folds]
    if few:
        raise ValueError(f"{folds} folds need as many labelled images of every emotion ({', '.join(few)}): take fewer folds, or add images")
    return StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)


def _fit(train: LabelledVectors, strength: float, recipe: ProbeRecipe) -> EmotionProbe:
    scaler = StandardScaler().fit(train.vectors.astype(np.float64))
    inputs = scaler.transform(train.vectors.astype(np.float64))
    fit = _fit_hidden if recipe.hidden_width else _fit_linear
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # unseen rows judge the weights, converged or not
        return _unscaled(fit(inputs, train.labels, strength, recipe), scaler)


def _fit_linear(inputs: np.ndarray, labels: np.ndarray, strength: float, recipe: ProbeRecipe) -> EmotionProbe:
    model = LogisticRegression(C=strength, max_iter=recipe.max_iterations, tol=1e-5).fit(inputs, labels)
    weight, bias = _all_emotions(model.coef_, model.intercept_, model.classes_)
    return EmotionProbe((weight,), (bias,))


def _fit_hidden(inputs: np.ndarray, labels: np.ndarray, strength: float, recipe: ProbeRecipe) -> EmotionProbe:
    epochs = min(recipe.max_iterations, HIDDEN_EPOCHS)
    model = MLPClassifier((recipe.hidden_width,), alpha=1 / strength, max_iter=epochs, random_state=recipe.seed).fit(inputs, labels)
    weight, bias = _all_emotions(model.coefs_[1].T, model.intercepts_[1], model.classes_)
    return EmotionProbe((model.coefs_[0].T, weight), (model.intercepts_[0], bias))


def _all_emotions(weight: np.ndarray, bias: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One row per emotion; scikit-learn keeps one row only for two classes, and none for an absent one."""
    if len(classes) == 2:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    full_weight, full_bias = np.zeros((len(EMOTIONS), weight.shape[1])), np.full(len(EMOTIONS), -np.inf)
    full_weight[classes], full_bias[classes] = weight, bias
    return full_weight, full_bias


def _unscaled(probe: EmotionProbe, scaler: StandardScaler) -> EmotionProbe:
    """The same probe on vectors that were not standardised, in single precision."""
    first = probe.weights[0] / scaler.scale_
    weights = (first, *probe.weights[1:])
    biases = (probe.biases[0] - first @ scaler.mean_, *probe.biases[1:])
    return EmotionProbe(tuple(w.astype(np.float32) for w in weights), tuple(b.astype(np.float32) for b in biases))
