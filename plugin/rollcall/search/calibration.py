"""What cosine similarities of embeddings mean: constants that travel in the metadata of the weights."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall import resources


class Calibration(NamedTuple):
    """Cosine similarities (-1..1) of faces of one person, fitted and measured with the weights.

    The probability of the same person is a logistic curve. The thresholds are for versions of one picture, which
    differ less than two photographs of one person.
    """

    midpoint: float  # the cosine similarity at which the probability is 0.5
    steepness: float
    same_person: float  # at least: of the same person, wherever in an edited picture
    other_person: float  # below: of two people, wherever their faces are
    renamed: float  # at least, at the same place: the same face in a file that was renamed and edited

    def probability(self, cosine: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the probability that embeddings of some cosine similarities are of one person."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.steepness * (cosine.astype(np.float64) - self.midpoint))))

    def cosine(self, probability: float) -> float:
        """Return the cosine similarity that a probability belongs to."""
        return float(self.midpoint - np.log(1 / probability - 1) / self.steepness)


@cache
def calibration(weights: str = "") -> Calibration:
    """Return the calibration of embeddings that some weights made, see `ModelVersion.weights`.

    Embeddings of earlier weights stay in a library until its photos are analysed again, so their calibration is stored
    with the present weights, by name. Of weights with any other name it is that of the present ones.

    Raises
    ------
    ModelError
        If the present weights cannot be read.
    """
    stored = resources.weights_metadata()
    earlier = stored.get("earlier_similarity", {})
    return Calibration(**earlier.get(weights.partition(":")[0], stored["similarity"]))
