"""Thresholds of automatic tags and the probability of a match, measured with the weights for their metadata."""

from __future__ import annotations

from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rollcall_model.ages import OLDEST, TAG_GROUPS
from rollcall_model.evaluation.fit import minimise
from rollcall_model.evaluation.metrics import threshold_at_far

#: Precisions that a user may choose, the probabilities that are tried, and the fewest faces above a threshold.
PRECISIONS: Final = (0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99)
CANDIDATES: Final = np.linspace(0.5, 0.99, 99)
MIN_FACES: Final = 20
#: Safety margin: the fraction of the way from the wanted precision to 1 that is required in addition.
MARGIN: Final = 0.3
#: Where the fit of the similarity starts, which is also about what networks of this kind have.
_START: Final = (0.75, 40.0)


#: Impostor pairs that exceed `same_person`, genuine pairs below `other_person`, and genuine pairs below `renamed`.
_SAME_PERSON_FAR: Final = 0.01
_OTHER_PERSON_FRR: Final = 0.001
_RENAMED_QUANTILE: Final = 0.75


class Similarity(NamedTuple):
    """What cosine similarities of embeddings mean.

    The probability of a match is the logistic function of steepness * (cosine similarity - midpoint).
    """

    midpoint: float
    steepness: float
    same_person: float  # at least: one person, if the pictures are versions of one
    other_person: float  # below: two people
    renamed: float  # at least, at the same place of two pictures: one face in versions of one picture


def threshold_at_precision(p: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], precision: float) -> float | None:
    """Return the lowest probability above which a tag has this precision; None if there is none from 0.5 on.

    Both the observed precision and the mean of the probabilities must reach it with a margin, because the next faces
    are others.
    """
    wanted = precision + MARGIN * (1 - precision)
    for threshold in CANDIDATES:
        above = p >= threshold
        if above.sum() < MIN_FACES:
            return None
        if min(truth[above].mean(), p[above].mean()) >= wanted:
            return round(float(threshold), 3)
    return None


def tag_thresholds(
    age: Float[np.ndarray, "n 101"],
    p_female: Float[np.ndarray, " n"],
    years: Float[np.ndarray, " n"],
    female: Int[np.ndarray, " n"],
) -> dict[str, dict[str, float | None]]:
    """Return for each of `ages.TAG_GROUPS` and each of `PRECISIONS` the threshold of its tag; ages in years."""
    result = {}
    for name, group in TAG_GROUPS.items():
        p = age[:, group.low : group.high + 1].sum(axis=1)
        truth = (years >= group.low) & ((years <= group.high) | (group.high >= OLDEST))
        if group.female is not None:
            p, truth = p * (p_female if group.female else 1 - p_female), truth & (female == group.female)
        result[name] = {f"{precision:g}": threshold_at_precision(p, truth, precision) for precision in PRECISIONS}
    return result


def match_thresholds(genuine: Float[np.ndarray, " g"], impostors: Float[np.ndarray, " i"]) -> dict[str, float]:
    """Return the thresholds of `Similarity` from the cosine similarities of pairs of one and of two people.

    Pictures of one person are usually taken years apart; versions of one picture are more similar than three in four of
    their pairs.
    """
    return {
        "same_person": round(threshold_at_far(impostors, _SAME_PERSON_FAR), 3),
        "other_person": round(float(np.quantile(genuine, _OTHER_PERSON_FRR)), 3),
        "renamed": round(float(np.quantile(genuine, _RENAMED_QUANTILE)), 3),
    }


def fit_similarity(cosine: Float[np.ndarray, " m"], same: Bool[np.ndarray, " m"]) -> tuple[float, float]:
    """Return midpoint and steepness of the logistic fit of "one person" to cosine similarities of labelled pairs.

    Pairs of one and of two people count the same in sum, so that at the midpoint either is as likely.
    """
    weight = np.where(same, 0.5 / max(same.sum(), 1), 0.5 / max((~same).sum(), 1))
    start = np.array([_START[0], np.log(_START[1])])
    arrays = (jnp.asarray(cosine, jnp.float32), jnp.asarray(same, jnp.float32), jnp.asarray(weight, jnp.float32))
    midpoint, log_steepness = minimise(_similarity_objective, start, *arrays)
    return round(float(midpoint), 4), round(float(np.exp(log_steepness)), 2)


def _similarity_objective(theta: Array, cosine: Array, same: Array, weight: Array) -> Array:
    logit = jnp.exp(theta[1]) * (cosine - theta[0])
    return (weight * (jax.nn.softplus(logit) - same * logit)).sum()
