"""Age distributions and named age groups.

An age distribution is a vector of 101 probabilities, one for each completed year of age 0..100
(100 stands for 100 and above). Everything that Rollcall reports of an age is computed from it here:
the estimate, the 80 % interval, and the probability of a group. Pure functions of arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: How many ages a distribution has: completed years 0..100.
AGES: Final = 101
OLDEST: Final = AGES - 1
#: The probability that the interval of an age holds.
INTERVAL: Final = 0.80
#: More than the rounding of a sum over all ages, and less than any probability that matters.
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class AgeGroup:
    """A named range of completed years, both ends included."""

    name: str
    low: int
    high: int


#: The groups of the search language and the tags. An age may be in several: babies are children, too.
AGE_GROUPS: Final[dict[str, AgeGroup]] = {
    group.name: group
    for group in (
        AgeGroup("babies", 0, 2),
        AgeGroup("toddlers", 1, 3),
        AgeGroup("children", 0, 12),
        AgeGroup("teenagers", 13, 19),
        AgeGroup("adults", 20, OLDEST),
        AgeGroup("seniors", 60, OLDEST),
    )
}


#: A photo with at least this many faces is a group photo, in tags and in searches.
GROUP_PHOTO_FACES: Final = 5


def range_share(low: int, high: int, wanted_low: int, wanted_high: int) -> float:
    """Return the share of the ages `low` to `high` that lies in `wanted_low` to `wanted_high`, all included, 0..1.

    This is the probability of a group where a person gave a range of ages instead of a distribution. A wanted range
    that reaches to `OLDEST` has no upper end.
    """
    top = max(wanted_high, high) if wanted_high >= OLDEST else wanted_high
    return max(min(high, top) - max(low, wanted_low) + 1, 0) / (high - low + 1)


def mass(distribution: ArrayLike, low: int, high: int) -> NDArray[np.float64]:
    """Return the probability of an age from `low` to `high` years, both included.

    The last axis of `distribution`, of length 101, is summed over; the result has the shape of the others.
    """
    array = np.asarray(distribution, dtype=np.float64)
    low, high = max(low, 0), max(min(high, OLDEST), -1)
    total: NDArray[np.float64] = np.clip(array[..., low : high + 1].sum(axis=-1), 0.0, 1.0)
    return total


def group_masses(distribution: ArrayLike) -> dict[str, float]:
    """Return, by name in `AGE_GROUPS`, the `mass` of each group for one distribution (101,)."""
    array = np.asarray(distribution, dtype=np.float64)
    # Of one number NumPy's clip takes ten times as long as its sum.
    return {group.name: _within(array[group.low : group.high + 1].sum()) for group in AGE_GROUPS.values()}


def estimate(distribution: ArrayLike) -> NDArray[np.float64]:
    """Return the median of distributions, in completed years, over the last axis of length 101.

    Its absolute error is smaller than that of the mean, most of all for children, whose distributions have a long tail
    on one side only.
    """
    cumulative = np.cumsum(np.asarray(distribution, dtype=np.float64), axis=-1)
    years: NDArray[np.float64] = (cumulative < cumulative[..., -1:] / 2).sum(axis=-1).astype(np.float64)
    return years


def interval(distribution: ArrayLike, share: float = INTERVAL) -> tuple[float, float]:
    """Return the central interval, in years, that holds `share` of one distribution.

    Each year's mass is taken as spread evenly over [year - 0.5, year + 0.5), so that the ends move
    smoothly with the distribution instead of jumping from year to year; they are clipped to 0..100.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(np.asarray(distribution, dtype=np.float64))])
    cumulative /= cumulative[-1]
    edges = np.arange(AGES + 1) - 0.5
    tail = (1.0 - share) / 2.0
    # Where nothing lies between two years, a tail may end anywhere between them: rounding must not decide where.
    low, high = np.interp([tail + _ROUNDING, 1.0 - tail - _ROUNDING], cumulative, edges)
    return float(np.clip(low, 0.0, OLDEST)), float(np.clip(high, 0.0, OLDEST))


def at_least(probabilities: Iterable[float]) -> NDArray[np.float64]:
    """Return for k = 1..n the probability that at least k of n independent events happen."""
    exactly = [1.0]  # exactly[k]: that k of the events so far happened
    # Photos show few people: lists are several times as quick as arrays here, and this runs for every photo.
    for p in map(_within, probabilities):
        exactly.append(0.0)
        for k in range(len(exactly) - 1, 0, -1):
            exactly[k] = exactly[k] * (1.0 - p) + exactly[k - 1] * p
        exactly[0] *= 1.0 - p
    result: NDArray[np.float64] = np.clip(np.cumsum(exactly[::-1])[::-1][1:], 0.0, 1.0)
    return result


def any_of(probabilities: Iterable[float]) -> float:
    """Return the probability that at least one of independent events happens (0 for none)."""
    return 1.0 - math.prod(1.0 - p for p in map(_within, probabilities))


def _within(probability: float) -> float:
    return min(max(float(probability), 0.0), 1.0)
