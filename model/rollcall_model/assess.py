"""The sections of the evaluation: what was said of labelled faces in, numbers that go to JSON out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rollcall_model import measures
from rollcall_model.measures import BANDS, CHILD_BELOW

FARS: Final = (1e-2, 1e-3)
#: Likenesses between more faces than this are sampled, so that memory stays bounded.
MOST_FACES: Final = 6000


class Said(NamedTuple):
    """What the network said of n labelled faces, and what is true of them."""

    age: Float[np.ndarray, "n 101"]  # probabilities
    p_female: Float[np.ndarray, " n"]
    years: Float[np.ndarray, " n"]  # true
    female: Int[np.ndarray, " n"]  # 1, 0, or -1 where the set does not say
    group: np.ndarray  # the set's own label of ethnicity, "" where it has none


class Pairs(NamedTuple):
    """The protocol's pairs: rows of an array of embeddings."""

    a: Int[np.ndarray, " m"]
    b: Int[np.ndarray, " m"]
    same: Bool[np.ndarray, " m"]
    fold: Int[np.ndarray, " m"]


def by_band(band: Int[np.ndarray, " n"], of: Callable[[Bool[np.ndarray, " n"]], dict[str, Any]]) -> dict[str, Any]:
    """Return what `of` makes of the faces of each band of ages that has any."""
    return {name: of(band == i) for i, name in enumerate(BANDS) if (band == i).any()}


def ages(said: Said) -> dict[str, Any]:
    """Return the errors of the estimated age, and how often the 80 % interval holds the true one."""
    estimated = measures.estimate(said.age)
    error = estimated - said.years
    ends, held = measures.intervals(said.age), measures.held(said.age, said.years)

    def errors(mine: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        size = np.abs(error[mine])
        return {
            "n": int(mine.sum()),
            "mae": float(size.mean()),
            "mae_reach": float(1.96 * size.std() / np.sqrt(len(size))),  # half of the 95 % range
            "bias": float(error[mine].mean()),
            "cs5": float((size <= 5).mean()),
        }

    def coverage(mine: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        width = ends[mine, 1] - ends[mine, 0]
        return {**measures.share_with_range(held[mine]), "width": float(width.mean())}

    everyone = np.ones(len(error), bool)
    true_band, said_band = measures.band_of(said.years), measures.band_of(estimated)
    child = said.years < CHILD_BELOW
    return {
        "all": errors(everyone),
        "child": errors(child) if child.any() else None,
        "bands": by_band(true_band, errors),
        "groups": {name: errors(said.group == name) for name in sorted({*said.group} - {""})},
        "interval": {
            "wanted": measures.SHARE,
            "all": coverage(everyone),
            "by_true_age": by_band(true_band, coverage),
            "by_estimated_age": by_band(said_band, coverage),
        },
    }


def gender(said: Said) -> dict[str, Any]:
    """Return how often gender is right, by age and by ethnicity, and how far `p_female` can be believed."""
    known = np.flatnonzero(said.female >= 0)
    p, truth = said.p_female[known], said.female[known] == 1
    right = (p > 0.5) == truth
    grown, group = said.years[known] >= CHILD_BELOW, said.group[known]

    def accuracy(mine: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        return measures.share_with_range(right[mine])

    groups = {name: accuracy((group == name) & grown) for name in sorted({*group} - {""})}
    ranked = sorted((line["share"], name) for name, line in groups.items() if line["n"])
    return {
        "all": accuracy(np.ones(len(p), bool)),
        "from_13": accuracy(grown),
        "below_13": accuracy(~grown),
        "women_from_13": accuracy(truth & grown),
        "men_from_13": accuracy(~truth & grown),
        "bands": by_band(measures.band_of(said.years[known]), accuracy),
        "groups_from_13": groups,
        "gap": {"best": ranked[-1][1], "worst": ranked[0][1], "points": 100 * (ranked[-1][0] - ranked[0][0])}
        if len(ranked) > 1
        else None,
        "ece": measures.calibration_error(p, truth),
        "ece_from_13": measures.calibration_error(p[grown], truth[grown]) if grown.any() else None,
        "ece_below_13": measures.calibration_error(p[~grown], truth[~grown]) if (~grown).any() else None,
        "reliability": measures.reliability(p, truth),
    }


def child(said: Said) -> dict[str, Any]:
    """Return how well children are told from others, and how far `p_child` can be believed."""
    p, truth = measures.p_child(said.age), said.years < CHILD_BELOW
    thresholds, precision, recall = measures.precision_recall(p, truth)
    best, threshold = measures.recall_at_precision(p, truth)
    every = np.unique(np.searchsorted(recall, np.linspace(0, recall[-1], 200)))
    return {
        "n": len(p),
        "children": int(truth.sum()),
        "average_precision": measures.average_precision(p, truth),
        "recall_at_95_precision": best,
        "threshold_at_95_precision": threshold if np.isfinite(threshold) else None,
        "at_one_half": {
            "precision": float(truth[p > 0.5].mean()) if (p > 0.5).any() else None,
            "recall": float((p[truth] > 0.5).mean()) if truth.any() else None,
        },
        "ece": measures.calibration_error(p, truth),
        "reliability": measures.reliability(p, truth),
        "curve": [[float(c[i]) for c in (recall, precision, thresholds)] for i in every],
    }


def protocol(embedding: Float[np.ndarray, "n d"], pairs: Pairs) -> dict[str, Any]:
    """Return the accuracy over the protocol's pairs, and the true accepts at few false ones among them."""
    likeness = (embedding[pairs.a] * embedding[pairs.b]).sum(axis=1)
    folds = measures.fold_accuracies(likeness, pairs.same, pairs.fold)
    genuine, impostors = likeness[pairs.same], likeness[~pairs.same]
    return {
        "pairs": len(likeness),
        "folds": len(folds),
        "accuracy": float(np.mean(folds)),
        "deviation": float(np.std(folds)),
        "tar": {f"{far:g}": float((genuine > measures.threshold_at_far(impostors, far)).mean()) for far in FARS},
    }


def all_pairs(embedding: Float[np.ndarray, "n d"], identity: np.ndarray) -> dict[str, Any]:
    """Return the true accepts at few false ones over every pair of faces, each person counting the same."""
    if len(embedding) > MOST_FACES:
        chosen = np.sort(np.random.default_rng(0).choice(len(embedding), MOST_FACES, replace=False))
        embedding, identity = embedding[chosen], identity[chosen]
    _, person = np.unique(identity, return_inverse=True)
    likeness = embedding @ embedding.T
    upper = np.triu(np.ones(likeness.shape, bool), 1)
    same = person[:, None] == person
    impostors = likeness[upper & ~same]
    rows, columns = np.nonzero(upper & same)
    genuine, whose = likeness[rows, columns], person[rows]
    counts = np.bincount(whose, minlength=person.max() + 1)
    result: dict[str, Any] = {
        "faces": len(embedding),
        "people": int(person.max()) + 1,
        "people_with_pairs": int((counts > 0).sum()),
        "impostor_pairs": len(impostors),
        "tar": {},
        "threshold": {},
    }
    for far in FARS:
        threshold = measures.threshold_at_far(impostors, far)
        accepted = np.bincount(whose, genuine > threshold, minlength=len(counts))
        result["tar"][f"{far:g}"] = float((accepted[counts > 0] / counts[counts > 0]).mean())
        result["threshold"][f"{far:g}"] = threshold
    return result


def strangers(embedding: Float[np.ndarray, "n d"], years: Float[np.ndarray, " n"], threshold: float) -> dict[str, Any]:
    """Return how often two faces of one band of ages, taken to be two people, are more alike than `threshold`."""

    def taken_for_one(mine: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        some = embedding[np.flatnonzero(mine)[:MOST_FACES]]
        likeness = (some @ some.T)[np.triu_indices(len(some), 1)]
        share = float((likeness > threshold).mean()) if len(likeness) else None
        return {"faces": len(some), "pairs": len(likeness), "taken_for_one": share}

    return by_band(measures.band_of(years), taken_for_one)
