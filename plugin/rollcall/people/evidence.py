"""What similarities, ages and dates say about whether two faces are one person.

The constants are fitted by `python -m rollcall_model.evaluation.people fit` on people with labels, those of the models
in `posterior.py` by `benchmarks/fit_questions.py`, and stored in `evidence.json`; they hold for embeddings of the
network that they name.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.search import nuisance

#: Faces below these are weak: too small, blurred or unsure to found a group. Sharpness as of `records.Face`.
WEAK_SCORE: Final = 0.9
WEAK_SHARPNESS: Final = 25.0
#: The shorter side of a box in pixels of the full picture.
WEAK_SIDE: Final = 28.0
#: Added to the standard deviation of an estimated age, in years and as a share of the age: neighbouring photos of one
#: person err alike, which the distributions do not know.
AGE_FLOOR: Final = 1.5
AGE_SHARE: Final = 0.12
#: The standard deviation of the birth date of somebody with many faces does not fall below this share of that of the
#: best of them.
BIRTH_SHARE: Final = 0.5
#: An estimated birth date is used where it is as certain as this, in years, and rests on so many faces.
MOST_DEVIATION: Final = 1.5
LEAST_FACES: Final = 5
#: A photo from so many years before the estimated birth of somebody does not show them: the estimate may err by a year,
#: and nobody shall be on photos from more than three years before the true one.
BEFORE_ESTIMATE: Final = 2.0


class Evidence(NamedTuple):
    """The fitted constants."""

    weights: str  # the name of the network's weights
    midpoint: float  # the cosine at which two adults' faces are one person with a probability of one half
    steepness: float
    link: float  # mean similarity of smoothed embeddings from which two groups of `people` are one
    people: float
    more: float  # what each natural logarithm of more people adds to it: who is compared with more is like more
    most: float  # and what it comes to at most
    small: float  # what two single faces need beyond that; less, the larger the groups
    attach: float  # the same from which a weak face belongs to a group
    member_midpoint: float  # of the probability of a member, by its similarity to the others of its group
    member_steepness: float
    age_knots: NDArray[np.float64]  # (k,) years at which the next two are known
    impostor_mean: NDArray[np.float64]  # (k,) mean cosine of faces of different people of this age
    impostor_deviation: NDArray[np.float64]  # (k,)

    def threshold(self, people: int) -> float:
        """Return the mean similarity from which two groups are one, in a library of about so many people."""
        return float(min(max(self.link + self.more * np.log(max(people, 1) / self.people), self.link), self.most))

    def adult_equivalent(
        self, cosine: NDArray[np.floating], ages: NDArray[np.floating], other_ages: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Return cosines as they would count between adults: those of small children are higher by chance."""
        mean = np.minimum(self._at(ages, self.impostor_mean), self._at(other_ages, self.impostor_mean))
        deviation = np.sqrt(self._at(ages, self.impostor_deviation) * self._at(other_ages, self.impostor_deviation))
        return np.asarray(self.impostor_mean[-1] + (cosine - mean) * (self.impostor_deviation[-1] / deviation))

    def probability(self, cosine: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability that two faces are one person, from their adult-equivalent cosine."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.steepness * (np.asarray(cosine, np.float64) - self.midpoint))))

    def member_probability(self, similarity: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability that a face belongs to a group, from its similarity to the group's others."""
        return np.asarray(
            1.0 / (1.0 + np.exp(-self.member_steepness * (np.asarray(similarity, np.float64) - self.member_midpoint)))
        )

    def _at(self, ages: NDArray[np.floating], values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = np.where(np.isnan(ages), self.age_knots[-1], ages)
        return np.interp(known, self.age_knots, values)


@cache
def stored_constants() -> dict[str, Any]:
    """Return all fitted constants that come with this package, as they are stored."""
    found: dict[str, Any] = json.loads(resources.files(__package__).joinpath("evidence.json").read_text("utf-8"))
    return found


@cache
def evidence() -> Evidence:
    """Return the fitted constants of grouping that come with this package."""
    stored = stored_constants()
    fields: dict[str, Any] = {name: stored[name] for name in Evidence._fields}
    arrays: dict[str, Any] = {name: np.array(one) if isinstance(one, list) else one for name, one in fields.items()}
    return Evidence(**arrays)


@cache
def constants_version() -> str:
    """Return a text that changes with the constants by which faces are grouped."""
    own = resources.files(__package__).joinpath("evidence.json").read_text("utf-8")
    return sha256((own + nuisance.stored()).encode()).hexdigest()[:16]


class Births(NamedTuple):
    """Posteriors of birth dates, in years of the calendar; a deviation of infinity where nothing is known."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def births(ages: NDArray[np.floating], age_deviations: NDArray[np.floating], taken: NDArray[np.floating]) -> Births:
    """Return the birth dates of faces of some ages and capture dates, all in years; NaN where one is unknown."""
    deviation = np.hypot(age_deviations, AGE_FLOOR + AGE_SHARE * ages)
    # A completed year of age is half a year more on average.
    mean = taken - ages - 0.5
    known = np.isfinite(mean) & np.isfinite(deviation)
    return Births(np.where(known, mean, 0.0), np.where(known, deviation, np.inf))


def combined(mean: NDArray[np.floating], deviation: NDArray[np.floating]) -> tuple[float, float] | None:
    """Return mean and deviation of the birth date of one person from those of several faces; None if unknown.

    The mean is one of Huber's: a face that is somebody else, or a date that is wrong, moves it little.
    """
    known = np.isfinite(deviation)
    if not known.any():
        return None
    values, sigma = np.asarray(mean, np.float64)[known], np.asarray(deviation, np.float64)[known]
    centre = float(np.median(values))
    for _ in range(5):
        distance = np.abs(values - centre) / sigma
        weight = np.minimum(1.0, 1.5 / np.maximum(distance, 1e-9)) / sigma**2
        centre = float((weight * values).sum() / weight.sum())
    spread = float(max(1.0 / np.sqrt((1.0 / sigma**2).sum()), BIRTH_SHARE * sigma.min()))
    return centre, spread


def earliest_photo(mean: NDArray[np.floating], deviation: NDArray[np.floating]) -> float:
    """Return when photos of somebody can begin, in years, by the births of their faces; minus infinity if unsure."""
    birth = combined(mean, deviation) if np.isfinite(deviation).sum() >= LEAST_FACES else None
    if birth is None or birth[1] > MOST_DEVIATION:
        return -np.inf
    return birth[0] - BEFORE_ESTIMATE


def misfit(
    mean: NDArray[np.floating],
    deviation: NDArray[np.floating],
    other_mean: NDArray[np.floating],
    other_deviation: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return what two birth dates take from a similarity, 0 and up: nothing within two deviations, then up to 1."""
    variance = np.asarray(deviation, np.float64) ** 2 + np.asarray(other_deviation, np.float64) ** 2
    with np.errstate(invalid="ignore"):
        squared = np.where(np.isfinite(variance), (mean - other_mean) ** 2 / np.maximum(variance, 1e-6), 0.0)
    return np.minimum(np.maximum(squared - 4.0, 0.0) * 0.03, 1.0)
