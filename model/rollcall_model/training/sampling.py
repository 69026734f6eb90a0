"""Sampling of faces for batches and composites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from rollcall_model.datasets.faces import Faces

#: Width in years of the age bins that frequencies are counted in, and the lowest count, against extreme weights.
_BIN: Final = 3
_MIN_COUNT: Final = 4.0


def sampling_weights(
    faces: Faces, rows: Int[np.ndarray, " m"], exponent: float, shares: Mapping[str, float] | None = None
) -> Float[np.ndarray, " m"]:
    """Return sampling probabilities of labelled rows, proportional to frequency ** -exponent of their age; sum 1.

    With `shares` each data set has its own, and ages are counted in each by itself, see `shared_weights`.
    """
    middle = faces.ages[rows].mean(axis=1)
    if not shares:
        return frequency_weights(middle, exponent)
    return shared_weights(np.array([faces.samples[row].source for row in rows]), middle, exponent, shares)


def shared_weights(
    source: Shaped[np.ndarray, " m"], middle: Float[np.ndarray, " m"], exponent: float, shares: Mapping[str, float]
) -> Float[np.ndarray, " m"]:
    """Return sampling probabilities: by the share of the data set and the frequency of the age in it; sum 1.

    Sets that `shares` does not name get the smallest share.
    """
    weight = np.zeros(len(source))
    for name in np.unique(source):
        mine = source == name
        weight[mine] = shares.get(str(name), min(shares.values())) * frequency_weights(middle[mine], exponent)
    return weight / weight.sum()


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
