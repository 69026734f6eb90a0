"""Sampling of faces for batches and composites."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from rollcall_model.datasets.faces import Faces

#: Width in years of the age bins that frequencies are counted in, and the lowest count, against extreme weights.
_BIN: Final = 3
_MIN_COUNT: Final = 4.0


def sampling_weights(faces: Faces, rows: Int[np.ndarray, " m"], exponent: float) -> Float[np.ndarray, " m"]:
    """Return sampling probabilities of labelled rows, proportional to frequency ** -exponent of their age; sum 1."""
    return frequency_weights(faces.ages[rows].mean(axis=1), exponent)


def frequency_weights(middle: Float[np.ndarray, " m"], exponent: float) -> Float[np.ndarray, " m"]:
    """Return weights proportional to frequency ** -exponent of ages in years, `middle` of their range; sum 1."""
    counts, edges = np.histogram(middle, bins=np.arange(0, 121, _BIN))
    smooth = np.convolve(counts, [0.25, 0.5, 0.25], "same")
    weight = np.maximum(smooth[np.digitize(middle, edges) - 1], _MIN_COUNT) ** -exponent
    return np.asarray(weight / weight.sum())


def mixup_partners(labelled: Bool[np.ndarray, " n"], rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Return for each face of a batch another one that is labelled if it is, as a random permutation."""
    result = np.arange(len(labelled))
    for kind in (labelled, ~labelled):
        result[kind] = rng.permutation(result[kind])
    return result
