"""An adaptation: a small change of the predictions, learnt from corrections, and how it changes a face.

Pure functions of arrays. The parameters are defined and fitted by the networks' package (`adapt`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rollcall.ages import AGES
from rollcall.records import Face

#: The number of random Fourier features of an embedding.
FEATURES: Final = 512
#: The standard deviation of their frequencies: the higher, the faster a shift fades with the distance of embeddings.
SHARPNESS: Final = 2.0
#: Below this a probability is as good as none; it keeps logarithms finite.
_FLOOR: Final = 1e-8
#: The ages 0..100, scaled to -1..1.
_SCALED_AGES: Final = (np.arange(AGES) - 50) / 50


@cache
def _frequencies(dimension: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # The old generator's numbers never change: what is stored depends on them.
    fixed = np.random.RandomState(0)
    return fixed.normal(0, SHARPNESS, (dimension, FEATURES)), fixed.uniform(0, 2 * np.pi, FEATURES)


def features(embedding: NDArray[Any]) -> NDArray[np.float64]:
    """Return the random Fourier features, shape (512,), of an embedding of unit length, shape (d,).

    The dot product of the features of two embeddings e and f approximates exp(-SHARPNESS^2 |e - f|^2 / 2) (Rahimi and
    Recht, Random Features for Large-Scale Kernel Machines, 2007). A shift is a weighted sum of features: it holds for
    similar faces and fades for others, and no embedding can be recovered from its weights.
    """
    directions, phases = _frequencies(len(embedding))
    return np.asarray(np.sqrt(2 / FEATURES) * np.cos(embedding.astype(np.float64) @ directions + phases))


@dataclass(frozen=True, slots=True)
class Head:
    """The adaptation of one head of the attribute network.

    With x the scaled age, logits become ``logits / temperature + (tilt[0] + shift) * x + tilt[1] * x**2``; the logit of
    female becomes ``logit / temperature + tilt[0] + shift``.
    """

    temperature: float
    tilt: tuple[float, float]
    weights: NDArray[np.float64]  # (FEATURES,): of the embedding's features

    def shift(self, embedding: NDArray[Any] | None) -> float:
        """Return what an embedding adds to the logit; 0 if it is unknown."""
        if embedding is None or self.weights.shape != (FEATURES,):
            return 0.0
        return float(self.weights @ features(embedding))


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The adaptation of ages and gender; None leaves a head as it is."""

    age: Head | None = None
    gender: Head | None = None

    def applied(self, face: Face) -> Face:
        """Return a face with adapted predictions, and with the networks' own in its fields `network_...`."""
        distribution, p_female = face.age_distribution, face.p_female
        if self.age is not None and distribution is not None:
            logits = np.log(np.maximum(distribution.astype(np.float64), _FLOOR)) / self.age.temperature
            tilt = self.age.tilt
            logits += (tilt[0] + self.age.shift(face.embedding)) * _SCALED_AGES + tilt[1] * _SCALED_AGES**2
            adapted = np.exp(logits - logits.max())
            distribution = np.asarray(adapted / adapted.sum(), np.float32)
        if self.gender is not None and p_female is not None:
            p = min(max(p_female, 1e-6), 1 - 1e-6)
            logit = np.log(p / (1 - p)) / self.gender.temperature + self.gender.tilt[0]
            p_female = float(1 / (1 + np.exp(-(logit + self.gender.shift(face.embedding)))))
        return replace(
            face,
            age_distribution=distribution,
            p_female=p_female,
            network_age_distribution=None if self.age is None else face.age_distribution,
            network_p_female=None if self.gender is None else face.p_female,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the adaptation as plain values, as it is stored."""
        # The database's name of the feature weights is "looks".
        return {
            name: None
            if head is None
            else {"temperature": head.temperature, "tilt": list(head.tilt), "looks": head.weights.tolist()}
            for name, head in (("age", self.age), ("gender", self.gender))
        }


def from_dict(values: Mapping[str, Any]) -> Adaptation:
    """Return the adaptation of `Adaptation.as_dict`."""
    heads = {
        name: None if one is None else Head(one["temperature"], tuple(one["tilt"]), np.asarray(one["looks"], float))
        for name, one in values.items()
    }
    return Adaptation(heads.get("age"), heads.get("gender"))
