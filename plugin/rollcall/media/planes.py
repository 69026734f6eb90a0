"""Brightness and colour differences, as codecs store them, as RGB some rows at a time (ITU-T H.273)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rollcall.media.conversion import Pixels
from rollcall.media.job import Refused

#: Shares of red and blue in the brightness, by the number of the matrix (H.273, table 4); 2, unspecified, is taken for
#: BT.601 as libavif does.
_BT_601: Final = (0.299, 0.114)
_SHARES: Final = {1: (0.2126, 0.0722), 2: _BT_601, 5: _BT_601, 6: _BT_601, 9: (0.2627, 0.0593)}


class Planes(NamedTuple):
    """A decoded picture; its arrays are valid for as long as the decoder holds it."""

    planes: tuple[NDArray[Any], ...]  # (h, w) each: brightness and, unless it is grey, blue and red differences
    opacity: NDArray[Any] | None  # (h, w)
    bits: int  # of a sample, 8 or more; those of more than 8 are stored as uint16
    across: int  # pixels that share a colour; 0 without colours
    down: int
    matrix: int  # ITU-T H.273, table 4
    full: bool  # samples use all of their bits


class Strips:
    """Decoded planes as RGB, some rows at a time."""

    def __init__(self, found: Planes) -> None:
        if found.matrix not in _SHARES:
            raise Refused(f"colours of matrix {found.matrix}")
        self._bits, self._across, self._down = found.bits, found.across, found.down
        self._weights = _weights(*_SHARES[found.matrix], found.bits, found.full)
        self._black = float(self._weights[0, 1:] @ (0, 128 << (found.bits - 8), 1))
        self._planes, self._opacity = found.planes, found.opacity

    def strip(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        """Return rows as uint8 RGB (h, w, 3), or RGBA (h, w, 4) where the picture is transparent."""
        colours = self._rgb(left, top, right, bottom)
        if self._opacity is None:
            return colours
        opacity = self._opacity[top:bottom, left:right]
        if self._bits > 8:
            opacity = np.rint(opacity * np.float32(255 / ((1 << self._bits) - 1))).astype(np.uint8)
        return np.dstack([colours, opacity])

    def _rgb(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        brightness = self._planes[0][top:bottom, left:right]
        if not self._across:
            # Without differences of colours all three are the same.
            grey = brightness.astype(np.float32) * self._weights[0, 0] + self._black
            return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        colours = [self._colour(one, top, bottom)[:, left:right] for one in self._planes[1:]]
        together = cv2.merge([brightness.astype(np.float32), *colours])
        values = cv2.transform(together, self._weights)
        return np.asarray(cv2.convertScaleAbs(np.maximum(values, 0, out=values)), np.uint8)

    def _colour(self, plane: NDArray[Any], top: int, bottom: int) -> NDArray[np.float32]:
        """Return rows of a plane of colours as float32, one sample for each pixel."""
        if self._across == self._down == 1:
            return plane[top:bottom].astype(np.float32)
        # A row above and one below, which the rows at the edges are interpolated with.
        first = max(top // self._down - 1, 0)
        part = plane[first : -(-bottom // self._down) + 1].astype(np.float32)
        size = part.shape[1] * self._across, part.shape[0] * self._down
        found = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(found[top - first * self._down : bottom - first * self._down], np.float32)


def _weights(red: float, blue: float, bits: int, full: bool) -> NDArray[np.float32]:
    """Return the matrix (3, 4) that makes 8-bit RGB of brightness, blue and red differences and one (H.273, 8.3)."""
    highest, unit = (1 << bits) - 1, 1 << (bits - 8)
    dark, light, wide = (0, highest, highest) if full else (16 * unit, 219 * unit, 224 * unit)
    scale, spread, middle = 255 / light, 255 / wide, 128 * unit
    green = 1 - red - blue
    to_red, to_blue = 2 * (1 - red) * spread, 2 * (1 - blue) * spread
    rows = np.array(
        [[scale, 0, to_red], [scale, -to_blue * blue / green, -to_red * red / green], [scale, to_blue, 0]], np.float64
    )
    offsets = rows @ np.array([-dark, -middle, -middle], np.float64)
    return np.column_stack([rows, offsets]).astype(np.float32)
