"""How many faces a detector finds, and how many of its boxes are none, over pictures with true boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, UInt8

from rollcall_model.detection import boxes as bx
from rollcall_model.types import Detections

#: A box finds a face from this IoU on.
FOUND_IOU: Final = 0.5


class Labelled(NamedTuple):
    """A picture and its true boxes; `ignored` ones need not be found, and finding them is no error."""

    image: UInt8[np.ndarray, "h w 3"]  # RGB
    boxes: Float32[np.ndarray, "n 4"]
    ignored: Bool[np.ndarray, " n"]


class Curve(NamedTuple):
    """Recall and precision over all thresholds of the score, the highest first."""

    thresholds: Float64[np.ndarray, " k"]
    recall: Float64[np.ndarray, " k"]
    precision: Float64[np.ndarray, " k"]

    def recall_at(self, precision: float) -> tuple[float, float]:
        """Return the highest recall at such a precision or better, and its threshold; 0 and 1 if there is none."""
        good = np.flatnonzero(self.precision >= precision)
        if not len(good):
            return 0.0, 1.0
        best = good[self.recall[good].argmax()]
        return float(self.recall[best]), float(self.thresholds[best])


def match(found: Detections, true: Labelled) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return whether each box finds a face, and whether it counts; each face is found once, by the highest score.

    A box does not count where it finds an ignored face, or lies mostly inside one.
    """
    correct, counts = np.zeros(len(found.scores), bool), np.ones(len(found.scores), bool)
    free = np.ones(len(true.boxes), bool)
    if not len(true.boxes):
        return correct, counts
    overlaps = bx.iou(found.boxes, true.boxes)
    inside = bx.intersection(found.boxes, true.boxes) / np.maximum(bx.area(found.boxes), 1)[:, None]
    for index in np.argsort(-found.scores, kind="stable"):
        candidates = np.where(free & ~true.ignored, overlaps[index], 0)
        best = int(candidates.argmax())
        if candidates[best] >= FOUND_IOU:
            correct[index], free[best] = True, False
        elif (true.ignored & ((overlaps[index] >= FOUND_IOU) | (inside[index] >= FOUND_IOU))).any():
            counts[index] = False
    return correct, counts


class Scored(NamedTuple):
    """Every box that counts of some pictures."""

    scores: Float64[np.ndarray, " n"]
    sides: Float64[np.ndarray, " n"]  # in pixels of the pictures
    correct: Bool[np.ndarray, " n"]
    faces: int  # true ones, found or not


def score_all(detect: Callable[[UInt8[np.ndarray, "h w 3"]], Detections], pictures: Iterable[Labelled]) -> Scored:
    """Return the boxes of a detector whose threshold is low."""
    scores: list[Float[np.ndarray, " n"]] = [np.zeros(0)]
    sides: list[Float[np.ndarray, " n"]] = [np.zeros(0)]
    correct: list[Bool[np.ndarray, " n"]] = [np.zeros(0, bool)]
    faces = 0
    for picture in pictures:
        found = detect(picture.image)
        right, counted = match(found, picture)
        scores.append(found.scores[counted])
        sides.append(np.sqrt(bx.area(found.boxes[counted])))
        correct.append(right[counted])
        faces += int((~picture.ignored).sum())
    all_scores, all_sides = (np.concatenate(column).astype(np.float64) for column in (scores, sides))
    return Scored(all_scores, all_sides, np.concatenate(correct), faces)


def curve(found: Scored) -> Curve:
    """Return recall and precision over all thresholds."""
    order = np.argsort(-found.scores, kind="stable")
    true = np.cumsum(found.correct[order])
    return Curve(found.scores[order], true / max(found.faces, 1), true / np.arange(1, len(order) + 1))


def fit_score(found: Scored, least_side: float) -> tuple[float, float, float]:
    """Return scale and shift of the scores' logits so that a score is the probability of a face (Platt 1999).

    The third number is the weight of the logarithm of a box's side over `least_side`, that of the smallest face which
    counts, where the box is smaller.
    """
    logits = np.log(np.clip(found.scores, 1e-6, 1 - 1e-6) / (1 - np.clip(found.scores, 1e-6, 1 - 1e-6)))
    small = np.log(np.clip(found.sides / least_side, 1e-3, 1))
    design = np.stack([logits, np.ones_like(logits), small], axis=1)
    weights = np.array([1.0, 0.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (found.correct - p) - 1e-3 * weights
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-3 * np.eye(3)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-6:
            break
    scale, shift, weight = weights.tolist()
    return scale, shift, weight
