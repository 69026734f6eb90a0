"""Metrics of probabilities, ages and similarities: pure functions of NumPy arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int

from rollcall_model.ages import BANDS, CHILD_BELOW, INTERVAL_COVERAGE, OLDEST

#: Bins of the expected calibration error.
BINS: Final = 15
#: Standard normal quantile of a 95 % confidence interval.
Z95: Final = 1.96


def estimate(age: Float[np.ndarray, "n 101"]) -> Float[np.ndarray, " n"]:
    """Return the estimated ages in years: the medians of the distributions."""
    cumulative = np.cumsum(np.asarray(age, np.float64), axis=1)
    return np.asarray((cumulative < cumulative[:, -1:] / 2).sum(axis=1), np.float64)


def expectation(age: Float[np.ndarray, "n 101"]) -> Float[np.ndarray, " n"]:
    """Return the expected ages in years: the means of the distributions."""
    return np.asarray(age, np.float64) @ np.arange(OLDEST + 1)


def p_child(age: Float[np.ndarray, "n 101"]) -> Float[np.ndarray, " n"]:
    """Return the probability of an age below 13."""
    return np.clip(np.asarray(age, np.float64)[:, :CHILD_BELOW].sum(axis=1), 0, 1)


def intervals(age: Float[np.ndarray, "n 101"], coverage: float = INTERVAL_COVERAGE) -> Float[np.ndarray, "n 2"]:
    """Return the central interval, in years, with the probability mass `coverage` of each distribution.

    Each year's mass is uniform over [year - 0.5, year + 0.5); the ends are clipped to 0..100.
    """
    mass = np.asarray(age, np.float64)
    cumulative = np.concatenate([np.zeros((len(mass), 1)), np.cumsum(mass, axis=1)], axis=1)
    cumulative /= cumulative[:, -1:]
    rows = np.arange(len(mass))
    ends = []
    for level in ((1 - coverage) / 2, (1 + coverage) / 2):
        # The last edge whose cumulative mass does not exceed the level: its bin cannot be empty.
        edge = (cumulative <= level).sum(axis=1) - 1
        low, high = cumulative[rows, edge], cumulative[rows, edge + 1]
        ends.append(edge - 0.5 + (level - low) / (high - low))
    return np.clip(np.stack(ends, axis=1), 0, OLDEST)


def covered(age: Float[np.ndarray, "n 101"], years: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return whether each interval contains the true age; 100 stands for 100 and above."""
    ends, truth = intervals(age), np.minimum(years, OLDEST)
    return (ends[:, 0] <= truth) & (truth <= ends[:, 1])


def band_of(years: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return the position in `ages.BANDS` of each age; fractions are rounded to the nearest year."""
    starts = [low for low, _ in BANDS.values()]
    return np.digitize(np.rint(years), starts) - 1


def reliability(p: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], bins: int = BINS) -> list[dict[str, float]]:
    """Return count, mean prediction and true ratio of each non-empty bin of equal width (a reliability diagram)."""
    number = np.minimum((np.asarray(p) * bins).astype(int), bins - 1)
    return [
        {"n": int(mine.sum()), "predicted": float(p[mine].mean()), "true": float(truth[mine].mean())}
        for mine in (number == i for i in range(bins))
        if mine.any()
    ]


def calibration_error(p: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], bins: int = BINS) -> float:
    """Return the expected calibration error (Naeini et al. 2015): the mean gap of prediction and truth over bins."""
    table = reliability(p, truth, bins)
    return float(sum(line["n"] * abs(line["predicted"] - line["true"]) for line in table) / len(p))


def average_precision(scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    """Return the average precision: the mean of the precisions at each positive, highest score first."""
    ranked = truth[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(ranked)
    return float((hits / np.arange(1, len(ranked) + 1))[ranked].mean()) if ranked.any() else 0.0


def precision_recall(
    scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Return descending thresholds, and the precision and recall of "at least the threshold" at each."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    # Faces with equal scores are above a threshold together.
    last = np.append(ranked[1:] != ranked[:-1], True)
    count = np.flatnonzero(last) + 1
    return ranked[last], hits[last] / count, hits[last] / max(int(truth.sum()), 1)


def recall_at_precision(
    scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], precision: float = 0.95
) -> tuple[float, float]:
    """Return the highest recall with at least this precision, and its threshold; (0, inf) if there is none."""
    thresholds, precisions, recalls = precision_recall(scores, truth)
    precise = np.flatnonzero(precisions >= precision)
    if not len(precise):
        return 0.0, float("inf")
    return float(recalls[precise[-1]]), float(thresholds[precise[-1]])


def threshold_at_far(impostors: Float[np.ndarray, " n"], far: float) -> float:
    """Return the cosine similarity that at most a fraction `far` of the impostor pairs exceeds."""
    allowed = int(far * len(impostors))
    return float(np.partition(impostors, len(impostors) - 1 - allowed)[len(impostors) - 1 - allowed])


def verification(scores: Float[np.ndarray, " n"], same: Bool[np.ndarray, " n"], folds: Int[np.ndarray, " n"]) -> float:
    """Return the verification accuracy by LFW's protocol (Huang et al. 2007): see `fold_accuracies`."""
    return float(np.mean(fold_accuracies(scores, same, folds)))


def fold_accuracies(
    scores: Float[np.ndarray, " n"], same: Bool[np.ndarray, " n"], folds: Int[np.ndarray, " n"]
) -> list[float]:
    """Return the accuracy in each fold, with the threshold that is best on the others."""
    accuracies = []
    for fold in np.unique(folds):
        other, mine = folds != fold, folds == fold
        candidates = np.quantile(scores[other], np.linspace(0, 1, 401))
        hits = [((scores[other] > t) == same[other]).mean() for t in candidates]
        best = candidates[int(np.argmax(hits))]
        accuracies.append(float(((scores[mine] > best) == same[mine]).mean()))
    return accuracies


def ratio_with_range(hits: Bool[np.ndarray, " n"]) -> dict[str, Any]:
    """Return a ratio and its 95 % confidence interval (Wilson 1927)."""
    n = len(hits)
    if not n:
        return {"n": 0, "ratio": None, "low": None, "high": None}
    z, p = Z95, float(hits.mean())
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half_width = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return {
        "n": n,
        "ratio": p,
        "low": min(max(middle - half_width, 0.0), p),
        "high": max(min(middle + half_width, 1.0), p),
    }
