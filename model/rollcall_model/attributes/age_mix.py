"""The ages of a photo's faces are estimated together: who stands beside whom says something of each.

An age distribution of one face is made as if nothing else were known, with the mix of ages that the network learnt. On
a crowd of adults, whose faces are small and blurred, each keeps a few percent of being a child, and fifty of them would
make it certain that one is. The errors are of one kind, and the faces themselves tell: if nobody in a photo looks like
a child, few children are in it. So the mix of ages of each photo is estimated from its faces, and each distribution is
made anew with it (the prior of an empirical Bayes estimate: Saerens, Latinne and Decaestecker, "Adjusting the outputs
of a classifier to new a priori probabilities", 2002). Each face is judged by the others alone, as its own distribution
holds what is known of it already.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float

from rollcall_model.ages import AGES

#: Faces of a photo from this number on, less this number, tell of its mix: of fewer each face is judged by itself.
ALONE: Final = 3
#: Parts of the scale of ages whose shares a mix consists of: the first age of each.
STARTS: Final = (0, 3, 13, 20, 60)
#: The shares that a distribution of one face takes for granted. They and `STRENGTH` maximise the likelihood that
#: `benchmarks/crowds.py` prints, on crowds with and without children, to the digits given.
SHARES: Final = (0.12, 0.20, 0.15, 0.36, 0.17)
#: The number of faces that those shares count as much as.
STRENGTH: Final = 1.0
#: The estimate has settled long before; the number bounds the time that a crowd takes.
_ROUNDS: Final = 40


def with_mix_of_photo(
    ages: Float[np.ndarray, "n 101"], shares: tuple[float, ...] = SHARES, strength: float = STRENGTH
) -> Float[np.ndarray, "n 101"]:
    """Return the age distributions of the n faces of one photo, each with the mix of ages that the others tell.

    Those of up to `ALONE` faces are returned as they are. `shares`, one for each part of `STARTS`, sum to 1.
    """
    count = len(ages)
    if count <= ALONE:
        return ages
    usual = np.asarray(shares, np.float64)
    parts = np.add.reduceat(ages.astype(np.float64), STARTS, axis=1)
    # How much more probable each part makes what is seen of a face, up to a factor of the face.
    evidence = parts / usual
    weight = (count - ALONE) / (count - 1)
    mix = np.broadcast_to(usual, parts.shape)
    for _ in range(_ROUNDS):
        others = weight * (parts.sum(axis=0) - parts)
        mix = (strength * usual + others) / (strength + others.sum(axis=1, keepdims=True))
        parts = evidence * mix
        parts /= parts.sum(axis=1, keepdims=True)
    result = ages * np.repeat(mix / usual, np.diff([*STARTS, AGES]), axis=1)
    result /= result.sum(axis=1, keepdims=True)
    return np.asarray(result, ages.dtype)
