"""The heads' inputs for the faces of a mixture of data sets, with their labels."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from rollcall_model.ages import OLDEST
from rollcall_model.attributes.network import AttributeNet
from rollcall_model.datasets.faces import Faces
from rollcall_model.datasets.samples import UNKNOWN
from rollcall_model.training.config import HeadConfig
from rollcall_model.training.heads import view_features


class MixtureFeatures(NamedTuple):
    """Labels and the heads' inputs for n faces."""

    source: np.ndarray  # names of the data sets, (n,)
    low: Int[np.ndarray, " n"]  # completed years, 0..100; UNKNOWN where there is no label
    high: Int[np.ndarray, " n"]
    female: Int[np.ndarray, " n"]  # 1, 0 or UNKNOWN
    views: Float32[np.ndarray, "3 n f"]  # straight, mirrored, augmented
    augmented: Bool[np.ndarray, " n"]  # whether there is the third view

    @property
    def labelled(self) -> Bool[np.ndarray, " n"]:
        """Whether a face has an age label."""
        return self.low != UNKNOWN

    @property
    def middle(self) -> Float[np.ndarray, " n"]:
        """The middle of each age range, in years."""
        return (self.low + self.high) / 2


def mixture_features(
    net: AttributeNet, faces: Faces, rows: Int[np.ndarray, " n"], config: HeadConfig
) -> MixtureFeatures:
    """Return labels and the heads' inputs of some faces.

    Only faces whose age is known to the year get an augmented view, which takes most of the time.
    """
    ages = np.minimum(faces.ages[rows].astype(np.int64), OLDEST)
    exact = (ages[:, 0] == ages[:, 1]) & (ages[:, 0] != UNKNOWN)
    views = np.zeros((3, len(rows), net.config.features), np.float32)
    for view in (0, 1):
        views[view] = view_features(net, faces, rows, view)
    views[2, exact] = view_features(net, faces, rows[exact], 2, config.augmentation_strength)
    source = np.array([faces.samples[row].source for row in rows])
    return MixtureFeatures(source, ages[:, 0], ages[:, 1], faces.female[rows].astype(np.int64), views, exact)


def save(file: Path, data: MixtureFeatures) -> None:
    """Write the features to an archive of arrays."""
    np.savez(file, **data._asdict())


def load(file: Path) -> MixtureFeatures:
    """Return the features that `save` wrote."""
    with np.load(file) as archive:
        return MixtureFeatures(*(archive[name] for name in MixtureFeatures._fields))
