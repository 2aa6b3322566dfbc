"""The metrics that compare generated with real images as two distributions: FID, CMMD, precision, recall, density and coverage.

All emotions together, and within each emotion. The generated images are resampled, the real ones stay fixed.
"""

from dataclasses import dataclass, field
from typing import get_args

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
    if reference is None:
        compared = dict.fromkeys(get_args(DistributionMetricName), Compared(reason="the reference itself"))
        return DistributionNumbers({name: _estimate(name, found, features, extractors) for name, found in compared.items()})
    compared = _compare(_sets(features, reference, counts), recipe)
    overall = {name: _estimate(name, found, features, extractors) for name, found in compared.items()}
    present = np.unique(features.emotions)
    per_emotion = {EMOTIONS[index]: _compare(_sets(features, reference, counts, index), recipe, len(EMOTIONS)) for index in present}
    return DistributionNumbers(overall, per_emotion)


@dataclass(frozen=True)
class _Sets:
    """What is compared of generated and of real images, of all of them or of one emotion's."""

    emotions: NDArray[np.uint8]  # of the generated ones, [n]
    fid: tuple[NDArray[np.float32], NDArray[np.float32]]
    embeddings: tuple[NDArray[np.float32], NDArray[np.float32]]
    counts: NDArray[np.float64]  # resamples of the generated ones, [R, n]

    def lack(self, least: int) -> str | None:
        """Why a metric that needs so many images of each has no value."""
        images, real = map(len, self.fid)
        return None if min(images, real) >= least else f"not enough images: {images} generated and {real} real, needs {least} each"

    def compared(self, value: float, interval: Interval | None) -> Compared:
        """A number with its interval, unless there are too few images for one."""
        reason = bootstrap.too_few(self.emotions, EMOTIONS)
        return Compared(value, None if reason else interval, len(self.counts), reason)


def _sets(features: ImageFeatures, reference: ImageFeatures, counts: NDArray[np.float64], emotion: int | None = None) -> _Sets:
    own, real = (slice(None) if emotion is None else found.emotions == emotion for found in (features, reference))
    fids, embeddings = (features.fid[own], reference.fid[real]), (features.embeddings[own], reference.embeddings[real])
    return _Sets(features.emotions[own], fids, embeddings, counts[:, own])


def _compare(sets: _Sets, recipe: EvaluationRecipe, sharing: int = 1) -> dict[DistributionMetricName, Compared]:
    """All numbers; `sharing` sets of features share what resampling FID may cost."""
    return {"fid": _fid(sets, recipe, sharing), "cmmd": _cmmd(sets, recipe), **_manifolds(sets, recipe)}


def _cmmd(sets: _Sets, recipe: EvaluationRecipe) -> Compared:
    missing = sets.lack(cmmd.MINIMUM_IMAGES)
    if missing is not None or recipe.protocol == "emogen":
        return Compared(reason=missing or NOT_WITH_EMOGEN)
    with_whole = np.vstack([np.ones(len(sets.emotions)), sets.counts])
    value, *resampled = cmmd.resampled_discrepancies(*sets.embeddings, with_whole)
    # strata lose more pairs within an emotion than across them when an image meets itself, which shifts the resamples
    interval = bootstrap.centred_interval(float(value), np.array(resampled), recipe.confidence_level, lowest=-np.inf)
    return sets.compared(float(value), interval)


def _manifolds(sets: _Sets, recipe: EvaluationRecipe) -> dict[DistributionMetricName, Compared]:
    names: tuple[DistributionMetricName, ...] = ("precision", "recall", "density", "coverage")
    missing = sets.lack(pr.MINIMUM_IMAGES)
    if missing is not None:
        return dict.fromkeys(names, Compared(reason=missing))
    found, level = pr.compare_manifolds(*sets.fid, sets.counts, recipe.seed), recipe.confidence_level
    intervals = (
        bootstrap.percentile_interval(found.resampled_precision, level),
        bootstrap.centred_interval(found.recall, found.resampled_recall, level, highest=1.0),
        bootstrap.percentile_interval(found.resampled_density, level),
        bootstrap.centred_interval(found.coverage, found.resampled_coverage, level, highest=1.0),
    )
    values = (found.precision, found.recall, found.density, found.coverage)
    numbers = {name: sets.compared(value, interval) for name, value, interval in zip(names, values, intervals, strict=True)}
    too_few = sets.lack(pr.DENSITY_MINIMUM)
    return numbers if too_few is None else numbers | dict.fromkeys(names[2:], Compared(reason=too_few))


def _fid(sets: _Sets, recipe: EvaluationRecipe, sharing: int) -> Compared:
    missing = sets.lack(2)
    if missing is not None:
        return Compared(reason=missing)
    own, real = map(fid.gaussian_statistics, sets.fid)
    value = fid.frechet_distance(own, real)
    reason = bootstrap.too_few(sets.emotions, EMOTIONS)
    if reason is not None:
        return Compared(value, reason=reason)
    affordable = fid.affordable_resamples(sets.fid[0], real, len(sets.counts), sharing)
    resampled = fid.resampled_distances(sets.fid[0], sets.counts[:affordable], real)
    return Compared(value, bootstrap.centred_interval(value, resampled, recipe.confidence_level), len(resampled))


def _estimate(name: DistributionMetricName, found: Compared, features: ImageFeatures, extractors: ExtractorSet) -> Estimate:
    identity = extractors.clip.identity if name == "cmmd" else extractors.fid.identity
    images = len(features.emotions)
    return bootstrap.estimate(
        found.value, found.interval, images=images, resamples=found.resamples, extractor=identity, reason=found.reason
    )
