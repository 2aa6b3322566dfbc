"""Intervals of shares, which lie between 0 and 1.

Wilson's score interval (Wilson 1927) of an effective number of images (Korn & Graubard 1998): as many as would know the share as exactly,
by its standard error, if each were right or wrong by itself. It stays within 0 and 1, and has a width where every image is right, or none.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from coemogen_core.statistics.jackknife import left_out_means, spread
from schemas.metrics import Interval


def hits_interval(hits: NDArray[np.floating] | NDArray[np.bool_], groups: NDArray[np.integer], level: float) -> Interval | None:
    """The interval of the mean of hits [n], 0 or 1 each, within groups (emotions) [n] of fixed size; None where a group has one image."""
    if len(hits) < 2 or np.unique(groups, return_counts=True)[1].min() < 2:
        return None
    return share_interval(float(np.mean(hits)), spread(left_out_means(hits), groups).standard_error, len(hits), level)


def share_interval(share: float, standard_error: float, images: int, level: float) -> Interval:
    """The interval of a share of so many images; without a standard error, as of images that are right or wrong by themselves."""
    exact = standard_error > 0 and 0 < share < 1
    effective = share * (1 - share) / standard_error**2 if exact else images
    z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2 / effective
    centre, reach = share + z2 / 2, float(np.sqrt(z2 * share * (1 - share) + z2**2 / 4))
    low, high = (centre - reach) / (1 + z2), (centre + reach) / (1 + z2)
    return Interval(low=float(np.clip(low, 0, share)), high=float(np.clip(high, share, 1)))  # rounding leaves the share within
