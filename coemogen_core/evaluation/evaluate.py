"""From features to numbers: all metrics of one method, overall and per emotion, with intervals."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation import colour, emo_a, lpips, semantics
from coemogen_core.evaluation.balance import drawn_of_each, short_emotions
from coemogen_core.evaluation.distributions import Compared, compare_distributions
from coemogen_core.evaluation.emogen_pairs import PairMeasurements, PictureAccess, measure_pairs
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.statistics import bootstrap, shares
from schemas.choices import LabelOrigin
from schemas.metrics import DistributionMetricName, EmotionMetrics, Estimate, Interval, MethodMetrics, ProbeAnswers, ReferenceMetrics

Resampled = dict[str, NDArray[np.float64]]
OF_ONE_EMOTION = ("emo_a", "lpips", "sem_c", "sem_d", "brightness", "colourfulness")
OF_PAIRS = ("lpips", "sem_d")


@dataclass(frozen=True)
class MeasuredEmotion:
    """One emotion's numbers before they are reported: values by metric, and the same for every resample."""

    images: int
    values: dict[str, float | None]
    resampled: Resampled = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    """of shares and of pairs, which are not resampled"""


def evaluate_method(
    features: ImageFeatures,
    reference: ImageFeatures | None,
    extractors: ExtractorSet,
    recipe: EvaluationRecipe,
    pictures: PictureAccess | None = None,
    *,
    slot: Slot = nullcontext,
) -> MethodMetrics:
    """All metrics of one set of images.

    Args:
        features: features of the images.
        reference: features of the real images; None leaves FID, KID, CMMD, precision, recall, density and coverage null.
        extractors: what computed the features.
        recipe: seed, resamples and level of the intervals.
        pictures: the images themselves, from which protocol "emogen" draws pairs for LPIPS and Sem-D; no other looks at them again.
        slot: entered to measure these pairs; all other numbers need no network.

    Raises:
        ValueError: they are missing under "emogen".
    """
    groups = features.emotions.astype(np.int64)
    counts = bootstrap.resample_counts(groups, recipe.resamples, recipe.seed)
    measured: dict[str, MeasuredEmotion] = {
        emotion: _measure(features, groups == index, counts, recipe.confidence_level)
        for index, emotion in enumerate(EMOTIONS)
        if (groups == index).any()
    }
    everything = np.full(len(groups), True)
    of_pairs = {"lpips": lpips.interval(features.pairs, groups, everything, recipe.confidence_level)}
    if recipe.protocol == "emogen":
        if pictures is None:
            raise ValueError("protocol 'emogen' draws pairs from the pictures themselves: give them, too")
        with slot():
            pairs = measure_pairs(pictures, extractors, recipe.seed)
        measured = _with_pairs(measured, pairs, recipe.confidence_level)
        of_pairs = {name: pairs.interval(name, recipe.confidence_level) for name in OF_PAIRS}
    compared = compare_distributions(features, reference, extractors, recipe)
    enough, level = bootstrap.too_few(groups, EMOTIONS) is None, recipe.confidence_level
    probes = [
        emo_a.probe_metrics(probabilities, groups, level if enough else None).model_copy(update={"through_clip": probe.through_clip})
        for probe, probabilities in zip(extractors.emotion_probes, features.probabilities, strict=True)
    ]
    return MethodMetrics(
        images=len(groups),
        rejected=int(features.rejected.sum()),
        **compared.overall,
        lpips=_overall("lpips", measured, groups, extractors.perceptual.identity, recipe, of_pairs),
        emo_a=_recognised(probes[0], groups, extractors.emotion_probes[0].identity),
        sem_c=_overall("sem_c", measured, groups, extractors.content.identity, recipe, of_pairs),
        sem_d=_overall("sem_d", measured, groups, extractors.clip.identity, recipe, of_pairs),
        per_emotion={
            emotion: _emotion_metrics(numbers, compared.per_emotion.get(emotion, {}), recipe.confidence_level)
            for emotion, numbers in measured.items()
        },
        probes={probe.identity: numbers for probe, numbers in zip(extractors.emotion_probes, probes, strict=True)},
        polarity=colour.by_polarity(groups, features.brightness, features.colourfulness, counts, level),
        colour=colour.colour_metrics(features.brightness, features.colourfulness, groups, counts if enough else None, level),
    )


def evaluate_reference(
    features: ImageFeatures,
    source: str,
    split: str | None,
    extractors: ExtractorSet,
    recipe: EvaluationRecipe,
    pictures: PictureAccess | None = None,
    labels: LabelOrigin = "source",
    *,
    slot: Slot = nullcontext,
) -> ReferenceMetrics:
    """The same metrics of the real images: what a perfect generator would score. What compares with real images is null."""
    numbers = evaluate_method(features, None, extractors, recipe, pictures, slot=slot)
    return ReferenceMetrics(
        **numbers.model_dump(),
        source=source,
        split=split,
        labels=labels,
        of_each=drawn_of_each(features.emotions, recipe),
        short=dict(short_emotions(features.emotions, recipe)),
    )


def _measure(features: ImageFeatures, members: NDArray[np.bool_], counts: NDArray[np.float64], level: float) -> MeasuredEmotion:
    """Values and resampled values of one emotion's images, given as a mask [n]."""
    own, embeddings, pairs = counts[:, members], features.embeddings[members], features.pairs.of(members)
    hits = emo_a.correct(features.probabilities[0][members], features.emotions[members])
    of_images: dict[str, NDArray[np.floating]] = {
        "sem_c": semantics.clarity(features.object_top1[members], features.scene_top1[members]),
        "brightness": features.brightness[members],
        "colourfulness": features.colourfulness[members],
    }
    values = {name: bootstrap.mean_or_none(numbers) for name, numbers in {"emo_a": hits, **of_images}.items()}
    values |= {"lpips": lpips.mean_distance(pairs), "sem_d": semantics.mean_pair_difference(embeddings)}
    if own.shape[1] < bootstrap.MINIMUM_IMAGES:
        return MeasuredEmotion(own.shape[1], values)
    resampled = {name: bootstrap.resampled_means(numbers, own) for name, numbers in of_images.items()}
    resampled |= {"sem_d": semantics.resampled_differences(embeddings, own)}
    exact = {
        "emo_a": shares.hits_interval(hits, features.emotions[members], level),
        "lpips": lpips.interval(features.pairs, features.emotions, members, level),
    }
    return MeasuredEmotion(own.shape[1], values, resampled, {name: found for name, found in exact.items() if found is not None})


def _with_pairs(measured: dict[str, MeasuredEmotion], pairs: PairMeasurements, level: float) -> dict[str, MeasuredEmotion]:
    """Protocol "emogen": LPIPS and Sem-D are means over ten pairs."""
    result = {}
    for emotion, numbers in measured.items():
        index = EMOTIONS.index(emotion)
        own = pairs.emotions == index
        values = numbers.values | {"lpips": bootstrap.mean_or_none(pairs.lpips[own]), "sem_d": bootstrap.mean_or_none(pairs.sem_d[own])}
        resampled = {name: some for name, some in numbers.resampled.items() if name not in OF_PAIRS}
        found = {name: pairs.interval(name, level, index) for name in OF_PAIRS if resampled}
        intervals = numbers.intervals | {name: interval for name, interval in found.items() if interval is not None}
        result[emotion] = MeasuredEmotion(numbers.images, values, resampled, intervals)
    return result


def _emotion_metrics(measured: MeasuredEmotion, compared: Mapping[DistributionMetricName, Compared], level: float) -> EmotionMetrics:
    resampled = {name: bootstrap.percentile_interval(some, level, [measured.images]) for name, some in measured.resampled.items()}
    found = {name: interval for name, interval in resampled.items() if interval is not None and measured.values[name] is not None}
    intervals = dict(sorted((found | measured.intervals).items(), key=lambda item: OF_ONE_EMOTION.index(item[0])))
    intervals |= {name: found.interval for name, found in compared.items() if found.interval is not None}
    values = measured.values | {name: found.value for name, found in compared.items()}
    return EmotionMetrics(images=measured.images, intervals=intervals, **values)


def _recognised(probe: ProbeAnswers, groups: NDArray[np.int64], extractor: str) -> Estimate:
    """Emo-A: the accuracy of the first probe."""
    reason = bootstrap.too_few(groups, EMOTIONS)
    return bootstrap.estimate(probe.accuracy, probe.interval, images=len(groups), resamples=0, extractor=extractor, reason=reason)


def _overall(
    name: str,
    measured: dict[str, MeasuredEmotion],
    groups: NDArray[np.int64],
    extractor: str,
    recipe: EvaluationRecipe,
    of_pairs: Mapping[str, Interval | None],
) -> Estimate:
    """Sem-C: mean over images. LPIPS and Sem-D: mean over the emotions that have a pair; `of_pairs` are intervals of means over pairs."""
    reason: str | None
    having = {emotion: numbers for emotion, numbers in measured.items() if numbers.values[name] is not None}
    images = sum(numbers.images for numbers in having.values())
    if not having:
        reason = "not enough images: none" if not len(groups) else "not enough images: no emotion has two"
        return bootstrap.estimate(None, None, images=images, resamples=0, extractor=extractor, reason=reason)
    weights = np.array([numbers.images if name == "sem_c" else 1 for numbers in having.values()], dtype=np.float64)
    weights /= weights.sum()
    value = float(weights @ np.array([numbers.values[name] for numbers in having.values()], dtype=np.float64))
    reason = bootstrap.too_few(groups, EMOTIONS)
    if reason is not None or name in of_pairs:
        interval = of_pairs.get(name) if reason is None else None
        return bootstrap.estimate(value, interval, images=images, resamples=0, extractor=extractor, reason=reason)
    resampled = np.tensordot(weights, np.stack([numbers.resampled[name] for numbers in having.values()]), axes=1)
    interval = bootstrap.percentile_interval(resampled, recipe.confidence_level, [numbers.images for numbers in having.values()])
    return bootstrap.estimate(value, interval, images=images, resamples=recipe.resamples, extractor=extractor, reason=None)
