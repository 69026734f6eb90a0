"""The sections of the evaluation: predictions for labelled faces in, values for JSON out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rollcall_model.ages import BANDS, CHILD_BELOW, INTERVAL_COVERAGE
from rollcall_model.datasets.pairs import Pairs
from rollcall_model.evaluation import metrics

FARS: Final = (1e-2, 1e-3)
#: At most so many faces are compared with one another, so that memory stays bounded.
MAX_FACES: Final = 6000


class LabelledPredictions(NamedTuple):
    """Predictions for n faces, and their labels."""

    age: Float[np.ndarray, "n 101"]  # probabilities
    p_female: Float[np.ndarray, " n"]
    years: Float[np.ndarray, " n"]  # true
    female: Int[np.ndarray, " n"]  # 1, 0, or -1 without a label
    group: np.ndarray  # the set's own label of ethnicity, "" where it has none


def by_band(band: Int[np.ndarray, " n"], of: Callable[[Bool[np.ndarray, " n"]], dict[str, Any]]) -> dict[str, Any]:
    """Return `of` applied to the mask of each age band that has any face."""
    return {name: of(band == i) for i, name in enumerate(BANDS) if (band == i).any()}


def ages(faces: LabelledPredictions) -> dict[str, Any]:
    """Return the errors of the estimated age in years, and the coverage of its prediction interval."""
    estimated = metrics.estimate(faces.age)
    error = estimated - faces.years
    ends, covered = metrics.intervals(faces.age), metrics.covered(faces.age, faces.years)

    def errors(mine: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        size = np.abs(error[mine])
        return {
            "n": int(mine.sum()),
            "mae": float(size.mean()),
            "mae_half_width": float(metrics.Z95 * size.std() / np.sqrt(len(size))),  # of the 95 % confidence interval
            "bias": float(error[mine].mean()),
            "cs5": float((size <= 5).mean()),
        }

    def coverage(mine: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        width = ends[mine, 1] - ends[mine, 0]
        return {**metrics.ratio_with_range(covered[mine]), "width": float(width.mean())}

    everyone = np.ones(len(error), bool)
    true_band, estimated_band = metrics.band_of(faces.years), metrics.band_of(estimated)
    child = faces.years < CHILD_BELOW
    return {
        "all": errors(everyone),
        "child": errors(child) if child.any() else None,
        "bands": by_band(true_band, errors),
        "groups": {name: errors(faces.group == name) for name in sorted({*faces.group} - {""})},
        "interval": {
            "nominal": INTERVAL_COVERAGE,
            "all": coverage(everyone),
            "by_true_age": by_band(true_band, coverage),
            "by_estimated_age": by_band(estimated_band, coverage),
        },
    }


def gender(faces: LabelledPredictions) -> dict[str, Any]:
    """Return the accuracy of gender by age and by ethnicity label, and the calibration of `p_female`."""
    known = np.flatnonzero(faces.female >= 0)
    p, truth = faces.p_female[known], faces.female[known] == 1
    right = (p > 0.5) == truth
    from_13, group = faces.years[known] >= CHILD_BELOW, faces.group[known]

    def accuracy(mine: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        return metrics.ratio_with_range(right[mine])

    groups = {name: accuracy((group == name) & from_13) for name in sorted({*group} - {""})}
    ranked = sorted((line["ratio"], name) for name, line in groups.items() if line["n"])
    return {
        "all": accuracy(np.ones(len(p), bool)),
        "from_13": accuracy(from_13),
        "below_13": accuracy(~from_13),
        "women_from_13": accuracy(truth & from_13),
        "men_from_13": accuracy(~truth & from_13),
        "bands": by_band(metrics.band_of(faces.years[known]), accuracy),
        "groups_from_13": groups,
        "gap": {"best": ranked[-1][1], "worst": ranked[0][1], "points": 100 * (ranked[-1][0] - ranked[0][0])}
        if len(ranked) > 1
        else None,
        "ece": metrics.calibration_error(p, truth),
        "ece_from_13": metrics.calibration_error(p[from_13], truth[from_13]) if from_13.any() else None,
        "ece_below_13": metrics.calibration_error(p[~from_13], truth[~from_13]) if (~from_13).any() else None,
        "reliability": metrics.reliability(p, truth),
    }


def child(faces: LabelledPredictions) -> dict[str, Any]:
    """Return how well children are separated from others, and the calibration of `p_child`."""
    p, truth = metrics.p_child(faces.age), faces.years < CHILD_BELOW
    thresholds, precision, recall = metrics.precision_recall(p, truth)
    recall_at_95, threshold = metrics.recall_at_precision(p, truth)
    shown = np.unique(np.searchsorted(recall, np.linspace(0, recall[-1], 200)))
    return {
        "n": len(p),
        "children": int(truth.sum()),
        "average_precision": metrics.average_precision(p, truth),
        "recall_at_95_precision": recall_at_95,
        "threshold_at_95_precision": threshold if np.isfinite(threshold) else None,
        "at_one_half": {
            "precision": float(truth[p > 0.5].mean()) if (p > 0.5).any() else None,
            "recall": float((p[truth] > 0.5).mean()) if truth.any() else None,
        },
        "ece": metrics.calibration_error(p, truth),
        "reliability": metrics.reliability(p, truth),
        "curve": [[float(c[i]) for c in (recall, precision, thresholds)] for i in shown],
    }


def protocol(embedding: Float[np.ndarray, "n d"], pairs: Pairs) -> dict[str, Any]:
    """Return the accuracy over the protocol's pairs, and the true accept rates at low false accept rates."""
    similarity = pairs.cosine_similarities(embedding)
    folds = metrics.fold_accuracies(similarity, pairs.same, pairs.fold)
    genuine, impostors = similarity[pairs.same], similarity[~pairs.same]
    return {
        "pairs": len(similarity),
        "folds": len(folds),
        "accuracy": float(np.mean(folds)),
        "deviation": float(np.std(folds)),
        "tar": {f"{far:g}": float((genuine > metrics.threshold_at_far(impostors, far)).mean()) for far in FARS},
    }


def all_pairs(embedding: Float[np.ndarray, "n d"], identity: np.ndarray) -> dict[str, Any]:
    """Return the true accept rates at low false accept rates over all pairs of faces, averaged over people."""
    if len(embedding) > MAX_FACES:
        chosen = np.sort(np.random.default_rng(0).choice(len(embedding), MAX_FACES, replace=False))
        embedding, identity = embedding[chosen], identity[chosen]
    _, person = np.unique(identity, return_inverse=True)
    similarity = embedding @ embedding.T
    upper = np.triu(np.ones(similarity.shape, bool), 1)
    same = person[:, None] == person
    impostors = similarity[upper & ~same]
    rows, columns = np.nonzero(upper & same)
    genuine, person_of_pair = similarity[rows, columns], person[rows]
    counts = np.bincount(person_of_pair, minlength=person.max() + 1)
    result: dict[str, Any] = {
        "faces": len(embedding),
        "people": int(person.max()) + 1,
        "people_with_pairs": int((counts > 0).sum()),
        "impostor_pairs": len(impostors),
        "tar": {},
        "threshold": {},
    }
    for far in FARS:
        threshold = metrics.threshold_at_far(impostors, far)
        accepted = np.bincount(person_of_pair, genuine > threshold, minlength=len(counts))
        result["tar"][f"{far:g}"] = float((accepted[counts > 0] / counts[counts > 0]).mean())
        result["threshold"][f"{far:g}"] = threshold
    return result


def strangers(embedding: Float[np.ndarray, "n d"], years: Float[np.ndarray, " n"], threshold: float) -> dict[str, Any]:
    """Return how often two faces of one age band, assumed to be two people, are more similar than `threshold`."""

    def false_accepts(mine: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        some = embedding[np.flatnonzero(mine)[:MAX_FACES]]
        similarity = (some @ some.T)[np.triu_indices(len(some), 1)]
        rate = float((similarity > threshold).mean()) if len(similarity) else None
        return {"faces": len(some), "pairs": len(similarity), "false_accept_rate": rate}

    return by_band(metrics.band_of(years), false_accepts)
