"""The levels of an image pyramid and the windows that P-Net scores on them."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Side of P-Net's window and distance between two windows, in pixels of a level.
WINDOW: Final = 12
STRIDE: Final = 2


class Level(NamedTuple):
    """One level of one pyramid."""

    image: int  # position of the image in the batch
    scale: float  # pixels of the level for one pixel of the image
    height: int  # even, as the width: an odd side is padded with a copy of the last row
    width: int
    inner_height: int  # without the padding
    inner_width: int
    first_scale: float  # of the pyramid's first, finest level


def scales(height: int, width: int, min_face: float, factor: float) -> list[float]:
    """Return the scales at which faces from `min_face` pixels up to the image's size fill a window."""
    result = []
    scale = WINDOW / min_face
    while min(height, width) * scale >= WINDOW:
        result.append(scale)
        scale *= factor
    return result


def levels(image: int, height: int, width: int, min_face: float, factor: float) -> list[Level]:
    """Return the pyramid of an image of this size, in pixels, the finest level first."""
    result = []
    all_scales = scales(height, width, min_face, factor)
    for scale in all_scales:
        rows, columns = int(height * scale + 1), int(width * scale + 1)
        result.append(Level(image, scale, rows + rows % 2, columns + columns % 2, rows, columns, all_scales[0]))
    return result
