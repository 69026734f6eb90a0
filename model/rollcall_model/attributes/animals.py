"""Heads of animals, and other things, that the detector takes for faces: told from faces by several signs together.

The detector sees a face in the heads of many dogs and cats, and in a tree now and then. The identity embedding, which
was learnt on people alone, puts them apart; the refiner finds their landmarks crowded together or beside the middle of
the box; the detector is less sure of them. A plane divides them from faces. It was fitted to one network's embeddings
and is kept in the metadata of its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float64

from rollcall_model import checkpoint
from rollcall_model.types import Detections

#: The weight of the squared plane in the fit: embeddings have unit length.
_RIDGE: Final = 0.03
#: The signs beside the embedding: spread of the landmarks, their distance from the middle, logit, size.
SIGNS: Final = 4
#: Shares of a box's side are multiplied by this, so that they vary as much as the other signs.
_SHARES: Final = 10.0
#: Sides of boxes are counted in so many pixels; from the second number on they are alike, since the fit saw few.
_SIDES: Final = (100.0, 300.0)
_LEAST_PROBABILITY: Final = 1e-3

#: Embeddings (n, d) and the boxes that they are of.
Sample: TypeAlias = tuple[Float[np.ndarray, "n d"], Detections]


class AnimalPlane(NamedTuple):
    """A plane between animals' heads and people's faces: weights of the embedding, and of the `signs` of a box."""

    weights: tuple[float, ...]
    bias: float
    least: float  # the logit of a person's face below which a face is left out
    sign_weights: tuple[float, ...] = (0.0,) * SIGNS

    def logits(self, embeddings: Float[np.ndarray, "n d"], found: Detections) -> Float64[np.ndarray, " n"]:
        """Return the logit of being a person's face, for embeddings of unit length."""
        of_signs = signs(found) @ np.array(self.sign_weights)
        return np.asarray(embeddings.astype(np.float64) @ np.array(self.weights) + of_signs + self.bias)

    def are_animals(self, embeddings: Float[np.ndarray, "n d"], found: Detections) -> Bool[np.ndarray, " n"]:
        """Return which faces are those of animals; an embedding of NaN is that of none."""
        return self.logits(embeddings, found) < self.least


def signs(found: Detections) -> Float64[np.ndarray, "n 4"]:
    """Return what tells faces from other things beside their embeddings, in the pixels that the detector saw.

    The columns: how far the landmarks lie apart and how far their mean is from the box's middle, in tenths of the box's
    side; the logit of the probability; the logarithm of the side.
    """
    boxes, landmarks = found.boxes.astype(np.float64), found.landmarks.astype(np.float64)
    sides = np.sqrt(np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 1.0))
    centres = landmarks.mean(axis=1)
    spread = np.sqrt(((landmarks - centres[:, None]) ** 2).sum(axis=2).mean(axis=1)) / sides
    offset = np.linalg.norm(centres - (boxes[:, :2] + boxes[:, 2:]) / 2, axis=1) / sides
    likely = np.clip(found.scores.astype(np.float64), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    unit, most = _SIDES
    size = np.log(np.minimum(sides, most) / unit)
    return np.stack([spread * _SHARES, offset * _SHARES, np.log(likely / (1 - likely)), size], axis=1)


def of_weights(metadata: Mapping[str, Any]) -> AnimalPlane | None:
    """Return the plane that was fitted to some weights, given their metadata; None if there is none."""
    found = metadata.get("animals")
    plane: AnimalPlane | None = checkpoint.configured(AnimalPlane, found) if found else None
    return plane


def fit(animals: Sample, people: Sample, least: float) -> AnimalPlane:
    """Return the plane by logistic regression, penalised by its squared length (Newton's method).

    Both are embeddings of unit length, and the boxes that they are of.
    """
    inputs = np.concatenate(
        [np.concatenate([one.astype(np.float64), signs(found)], axis=1) for one, found in (animals, people)]
    )
    design = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    is_person = np.arange(len(design)) >= len(animals[0])
    penalty = np.diag([_RIDGE] * inputs.shape[1] + [1e-6])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (is_person - p) - penalty @ weights
        step = np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design + penalty, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-6:
            break
    rounded = tuple(weights.round(4).tolist())
    return AnimalPlane(rounded[: -SIGNS - 1], rounded[-1], least, rounded[-SIGNS - 1 : -1])
