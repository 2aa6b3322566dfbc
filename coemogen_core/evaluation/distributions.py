"""The metrics that compare generated with real images as two distributions: FID, KID, CMMD, precision, recall, density and coverage.

All emotions together, equally many images of each, and within each emotion. Intervals are of the generated images, each of which is left
out once; the real ones stay fixed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation import cmmd, fid, kid
from coemogen_core.evaluation import precision_recall as pr
from coemogen_core.evaluation.balance import balanced_rows
from coemogen_core.evaluation.definitions import DEFINITIONS
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.evaluation.mmd import MINIMUM_IMAGES, Discrepancy
from coemogen_core.evaluation.pairwise import evenly_thinned
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.statistics import bootstrap, jackknife, shares
from schemas.metrics import DistributionMetricName, Estimate, Interval

NOT_WITH_EMOGEN = "not under protocol emogen: its CLIP sees pictures that were rescaled twice"


@dataclass(frozen=True)
class Compared:
    """One number and its interval; without a value, why."""

    value: float | None = None
    interval: Interval | None = None
    images: int = 0
    """how many generated images the interval is of"""
    reason: str | None = None


@dataclass(frozen=True)
class DistributionNumbers:
    """All emotions together as estimates, and each emotion's numbers by metric."""

    overall: dict[DistributionMetricName, Estimate]
    per_emotion: dict[str, dict[DistributionMetricName, Compared]] = field(default_factory=dict)


def compare_distributions(
    features: ImageFeatures, reference: ImageFeatures | None, extractors: ExtractorSet, recipe: EvaluationRecipe
) -> DistributionNumbers:
    """Compare generated images with real ones.

    Args:
        features: features of the generated images.
        reference: features of the real ones; None leaves every number null.
        extractors: only their identities are read.
        recipe: protocol, seed of the draws of real images, and level of the intervals.
    """
    if reference is None:
        images = len(features.emotions)
        compared = dict.fromkeys(get_args(DistributionMetricName), Compared(reason="the reference itself"))
        return DistributionNumbers({name: _estimate(name, found, images, extractors) for name, found in compared.items()})
    both = (features.emotions, reference.emotions)
    generated, real = balanced_rows(both[0], recipe, both[1]), balanced_rows(both[1], recipe, both[0])
    compared = _compare(_sets(features, reference, generated, real), recipe)
    overall = {name: _estimate(name, found, len(generated), extractors) for name, found in compared.items()}
    per_emotion = {
        EMOTIONS[index]: _compare(
            _sets(features, reference, *(np.flatnonzero(found.emotions == index) for found in (features, reference))), recipe
        )
        for index in np.unique(features.emotions)
    }
    return DistributionNumbers(overall, per_emotion)


@dataclass(frozen=True)
class _Sets:
    """What is compared of generated and of real images, of all of them or of one emotion's."""

    emotions: tuple[NDArray[np.uint8], NDArray[np.uint8]]  # of generated [n] and of real [m] images
    fid: tuple[NDArray[np.float32], NDArray[np.float32]]
    embeddings: tuple[NDArray[np.float32], NDArray[np.float32]]

    def lack(self, least: int) -> str | None:
        """Why a metric that needs so many images of each has no value."""
        images, real = map(len, self.fid)
        return None if min(images, real) >= least else f"not enough images: {images} generated and {real} real, needs {least} each"


def _sets(features: ImageFeatures, reference: ImageFeatures, own: NDArray[np.intp], real: NDArray[np.intp]) -> _Sets:
    return _Sets(
        (features.emotions[own], reference.emotions[real]),
        (features.fid[own], reference.fid[real]),
        (features.embeddings[own], reference.embeddings[real]),
    )


def _compare(sets: _Sets, recipe: EvaluationRecipe) -> dict[DistributionMetricName, Compared]:
    return {
        "fid": _fid(sets, recipe),
        "kid": _discrepancy(sets, "kid", kid.discrepancy, sets.fid, recipe),
        "cmmd": _cmmd(sets, recipe),
        **_manifolds(sets, recipe),
    }


def _fid(sets: _Sets, recipe: EvaluationRecipe) -> Compared:
    missing = sets.lack(2)
    if missing is not None:
        return Compared(reason=missing)
    own, real = map(fid.gaussian_statistics, sets.fid)
    value = fid.frechet_distance(own, real)
    if (reason := bootstrap.too_few(sets.emotions[0], EMOTIONS)) is not None:
        return Compared(value, reason=reason)
    error = jackknife.spread(fid.left_out_distances(sets.fid[0], real), sets.emotions[0])
    return _with_interval(value, error, sets.emotions[0], recipe, "fid")


def _cmmd(sets: _Sets, recipe: EvaluationRecipe) -> Compared:
    if recipe.protocol == "emogen":
        return Compared(reason=sets.lack(MINIMUM_IMAGES) or NOT_WITH_EMOGEN)
    return _discrepancy(sets, "cmmd", cmmd.discrepancy, sets.embeddings, recipe)


def _discrepancy(
    sets: _Sets,
    name: DistributionMetricName,
    metric: Callable[..., Discrepancy],
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    recipe: EvaluationRecipe,
) -> Compared:
    missing = sets.lack(MINIMUM_IMAGES)
    if missing is not None:
        return Compared(reason=missing)
    found = metric(*vectors)
    groups = sets.emotions[0][evenly_thinned(len(vectors[0]))]
    enough = bootstrap.too_few(groups, EMOTIONS) is None
    return _with_interval(found.value, jackknife.spread(found.left_out, groups) if enough else None, groups, recipe, name)


def _manifolds(sets: _Sets, recipe: EvaluationRecipe) -> dict[DistributionMetricName, Compared]:
    names: tuple[DistributionMetricName, ...] = ("precision", "recall", "density", "coverage")
    missing = sets.lack(pr.MINIMUM_IMAGES)
    if missing is not None:
        return dict.fromkeys(names, Compared(reason=missing))
    found = pr.compare_manifolds(*sets.fid, recipe.seed, sets.emotions)
    groups = sets.emotions[0][found.kept]
    measured = zip(names, (found.precision, found.recall, found.density, found.coverage), strict=True)
    numbers = {name: _with_interval(number.value, number.spread, groups, recipe, name) for name, number in measured}
    too_few = sets.lack(pr.DENSITY_MINIMUM)
    return numbers if too_few is None else numbers | dict.fromkeys(names[2:], Compared(reason=too_few))


def _with_interval(
    value: float, error: jackknife.Spread | None, groups: NDArray[np.uint8], recipe: EvaluationRecipe, name: DistributionMetricName
) -> Compared:
    """A number with its interval, unless there are too few images for one."""
    reason = bootstrap.too_few(groups, EMOTIONS)
    if reason is not None or error is None:
        return Compared(value, reason=reason or f"not enough images for an interval: {len(groups)}")
    level, images = recipe.confidence_level, len(groups)
    if DEFINITIONS[name].high is None:
        interval = jackknife.student_interval(value, error, level, DEFINITIONS[name].low)
    else:
        # real images near each other are found together or not at all: so many say at most as much as so many apart
        alone = (value * (1 - value) / images) ** 0.5 if name in ("recall", "coverage") else 0.0
        interval = shares.share_interval(value, max(error.standard_error, alone), images, level)
    return Compared(value, interval, images)


def _estimate(name: DistributionMetricName, found: Compared, images: int, extractors: ExtractorSet) -> Estimate:
    identity = extractors.clip.identity if name == "cmmd" else extractors.fid.identity
    return bootstrap.estimate(found.value, found.interval, images=images, resamples=found.images, extractor=identity, reason=found.reason)
