"""From pictures to the numbers of a method, with fake networks."""

import io
from collections.abc import Callable
from dataclasses import replace

import jsonschema
import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy import linalg

from coemogen_core.device import library_versions, peak_memory_mib
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.emoart import emoart_metrics
from coemogen_core.evaluation.evaluate import evaluate_method, evaluate_reference
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures, LabelledImage, compute_features, concatenate
from coemogen_core.evaluation.recipe import EvaluationRecipe
from schemas.metrics import METRIC_NAMES, MethodMetrics, Metrics

MakeImages = Callable[..., list[LabelledImage]]

RECIPE = EvaluationRecipe(resamples=50, lpips_neighbours=3, batch_size=7)


def features_of(images: list[LabelledImage], extractors: ExtractorSet, batch_size: int = 7) -> ImageFeatures:
    return compute_features(images, extractors, RECIPE.model_copy(update={"batch_size": batch_size}))


@pytest.fixture
def evaluated(extractors: ExtractorSet, labelled_images: MakeImages) -> MethodMetrics:
    generated, real = (features_of(labelled_images(8, first), extractors) for first in (0, 100))
    return evaluate_method(generated, real, extractors, RECIPE)


def test_every_metric_has_a_value_an_interval_and_an_extractor(evaluated: MethodMetrics) -> None:
    assert evaluated.images == 64
    for name in METRIC_NAMES:
        found = evaluated.estimate(name)
        assert found.value is not None, name
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high, name
        assert found.images == 64
        assert found.extractor
    assert "unit length" in evaluated.sem_d.extractor
    assert list(evaluated.per_emotion) == list(EMOTIONS)
    assert evaluated.emo_a.value == 1.0
    assert evaluated.per_emotion["fear"].intervals["sem_d"].low > 0
    assert {"cmmd", "precision", "recall"} <= set(evaluated.per_emotion["fear"].intervals)
    assert 0 <= evaluated.per_emotion["fear"].recall <= 1
    assert evaluated.polarity["positive"].images == 32


def test_the_numbers_of_real_images_say_how_many_are_compared_with(extractors: ExtractorSet, labelled_images: MakeImages) -> None:
    images = labelled_images(8, 100)

    def with_so_many_of_contentment(count: int) -> list[LabelledImage]:
        first = [image for image in images if image.emotion == "contentment"][:count]
        return [image for image in images if image.emotion != "contentment" or image in first]

    sets = [features_of(with_so_many_of_contentment(count), extractors) for count in (8, 5, 1)]
    found = [evaluate_reference(real, "photos", None, extractors, RECIPE) for real in sets]
    assert [(numbers.of_each, numbers.short) for numbers in found] == [(None, {}), (5, {}), (2, {"contentment": 1})]


def test_the_order_and_the_batch_size_change_nothing_but_rounding(extractors: ExtractorSet, labelled_images: MakeImages) -> None:
    images = labelled_images(6)
    first, second = features_of(images, extractors), features_of(images, extractors, batch_size=64)
    assert np.allclose(first.fid, second.fid, atol=1e-6)
    assert np.array_equal(first.pair_left, second.pair_left)
    assert np.allclose(first.pair_distance, second.pair_distance, atol=1e-6)


def test_features_survive_the_disk_and_join(extractors: ExtractorSet, labelled_images: MakeImages) -> None:
    blocks = [features_of(labelled_images(2, first), extractors) for first in (0, 10)]
    again = [ImageFeatures.from_bytes(block.to_bytes()) for block in blocks]
    joined = concatenate(again)
    assert len(joined.emotions) == 32
    assert (joined.emotions[joined.pair_left] == joined.emotions[joined.pair_right]).all()
    assert joined.pair_left.max() >= 16
    assert joined.probabilities.shape == (1, 32, 8)


def test_mixed_sizes_broken_files_and_a_missing_emotion(extractors: ExtractorSet, labelled_images: MakeImages) -> None:
    images = [*labelled_images(3, size=(100, 70)), *labelled_images(3, 50, size=(32, 48)), LabelledImage("bad", "awe", b"no picture")]
    images = [image for image in images if image.emotion != "disgust"]
    found = evaluate_method(features_of(images, extractors), None, extractors, RECIPE)
    assert (found.images, found.rejected) == (42, 1)
    assert "disgust" not in found.per_emotion
    assert found.fid.value is None
    assert found.fid.reason


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_stated_and_never_nan(
    extractors: ExtractorSet, count: int, labelled_images: MakeImages, png: Callable[..., bytes]
) -> None:
    real = features_of(labelled_images(3), extractors)
    images = [LabelledImage("only", "awe", png(1, 0))][:count]
    found = evaluate_method(features_of(images, extractors), real, extractors, RECIPE)
    assert "NaN" not in found.model_dump_json()
    assert found.fid.value is None
    assert "not enough images" in str(found.sem_d.reason)
    assert (found.emo_a.value is None) == (count == 0)


def test_identical_images_have_no_diversity(extractors: ExtractorSet, labelled_images: MakeImages, png: Callable[..., bytes]) -> None:
    images = [LabelledImage(str(k), "awe", png(1, 0)) for k in range(6)]
    found = evaluate_method(features_of(images, extractors), features_of(labelled_images(2), extractors), extractors, RECIPE)
    assert found.lpips.value == pytest.approx(0, abs=1e-9)
    assert found.sem_d.value == pytest.approx(0, abs=1e-9)
    assert found.fid.value is not None
    assert found.fid.value > 0


def test_the_same_seed_gives_the_same_numbers(evaluated: MethodMetrics, extractors: ExtractorSet, labelled_images: MakeImages) -> None:
    generated, real = (features_of(labelled_images(8, first), extractors) for first in (0, 100))
    assert evaluate_method(generated, real, extractors, RECIPE) == evaluated


def test_metrics_json_fits_its_published_schema(evaluated: MethodMetrics) -> None:
    metrics = Metrics(
        run_id="r",
        protocol="corrected",
        seed=0,
        confidence_level=0.95,
        methods={"sd": evaluated, "coemogen": evaluated},
        reference=None,
        peak_memory_mib=peak_memory_mib(),
        versions=library_versions(),
    )
    text = metrics.model_dump(mode="json")
    jsonschema.validate(text, Metrics.model_json_schema())
    assert set(text["methods"]["coemogen"]["fid"]) >= {"value", "low", "high"}
    assert isinstance(text["methods"]["coemogen"]["per_emotion"]["awe"]["emo_a"], float)
    assert list(metrics.in_order()) == ["coemogen", "sd"]
    others = metrics.model_copy(update={"methods": dict.fromkeys(("a", "b", "c"), evaluated), "order": ("c", "b")})
    assert list(others.in_order()) == ["c", "b", "a"]
    assert 10 < text["peak_memory_mib"] < 1e6
    assert "torch" in metrics.versions


def test_the_features_id_follows_extractors_and_pairs(extractors: ExtractorSet) -> None:
    assert RECIPE.features_id(extractors) == RECIPE.model_copy(update={"resamples": 99, "batch_size": 1}).features_id(extractors)
    assert RECIPE.features_id(extractors) != RECIPE.model_copy(update={"seed": 1}).features_id(extractors)
    twice = replace(extractors, emotion_probes=extractors.emotion_probes * 2)
    assert RECIPE.features_id(extractors) != RECIPE.features_id(twice)
    with pytest.raises(ValueError, match="at least one emotion probe"):
        replace(extractors, emotion_probes=())


def test_emoart_precision_and_recall() -> None:
    names = [f"{k:064x}" for k in range(6)]
    decisions = pl.DataFrame(
        {
            "image_id": names,
            "kept": [True, True, True, False, False, False],
            "reason": ["kept"] * 3 + ["low confidence"] * 3,
            "label": ["awe", "fear", "awe", "awe", "sadness", None],
        }
    )
    truth = dict(zip(names, ["awe", "fear", None, "awe", "disgust", None], strict=True))
    found = emoart_metrics(decisions, truth)
    assert (found.candidates, found.kept) == (6, 3)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.reasons == {"kept": 3, "low confidence": 3}
    assert emoart_metrics(decisions).precision is None


def test_a_large_picture_is_averaged_and_not_skipped(extractors: ExtractorSet) -> None:
    checker = np.indices((256, 256)).sum(0) % 2 * 255
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(checker[..., None], 3, 2).astype(np.uint8)).save(buffer, "PNG")
    found = features_of([LabelledImage("x", "awe", buffer.getvalue())], extractors)
    assert found.probabilities[0, 0].argmax() in (3, 4)  # red is 0.5 after averaging, 0 or 1 after skipping


def test_no_interval_asks_for_more_than_an_eigenproblem_a_set(
    extractors: ExtractorSet, labelled_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of small ones take a hundred times as long on several BLAS threads as on one."""
    asked: list[str] = []

    def counted(name: str) -> Callable[..., object]:
        original = getattr(linalg, name)

        def count(*arguments: object, **options: object) -> object:
            asked.append(name)
            return original(*arguments, **options)

        return count

    for name in ("eigh", "eigvalsh", "svd", "svdvals", "cholesky"):
        monkeypatch.setattr(linalg, name, counted(name))
    generated, real = (features_of(labelled_images(8, first), extractors) for first in (0, 100))
    evaluate_method(generated, real, extractors, RECIPE)
    sets = 1 + len(EMOTIONS)
    assert 0 < len(asked) <= 6 * sets
