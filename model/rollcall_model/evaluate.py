"""How good the attribute network is, on faces it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from rollcall_model import data
from rollcall_model.attributes import AttributeModel

CHILD_BELOW = 13


def central(faces: data.Faces, rows: np.ndarray, size: int) -> np.ndarray:
    """Return the network's crops of the stored ones, unchanged: uint8 (n, size, size, 3)."""
    low = (data.STORED - data.CROP) // 2
    part = np.asarray(faces.crops[rows, low : low + data.CROP, low : low + data.CROP])
    if size == data.CROP:
        return part
    import cv2

    return np.stack([cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) for crop in part])


def average_precision(scores: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    """Return the mean of the precisions at each true one, best score first."""
    ranked = truth[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(ranked)
    return float((hits / np.arange(1, len(ranked) + 1))[ranked].mean()) if ranked.any() else 0.0


def verification(scores: Float[np.ndarray, " n"], same: Bool[np.ndarray, " n"], folds: np.ndarray) -> float:
    """Return the accuracy of same/different by LFW's protocol: each fold's threshold is found on the others."""
    right = []
    for fold in np.unique(folds):
        other, mine = folds != fold, folds == fold
        candidates = np.quantile(scores[other], np.linspace(0, 1, 401))
        hits = [((scores[other] > t) == same[other]).mean() for t in candidates]
        best = candidates[int(np.argmax(hits))]
        right.append(((scores[mine] > best) == same[mine]).mean())
    return float(np.mean(right))


def attribute_scores(age: np.ndarray, p_female: np.ndarray, years: np.ndarray, female: np.ndarray) -> dict[str, float]:
    """Return the scores of age distributions (n, 101) and probabilities against true years and genders."""
    expected = age @ np.arange(age.shape[1])
    error = np.abs(expected - years)
    child = years < CHILD_BELOW
    right = (p_female > 0.5) == (female == 1)
    p_child = age[:, :CHILD_BELOW].sum(axis=1)
    return {
        "mae": float(error.mean()),
        "mae_child": float(error[child].mean()) if child.any() else float("nan"),
        "cs5": float((error <= 5).mean()),
        "gender": float(right.mean()),
        "gender_13": float(right[~child].mean()) if (~child).any() else float("nan"),
        "child_ap": average_precision(p_child, child),
    }


def pair_scores(folder: Path, names: dict[str, int], embedding: np.ndarray) -> float:
    """Return the verification accuracy over the pairs of `folder`/lfw-dev-pairs.csv."""
    import csv

    with (folder / "lfw-dev-pairs.csv").open(newline="", encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if r["a"] in names and r["b"] in names]
    a = embedding[[names[r["a"]] for r in rows]]
    b = embedding[[names[r["b"]] for r in rows]]
    return verification(
        (a * b).sum(1), np.array([r["same"] == "1" for r in rows]), np.array([int(r["fold"]) for r in rows])
    )


def quick(weights: Path, faces: data.Faces, folder: Path | None = None) -> dict[str, Any]:
    """Return the main scores of exported weights on the validation rows."""
    model = AttributeModel(weights)
    rows = faces.where(split="val")
    labelled = rows[faces.ages[rows, 0] != data.UNKNOWN]
    found = model(central(faces, labelled, model.size))
    scores = attribute_scores(
        found.age, found.p_female, faces.ages[labelled].mean(axis=1), faces.female[labelled]
    )
    others = np.setdiff1d(rows, labelled)
    if len(others):
        embedding = model(central(faces, others, model.size)).embedding
        teacher = faces.teacher[others, 0]
        scores["teacher_cosine"] = float((embedding * teacher).sum(1).mean())
        identities = np.array([faces.samples[row].identity for row in others])
        scores["pairs_auc"] = _pairs_auc(embedding, identities)
        if folder is not None and (folder / "lfw-dev-pairs.csv").exists():
            names = {faces.samples[row].file: i for i, row in enumerate(others) if faces.samples[row].source == "lfw"}
            scores["lfw"] = pair_scores(folder, names, embedding)
    return {name: round(value, 4) for name, value in scores.items()}


def _pairs_auc(embedding: np.ndarray, identities: np.ndarray) -> float:
    """Return how often a pair of one person is more alike than a pair of two, over random pairs."""
    rng = np.random.default_rng(0)
    order = np.argsort(identities, kind="stable")
    same = np.flatnonzero(identities[order][1:] == identities[order][:-1])
    a, b = order[same], order[same + 1]
    x, y = rng.integers(0, len(identities), (2, 20_000))
    different = identities[x] != identities[y]
    positive = (embedding[a] * embedding[b]).sum(1)
    negative = np.sort((embedding[x[different]] * embedding[y[different]]).sum(1))
    return float(np.searchsorted(negative, positive).mean() / len(negative))
