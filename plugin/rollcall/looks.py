"""What a whole picture looks like, in a few bytes: so that one that was only written anew is known again.

The signs of the lowest frequencies of a small grey picture (a perceptual hash; Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010). Pure functions of arrays.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE: Final = 32
_KEPT: Final = 16
#: How many bits a look has.
BITS: Final = _KEPT * _KEPT
#: Two pictures that differ in no larger share of the bits are the same one, saved again.
SAME: Final = 0.1
#: From this share on they are two pictures, whatever else is alike.
OTHER: Final = 0.25


def look(pixels: NDArray[np.uint8]) -> bytes:
    """Return the look of an upright picture, uint8 RGB of shape (h, w, 3): 32 bytes."""
    # In one step OpenCV took ten times as long as by halving, which averages as well. A quarter of the pixels of a
    # large picture is enough.
    while (least := min(pixels.shape[:2])) >= 8 * _SIDE:
        factor = 4 if least >= 32 * _SIDE else 2
        size = (pixels.shape[1] // factor, pixels.shape[0] // factor)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    frequencies = np.asarray(cv2.dct(grey))[:_KEPT, :_KEPT]
    frequencies[0, 0] = 0  # the mean says how bright it is, and nothing else
    return np.packbits(frequencies > 0).tobytes()


def differences(one: bytes, others: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the share of bits, 0..1, in which a look differs from each row of (n, 32)."""
    changed = np.bitwise_xor(others, np.frombuffer(one, np.uint8))
    return np.asarray(np.unpackbits(changed, axis=1).sum(axis=1) / BITS)


def difference(one: bytes | None, other: bytes | None) -> float | None:
    """Return the share of bits, 0..1, in which two looks differ; None where one is not known."""
    if not one or not other or len(one) != len(other):
        return None
    return float(differences(one, np.frombuffer(other, np.uint8)[None])[0])


def same(one: bytes | None, other: bytes | None) -> bool:
    """Say whether two looks are of one picture, saved twice; no, where one is not known."""
    found = difference(one, other)
    return found is not None and found <= SAME
