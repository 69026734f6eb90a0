"""Heads of animals that the detector takes for faces: their embeddings tell them from people's.

The detector sees a face in the heads of many dogs and cats. The identity embedding, which was learnt on people alone,
puts them apart, so that a plane divides them. It was fitted to one network's embeddings and is kept in the metadata of
its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64

from rollcall_model import checkpoint

#: The weight of the squared plane in the fit: embeddings have unit length.
_RIDGE: Final = 0.1


class AnimalPlane(NamedTuple):
    """A plane between the embeddings of animals' heads and those of people's faces."""

    weights: tuple[float, ...]
    bias: float
    least: float  # the logit of a person's face below which a face is left out

    def logits(self, embeddings: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """Return the logit of being a person's face, for embeddings of unit length."""
        return np.asarray(embeddings.astype(np.float64) @ np.array(self.weights) + self.bias)

    def are_animals(self, embeddings: Float[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
        """Return which embeddings are those of animals; NaN is none."""
        return self.logits(embeddings) < self.least


def of_weights(metadata: Mapping[str, Any]) -> AnimalPlane | None:
    """Return the plane that was fitted to some weights, given their metadata; None if there is none."""
    found = metadata.get("animals")
    plane: AnimalPlane | None = checkpoint.configured(AnimalPlane, found) if found else None
    return plane


def fit(animals: Float[np.ndarray, "n d"], people: Float[np.ndarray, "m d"], least: float) -> AnimalPlane:
    """Return the plane by logistic regression, penalised by its squared length (Newton's method)."""
    embeddings = np.concatenate([animals, people]).astype(np.float64)
    design = np.concatenate([embeddings, np.ones((len(embeddings), 1))], axis=1)
    is_person = np.arange(len(design)) >= len(animals)
    penalty = np.diag([_RIDGE] * animals.shape[1] + [1e-6])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (is_person - p) - penalty @ weights
        step = np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design + penalty, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-6:
            break
    return AnimalPlane(tuple(weights[:-1].round(4).tolist()), round(float(weights[-1]), 4), least)
