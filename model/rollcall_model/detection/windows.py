"""Windows: parts of a picture that are looked at again at full size, where small faces are likely."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

#: Side of a window in pixels, a multiple of 32, and what of it on each side gives context only.
SIDE: Final = 224
MARGIN: Final = 32
#: A place is kept so far from the border of what a window answers for: seen again, a face is some pixels beside it.
_SCATTER: Final = 8


class Window(NamedTuple):
    """The top left corner of a window, in pixels of the picture; a part of it may lie beyond the picture."""

    left: int
    top: int

    def answers_for(self, centres: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
        """Return which places, x and y in pixels of the picture, are far enough from the window's border."""
        low = np.array(self, float) + MARGIN
        return np.asarray(((centres >= low) & (centres < low + SIDE - 2 * MARGIN)).all(axis=1))


def cover(places: Float[np.ndarray, "n 2"]) -> list[Window]:
    """Return windows that answer for all places: in strips from the top, in each strip from the left."""
    result = []
    size = SIDE - 2 * MARGIN - 2 * _SCATTER
    while len(places):
        in_strip = places[:, 1] < places[:, 1].min() + size
        strip, places = places[in_strip], places[~in_strip]
        while len(strip):
            near = strip[:, 0] < strip[:, 0].min() + size
            corner = np.floor(strip[near].min(axis=0)).astype(int) - MARGIN - _SCATTER
            result.append(Window(int(corner[0]), int(corner[1])))
            strip = strip[~near]
    return result


def cut(image: np.ndarray, window: Window, out: np.ndarray) -> None:
    """Write a window of an image to `out` (SIDE, SIDE, 3), whose pixels beyond the image are left as they are."""
    height, width = image.shape[:2]
    x0, y0 = max(window.left, 0), max(window.top, 0)
    x1, y1 = min(window.left + SIDE, width), min(window.top + SIDE, height)
    out[y0 - window.top : y1 - window.top, x0 - window.left : x1 - window.left] = image[y0:y1, x0:x1]
