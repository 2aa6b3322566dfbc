"""The metrics that compare generated with real images as two distributions: FID, CMMD, precision and recall.

All emotions together, and within each emotion. The generated images are resampled, the real ones stay fixed.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation import cmmd, fid
from coemogen_core.evaluation import precision_recall as pr
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.statistics import bootstrap
from schemas.metrics import DistributionMetricName, Estimate, Interval

NOT_WITH_EMOGEN = "not under protocol emogen: its CLIP sees pictures that were rescaled twice"


@dataclass(frozen=True)
class Compared:
    """One number and its interval; without a value, why."""

    value: float | None = None
    interval: Interval | None = None
    resamples: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class DistributionNumbers:
    """All emotions together as estimates, and each emotion's numbers by metric."""

    overall: dict[DistributionMetricName, Estimate]
    per_emotion: dict[str, dict[DistributionMetricName, Compared]] = field(default_factory=dict)


def compare_distributions(
    features: ImageFeatures,
    reference: ImageFeatures | None,
    counts: NDArray[np.float64],
    extractors: ExtractorSet,
    recipe: EvaluationRecipe,
) -> DistributionNumbers:
    """Compare generated images with real ones.

    Args:
        features: features of the generated images.
        reference: features of the real ones; None leaves every number null.
        counts: resamples of the generated images, [R, n].
        extractors: only their identities are read.
        recipe: protocol and level of the intervals.
    """
    compared = _compare(features, reference, counts, recipe)
    overall = {name: _estimate(name, found, features, extractors) for name, found in compared.items()}
    if reference is None:
        return DistributionNumbers(overall)
    per_emotion = {}
    for index in np.unique(features.emotions):
        own, real = features.emotions == index, reference.emotions == index
        per_emotion[EMOTIONS[index]] = _compare(_chosen(features, own), _chosen(reference, real), counts[:, own], recipe, len(EMOTIONS))
    return DistributionNumbers(overall, per_emotion)


@dataclass(frozen=True)
class _Vectors:
    """The part of ImageFeatures that is compared here, of some images."""

    emotions: NDArray[np.uint8]
    fid: NDArray[np.float32]
    embeddings: NDArray[np.float32]


def _chosen(features: ImageFeatures, members: NDArray[np.bool_]) -> _Vectors:
    return _Vectors(features.emotions[members], features.fid[members], features.embeddings[members])


def _compare(
    features: ImageFeatures | _Vectors,
    reference: ImageFeatures | _Vectors | None,
    counts: NDArray[np.float64],
    recipe: EvaluationRecipe,
    sharing: int = 1,
) -> dict[DistributionMetricName, Compared]:
    """All four numbers; `sharing` sets of features share what resampling FID may cost."""
    return {
        "fid": _fid(features, reference, counts, recipe, sharing),
        "cmmd": _cmmd(features, reference, counts, recipe),
        **_precision_recall(features, reference, counts, recipe),
    }


def _cmmd(
    features: ImageFeatures | _Vectors, reference: ImageFeatures | _Vectors | None, counts: NDArray[np.float64], recipe: EvaluationRecipe
) -> Compared:
    missing = _missing(len(features.emotions), reference, cmmd.MINIMUM_IMAGES)
    if missing is not None or reference is None or recipe.protocol == "emogen":
        return Compared(reason=missing or NOT_WITH_EMOGEN)
    with_whole = np.vstack([np.ones(len(features.emotions)), counts])
    value, *resampled = cmmd.resampled_discrepancies(features.embeddings, reference.embeddings, with_whole)
    # strata lose more pairs within an emotion than across them when an image meets itself, which shifts the resamples
    interval = bootstrap.centred_interval(float(value), np.array(resampled), recipe.confidence_level, lowest=-np.inf)
    return _compared(float(value), interval, len(counts), features)


def _precision_recall(
    features: ImageFeatures | _Vectors, reference: ImageFeatures | _Vectors | None, counts: NDArray[np.float64], recipe: EvaluationRecipe
) -> dict[DistributionMetricName, Compared]:
    missing = _missing(len(features.emotions), reference, pr.MINIMUM_IMAGES)
    if missing is not None or reference is None:
        return {"precision": Compared(reason=missing), "recall": Compared(reason=missing)}
    found, level = pr.precision_recall(features.fid, reference.fid, counts), recipe.confidence_level
    precise = bootstrap.percentile_interval(found.resampled_precision, level)
    recalled = bootstrap.centred_interval(found.recall, found.resampled_recall, level, highest=1.0)
    return {
        "precision": _compared(found.precision, precise, len(counts), features),
        "recall": _compared(found.recall, recalled, len(counts), features),
    }


def _fid(
    features: ImageFeatures | _Vectors,
    reference: ImageFeatures | _Vectors | None,
    counts: NDArray[np.float64],
    recipe: EvaluationRecipe,
    sharing: int,
) -> Compared:
    missing = _missing(len(features.emotions), reference, 2)
    if missing is not None or reference is None:
        return Compared(reason=missing)
    real = fid.gaussian_statistics(reference.fid)
    value = fid.frechet_distance(fid.gaussian_statistics(features.fid), real)
    reason = bootstrap.too_few(features.emotions, EMOTIONS)
    if reason is not None:
        return Compared(value, reason=reason)
    resampled = fid.resampled_distances(features.fid, counts[: fid.affordable_resamples(features.fid, real, len(counts), sharing)], real)
    return Compared(value, bootstrap.centred_interval(value, resampled, recipe.confidence_level), len(resampled))


def _missing(images: int, reference: ImageFeatures | _Vectors | None, least: int) -> str | None:
    if reference is None:
        return "the reference itself"
    real = len(reference.emotions)
    return None if min(images, real) >= least else f"not enough images: {images} generated and {real} real, needs {least} each"


def _compared(value: float, interval: Interval | None, resamples: int, features: ImageFeatures | _Vectors) -> Compared:
    """A number with its interval, unless there are too few images for one."""
    reason = bootstrap.too_few(features.emotions, EMOTIONS)
    return Compared(value, None if reason else interval, resamples, reason)


def _estimate(name: DistributionMetricName, found: Compared, features: ImageFeatures, extractors: ExtractorSet) -> Estimate:
    identity = extractors.clip.identity if name == "cmmd" else extractors.fid.identity
    images = len(features.emotions)
    return bootstrap.estimate(
        found.value, found.interval, images=images, resamples=found.resamples, extractor=identity, reason=found.reason
    )
