"""Measures of how good probabilities, ages and likenesses are: pure functions of NumPy arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int

OLDEST: Final = 100
#: A child is under 13: the mass of the ages below it is `p_child`.
CHILD_BELOW: Final = 13
#: The share that the interval of an age is meant to hold.
SHARE: Final = 0.80
BINS: Final = 15
#: Completed years, both ends included.
BANDS: Final[dict[str, tuple[int, int]]] = {
    "0-2": (0, 2),
    "3-12": (3, 12),
    "13-19": (13, 19),
    "20-39": (20, 39),
    "40-59": (40, 59),
    "60-79": (60, 79),
    "80+": (80, 200),
}


def estimate(age: Float[np.ndarray, "n 101"]) -> Float[np.ndarray, " n"]:
    """Return the estimated ages in years: the medians."""
    cumulative = np.cumsum(np.asarray(age, np.float64), axis=1)
    return np.asarray((cumulative < cumulative[:, -1:] / 2).sum(axis=1), np.float64)


def expectation(age: Float[np.ndarray, "n 101"]) -> Float[np.ndarray, " n"]:
    """Return the expected ages in years."""
    return np.asarray(age, np.float64) @ np.arange(OLDEST + 1)


def p_child(age: Float[np.ndarray, "n 101"]) -> Float[np.ndarray, " n"]:
    """Return the probability of an age below 13."""
    return np.clip(np.asarray(age, np.float64)[:, :CHILD_BELOW].sum(axis=1), 0, 1)


def intervals(age: Float[np.ndarray, "n 101"], share: float = SHARE) -> Float[np.ndarray, "n 2"]:
    """Return the central interval in years that holds `share` of each distribution.

    Each year's mass is spread evenly over [year - 0.5, year + 0.5); the ends are clipped to 0..100.
    """
    mass = np.asarray(age, np.float64)
    cumulative = np.concatenate([np.zeros((len(mass), 1)), np.cumsum(mass, axis=1)], axis=1)
    cumulative /= cumulative[:, -1:]
    rows = np.arange(len(mass))
    ends = []
    for level in ((1 - share) / 2, (1 + share) / 2):
        # The last edge whose cumulative mass does not pass the level: its bin cannot be empty.
        edge = (cumulative <= level).sum(axis=1) - 1
        low, high = cumulative[rows, edge], cumulative[rows, edge + 1]
        ends.append(edge - 0.5 + (level - low) / (high - low))
    return np.clip(np.stack(ends, axis=1), 0, OLDEST)


def held(age: Float[np.ndarray, "n 101"], years: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Say whose interval holds the true age; 100 stands for 100 and above."""
    ends, truth = intervals(age), np.minimum(years, OLDEST)
    return (ends[:, 0] <= truth) & (truth <= ends[:, 1])


def band_of(years: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return the position in `BANDS` of each age; fractions count to the nearest year."""
    starts = [low for low, _ in BANDS.values()]
    return np.digitize(np.rint(years), starts) - 1


def reliability(p: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], bins: int = BINS) -> list[dict[str, float]]:
    """Return, for equally wide bins of probability that are not empty, what was said and what was true."""
    number = np.minimum((np.asarray(p) * bins).astype(int), bins - 1)
    return [
        {"n": int(mine.sum()), "said": float(p[mine].mean()), "true": float(truth[mine].mean())}
        for mine in (number == i for i in range(bins))
        if mine.any()
    ]


def calibration_error(p: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], bins: int = BINS) -> float:
    """Return the expected calibration error: the mean gap between said and true, over the faces (ECE)."""
    return float(sum(line["n"] * abs(line["said"] - line["true"]) for line in reliability(p, truth, bins)) / len(p))


def average_precision(scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    """Return the mean of the precisions at each true one, best score first."""
    ranked = truth[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(ranked)
    return float((hits / np.arange(1, len(ranked) + 1))[ranked].mean()) if ranked.any() else 0.0


def precision_recall(
    scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Return thresholds, falling, and the precision and recall of "at least the threshold" at each."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    # Faces of one score stand or fall together.
    last = np.append(ranked[1:] != ranked[:-1], True)
    count = np.flatnonzero(last) + 1
    return ranked[last], hits[last] / count, hits[last] / max(int(truth.sum()), 1)


def recall_at_precision(
    scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], precision: float = 0.95
) -> tuple[float, float]:
    """Return the highest recall that has at least this precision, and its threshold; (0, inf) if none has."""
    thresholds, precisions, recalls = precision_recall(scores, truth)
    good = np.flatnonzero(precisions >= precision)
    if not len(good):
        return 0.0, float("inf")
    return float(recalls[good[-1]]), float(thresholds[good[-1]])


def threshold_at_far(impostors: Float[np.ndarray, " n"], far: float) -> float:
    """Return the likeness that at most a share `far` of the pairs of two people goes beyond."""
    allowed = int(far * len(impostors))
    return float(np.partition(impostors, len(impostors) - 1 - allowed)[len(impostors) - 1 - allowed])


def verification(scores: Float[np.ndarray, " n"], same: Bool[np.ndarray, " n"], folds: Int[np.ndarray, " n"]) -> float:
    """Return the accuracy of same/different by LFW's protocol: each fold's threshold is found on the others."""
    return float(np.mean(fold_accuracies(scores, same, folds)))


def fold_accuracies(
    scores: Float[np.ndarray, " n"], same: Bool[np.ndarray, " n"], folds: Int[np.ndarray, " n"]
) -> list[float]:
    """Return the accuracy in each fold, its threshold found on the others."""
    right = []
    for fold in np.unique(folds):
        other, mine = folds != fold, folds == fold
        candidates = np.quantile(scores[other], np.linspace(0, 1, 401))
        hits = [((scores[other] > t) == same[other]).mean() for t in candidates]
        best = candidates[int(np.argmax(hits))]
        right.append(float(((scores[mine] > best) == same[mine]).mean()))
    return right


def share_with_range(hits: Bool[np.ndarray, " n"]) -> dict[str, Any]:
    """Return a share and the range it lies in with 95 % confidence (Wilson 1927)."""
    n = len(hits)
    if not n:
        return {"n": 0, "share": None, "low": None, "high": None}
    z, p = 1.96, float(hits.mean())
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return {"n": n, "share": p, "low": min(max(middle - reach, 0.0), p), "high": max(min(middle + reach, 1.0), p)}
