"""Turn samples of any type and depth into 8-bit RGB: 16 to 64 bits, signed, floating point, with transparency.

Files do not say which value is white. Whole numbers reach to the highest of their type, floating point to one, as
photo editors write them; a picture whose values fit into fewer bits was stored in a wider type than it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.media.conversion import BLOCK, Pixels, from_blocks

#: Returns the rows from one to another, (n, width, channels), of any type.
Rows = Callable[[int, int], NDArray[Any]]

#: Pixels of a strip, and what one takes while its values are scaled.
_STRIP: Final = 250_000
_BYTES: Final = 160
#: Floating point up to this is light above white, which is cut off; above it the picture counts to 255 or more.
_HIGHEST_LIGHT: Final = 16.0
#: Whole numbers of 32 and 64 bits are brought up to white if they use less than this share of their type.
_USED: Final = 1 / 16


class Layout(NamedTuple):
    """What the channels of a picture are."""

    width: int
    height: int
    channels: int  # 1 or 2: grey, 3 or more: red, green, blue; what follows is transparency or of no meaning
    transparent: bool = False
    premultiplied: bool = False  # colours that are multiplied by their transparency already
    white_is_zero: bool = False

    @property
    def colours(self) -> int:
        return 1 if self.channels < 3 else 3


def to_pixels(
    rows: Rows, layout: Layout, target: int | None, scale: float | None = None, most: int | None = None
) -> Pixels:
    """Return a picture as uint8 RGB (h, w, 3), its longest side at least `target` and at most `most`.

    `scale`: by what to multiply so that white is 255, where the file says so.
    """
    factor = _scale(rows, layout) if scale is None else scale

    # The blocks of a strip come one after the other.
    @lru_cache(maxsize=1)
    def strip(top: int, bottom: int) -> Pixels:
        made = []
        for first, last in _strips(layout, top, bottom):
            stored = rows(first, last)
            opaque = _of_type(stored.dtype) if scale is None else scale
            made.append(_to_eight_bits(stored, layout, factor, opaque))
        return made[0] if len(made) == 1 else np.concatenate(made)

    return from_blocks(
        lambda left, top, right, bottom: strip(top, bottom)[:, left:right], layout.width, layout.height, target, most
    )


def strip_bytes(layout: Layout, factor: int) -> int:
    """Return how many bytes are held beside the samples and the result, for a picture that is reduced by a factor."""
    rows = min(max(factor, BLOCK // layout.width), layout.height)
    return layout.width * rows * layout.colours * 2 + max(_STRIP, layout.width) * _BYTES


def _strips(layout: Layout, top: int, bottom: int) -> Iterator[tuple[int, int]]:
    """Yield first and last row of strips of some pixels."""
    rows = max(_STRIP // layout.width, 1)
    for first in range(top, bottom, rows):
        yield first, min(first + rows, bottom)


def _to_eight_bits(stored: NDArray[Any], layout: Layout, scale: float, scale_of_opacity: float) -> Pixels:
    """Return rows as uint8, (n, width) of grey or (n, width, 3)."""
    values = _finite(stored[..., : layout.colours], 255 / scale) * np.float32(scale)
    if layout.white_is_zero:
        values = 255 - values
    if layout.transparent and layout.channels > layout.colours:
        part = stored[..., layout.colours : layout.colours + 1]
        opaque = np.clip(_finite(part, 1.0) * np.float32(scale_of_opacity / 255), 0, 1)
        values = (values if layout.premultiplied else values * opaque) + 255 * (1 - opaque)
    found: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return found[..., 0] if layout.colours == 1 else found


def _scale(rows: Rows, layout: Layout) -> float:
    """Return by what the values of a picture are multiplied so that white is 255."""
    highest, kind = 0.0, np.dtype(np.uint8)
    for top, bottom in _strips(layout, 0, layout.height):
        part = rows(top, bottom)[..., : layout.colours]
        kind = part.dtype
        highest = max(highest, float(_finite(part, 0.0).max(initial=0)))
    if kind.kind == "f":
        return 255.0 if highest <= _HIGHEST_LIGHT else _of_numbers(highest)
    if kind.kind == "i" and kind.itemsize <= 2:
        return _of_type(kind)
    if kind.itemsize > 2 and highest >= 255 / _of_type(kind) * _USED:
        return _of_type(kind)
    return _of_numbers(highest)


def _of_numbers(highest: float) -> float:
    """Return the scale of numbers up to `highest`: of 8 bits, of 16, or of that many."""
    return 1.0 if highest <= 255 else 1 / 257 if highest <= 65535 else 255 / highest


def _of_type(kind: np.dtype[Any]) -> float:
    """Return the scale by which a type's highest value becomes 255."""
    return 255.0 if kind.kind == "f" else 255 / float(np.iinfo(kind).max)


def _finite(values: NDArray[Any], white: float) -> NDArray[np.float32]:
    """Return numbers as float32, what is none as 0 and infinity as `white`."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return np.nan_to_num(single, copy=False, nan=0.0, posinf=white, neginf=0.0) if values.dtype.kind == "f" else single
