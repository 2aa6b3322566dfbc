"""Measured numbers of two methods and of real images."""

from collections.abc import Callable

import pytest

from coemogen_core.evaluation.evaluate import evaluate_method
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import LabelledImage, compute_features
from coemogen_core.evaluation.recipe import EvaluationRecipe
from schemas.metrics import Metrics, ReferenceMetrics, StageTiming


@pytest.fixture
def metrics(extractors: ExtractorSet, labelled_images: Callable[..., list[LabelledImage]]) -> Metrics:
    recipe = EvaluationRecipe(resamples=40, lpips_neighbours=2)
    real, good, bad = (compute_features(labelled_images(6, first), extractors, recipe) for first in (0, 30, 60))
    found = {name: evaluate_method(features, real, extractors, recipe) for name, features in (("sd", bad), ("coemogen", good))}
    reference = evaluate_method(real, None, extractors, recipe)
    return Metrics(
        run_id="run",
        protocol="corrected",
        seed=0,
        confidence_level=0.95,
        methods=found,
        reference=ReferenceMetrics(**reference.model_dump(), source="photos", split=None),
        stages={"build-emoset/caption": StageTiming(seconds=75.2, rows=1200), "train": StageTiming(seconds=3.0, reused=True)},
        peak_memory_mib=2345.6,
        versions={"torch": "2.13.0"},
        configuration={"train": {"steps": 400}, "seed": 0},
    )
