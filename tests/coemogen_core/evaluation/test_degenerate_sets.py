"""Whatever the pictures are, every number is finite and within its range, or missing with a reason: in file, terminal and page."""

import io
import json
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from coemogen_core.evaluation.definitions import DEFINITIONS, MetricDefinition
from coemogen_core.evaluation.evaluate import evaluate_method
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.evaluation.lpips import circle_distances
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.report.data import ReportData
from coemogen_core.report.render import render_report
from flows.command_line.metrics_table import emotion_tables, metrics_table, probe_tables
from schemas.metrics import METRIC_NAMES, MethodMetrics, Metrics, ReferenceMetrics

RECIPE = EvaluationRecipe(resamples=20)
NAMED = SimpleNamespace(identity="some network")
PROBE = SimpleNamespace(identity="some probe", through_clip=False)
NETWORKS: Any = SimpleNamespace(fid=NAMED, perceptual=NAMED, emotion_probes=(PROBE,), content=NAMED, clip=NAMED)
NOT_A_NUMBER = re.compile(r"\b(nan|inf|-inf|infinity|none|null)\b", re.IGNORECASE)
COUNTS = st.lists(st.sampled_from([0, 0, 1, 2, 3, 5, 6]), min_size=8, max_size=8)
KINDS = st.sampled_from(["varied", "identical", "black", "huge", "tiny"])


def features(counts: list[int], kind: str, seed: int, dim: int = 6) -> ImageFeatures:
    """Features as networks give them of varied, of identical and of black pictures, and of ones whose activations are huge or vanish."""
    generator, total = np.random.default_rng(seed), sum(counts)
    scale = {"huge": 1e6, "tiny": 1e-12}.get(kind, 1.0)
    spread = 0.0 if kind in ("identical", "black") else scale
    level = 0.0 if kind == "black" else scale

    def vectors() -> np.ndarray:
        return (level + spread * generator.normal(size=(total, dim))).astype(np.float32)

    emotions = np.repeat(np.arange(8, dtype=np.uint8), counts)
    embeddings, perceptual = vectors(), vectors()
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True).clip(1e-12)
    pairs, start = [], 0
    for count in counts:
        found = circle_distances(iter(perceptual[start : start + count]), count, 2)
        pairs.append((found.left + start, found.right + start, found.distance))
        start += count
    left, right, distance = (np.concatenate(column) for column in zip(*pairs, strict=True))
    certain = np.ones((total, 8)) if spread == 0 else generator.random((total, 8))
    return ImageFeatures(
        emotions=emotions,
        fid=vectors(),
        probabilities=(certain / certain.sum(axis=1, keepdims=True)).astype(np.float32)[None],
        object_top1=generator.random(total).astype(np.float32),
        scene_top1=generator.random(total).astype(np.float32),
        embeddings=embeddings,
        brightness=(generator.random(total) * (level > 0)).astype(np.float32),
        colourfulness=(100 * generator.random(total) * (level > 0)).astype(np.float32),
        pair_left=left.astype(np.int32),
        pair_right=right.astype(np.int32),
        pair_distance=distance.astype(np.float32),
        rejected=np.zeros(1, np.int32),
    )


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers(each)]
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def allows(definition: MetricDefinition, value: float) -> bool:
    """Whether a metric can have a value; at its limits rounding is forgiven."""
    low, high = definition.low, definition.high
    return (low is None or value >= low - 1e-9) and (high is None or value <= high + 1e-9)


def assert_finite_or_missing_with_a_reason(found: MethodMetrics) -> None:
    assert np.isfinite(numbers(json.loads(found.model_dump_json()))).all()
    for name in METRIC_NAMES:
        estimate = found.estimate(name)
        assert estimate.value is not None or estimate.reason
        assert estimate.value is None or allows(DEFINITIONS[name], estimate.value), name
    for part in (*found.per_emotion.values(), *found.polarity.values(), found.colour):
        for name, definition in DEFINITIONS.items():
            value = getattr(part, name, None)
            assert value is None or allows(definition, value), name
            interval = part.intervals.get(name) if part is not None else None
            assert interval is None or interval.low <= interval.high


def shown(metrics: Metrics) -> list[str]:
    """All that people see: the tables of the terminal and the text of the page."""
    console = Console(file=io.StringIO(), width=100)
    for table in (metrics_table(metrics, "title"), *probe_tables(metrics), *emotion_tables(metrics.methods["images"])):
        console.print(table)
    page = render_report(ReportData(title="title", metrics=metrics, labels={"images": "these images"}, gallery={}))
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    charts = " ".join(re.findall(r'\bd="[^"]*"', page))
    return [console.file.getvalue(), re.sub(r"<[^>]*>", " ", page), charts]  # type: ignore[attr-defined]


@settings(max_examples=60)
@given(COUNTS, COUNTS, KINDS, KINDS, st.integers(0, 99))
def test_no_number_is_ever_anything_but_finite(generated: list[int], real: list[int], kind: str, real_kind: str, seed: int) -> None:
    features_of_real = features(real, real_kind, seed + 1)
    assert_finite_or_missing_with_a_reason(evaluate_method(features(generated, kind, seed), features_of_real, NETWORKS, RECIPE))
    assert_finite_or_missing_with_a_reason(evaluate_method(features_of_real, None, NETWORKS, RECIPE))


@settings(max_examples=8)
@given(COUNTS, KINDS, st.integers(0, 99))
def test_nothing_that_people_see_says_nan(generated: list[int], kind: str, seed: int) -> None:
    real = features([6] * 8, "varied", seed + 1)
    metrics = Metrics(
        run_id="r",
        protocol="corrected",
        seed=0,
        confidence_level=0.95,
        methods={"images": evaluate_method(features(generated, kind, seed), real, NETWORKS, RECIPE)},
        reference=ReferenceMetrics(**evaluate_method(real, None, NETWORKS, RECIPE).model_dump(), source="photos", split=None),
    )
    for text in shown(metrics):
        assert NOT_A_NUMBER.findall(text.replace("not enough images: none", "")) == []


def test_a_set_without_a_single_picture_says_so() -> None:
    found = evaluate_method(features([0] * 8, "varied", 0), features([6] * 8, "varied", 1), NETWORKS, RECIPE)
    assert found.images == 0
    assert all("not enough images" in str(found.estimate(name).reason) for name in METRIC_NAMES)
