"""The main scores of exported weights, as training logs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from rollcall_model.ages import CHILD_BELOW
from rollcall_model.attributes.model import AttributeModel
from rollcall_model.datasets.faces import Faces, central_crops
from rollcall_model.datasets.pairs import pairs_of
from rollcall_model.evaluation import metrics

_RANDOM_PAIRS = 20_000


def attribute_scores(
    age: Float[np.ndarray, "n 101"],
    p_female: Float[np.ndarray, " n"],
    years: Float[np.ndarray, " n"],
    female: Int[np.ndarray, " n"],
) -> dict[str, float]:
    """Return the scores of predicted ages and genders against the labels; ages in years."""
    error = np.abs(metrics.estimate(age) - years)
    child = years < CHILD_BELOW
    right = (p_female > 0.5) == (female == 1)
    return {
        "mae": float(error.mean()),
        "mae_child": float(error[child].mean()) if child.any() else float("nan"),
        "cs5": float((error <= 5).mean()),
        "gender": float(right.mean()),
        "gender_13": float(right[~child].mean()) if (~child).any() else float("nan"),
        "child_ap": metrics.average_precision(metrics.p_child(age), child),
    }


def quick_scores(weights: Path, faces: Faces, folder: Path | None = None) -> dict[str, float]:
    """Return the main scores of weights on the validation faces; `folder` is that of the data sets, for pairs.

    Faces without an age label are scored for identity.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """
    model = AttributeModel(weights)
    rows = faces.where(split="val")
    labelled = faces.with_age(rows)
    scores: dict[str, float] = {}
    if len(labelled):
        found = model(central_crops(faces, labelled, model.size))
        years, female = faces.ages[labelled].mean(axis=1), faces.female[labelled]
        scores |= attribute_scores(found.age, found.p_female, years, female)
    others = np.setdiff1d(rows, labelled)
    if len(others):
        embedding = model(central_crops(faces, others, model.size)).embedding
        scores["teacher_cosine"] = float((embedding * faces.teacher[others, 0]).sum(1).mean())
        identity = np.array([faces.samples[row].identity for row in others])
        if len(np.unique(identity)) < len(identity):
            scores["pairs_auc"] = _pairs_auc(embedding, identity)
        pairs = pairs_of(faces, others, folder)
        if pairs is not None:
            scores["lfw"] = metrics.verification(pairs.cosine_similarities(embedding), pairs.same, pairs.fold)
    return {name: round(value, 4) for name, value in scores.items()}


def _pairs_auc(embedding: Float[np.ndarray, "n d"], identity: np.ndarray) -> float:
    """Return the probability that a pair of one person is more similar than a pair of two, over random pairs."""
    rng = np.random.default_rng(0)
    order = np.argsort(identity, kind="stable")
    same = np.flatnonzero(identity[order][1:] == identity[order][:-1])
    a, b = order[same], order[same + 1]
    x, y = rng.integers(0, len(identity), (2, _RANDOM_PAIRS))
    different = identity[x] != identity[y]
    positive = (embedding[a] * embedding[b]).sum(1)
    negative = np.sort((embedding[x[different]] * embedding[y[different]]).sum(1))
    return float(np.searchsorted(negative, positive).mean() / len(negative))
