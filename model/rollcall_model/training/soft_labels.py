"""Soft labels: predictions of earlier networks as additional targets (self-distillation, Furlanello et al. 2018).

A label may be wrong and a network may have memorised it; the mean of several networks is softer than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Array, Float32, Int

from rollcall_model.ages import AGES
from rollcall_model.attributes.model import AttributeModel
from rollcall_model.datasets.faces import Faces, central_crops

_BATCH: Final = 512


class SoftLabels(NamedTuple):
    """Predictions for n faces."""

    age: Float32[np.ndarray | Array, "n 101"]  # probabilities; zeros where there are none
    female: Float32[np.ndarray | Array, " n"]  # probability

    def take(self, rows: Int[np.ndarray, " m"]) -> SoftLabels:
        """Return the labels at `rows`."""
        return SoftLabels(self.age[rows], self.female[rows])

    def blend(self, other: SoftLabels, ratio: Float32[np.ndarray | Array, " n"]) -> SoftLabels:
        """Return the mean with `other`, weighted by `ratio` and 1 - `ratio`."""
        return SoftLabels(
            ratio[:, None] * self.age + (1 - ratio[:, None]) * other.age,
            ratio * self.female + (1 - ratio) * other.female,
        )


def no_soft_labels(count: int) -> SoftLabels:
    """Return soft labels that are ignored."""
    return SoftLabels(np.zeros((count, AGES), np.float32), np.zeros(count, np.float32))


def predict(weights: Sequence[Path], faces: Faces) -> SoftLabels:
    """Return the predictions for all faces, averaged over networks and mirror images.

    Raises
    ------
    WeightsError
        If weights are missing or do not fit the network.
    """
    rows = np.arange(len(faces.samples))
    result = no_soft_labels(len(rows))
    for path in weights:
        model = AttributeModel(path)
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            crops = central_crops(faces, part, model.size)
            # Filled up, since the programs of other sizes took a GPU minutes to compile.
            full = np.concatenate([crops, np.zeros((-len(part) % _BATCH, *crops.shape[1:]), np.uint8)])
            for view in (full, np.ascontiguousarray(full[:, :, ::-1])):
                found = model(view)
                result.age[part] += found.age[: len(part)] / (2 * len(weights))
                result.female[part] += found.p_female[: len(part)] / (2 * len(weights))
    return result
