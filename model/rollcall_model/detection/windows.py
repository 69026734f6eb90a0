"""Windows: parts of a picture that are looked at again at full size, where small faces are likely."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from rollcall_model import geometry

#: Sides of windows in pixels, multiples of 32, and what of them on each side gives context only.
SMALL, LARGE = SIDES = (128, 224)
MARGIN: Final = 32
#: So many small windows have fewer pixels than a large one.
_FEWER: Final = (LARGE**2 - 1) // SMALL**2
#: A place is kept so far from the border of what a window answers for: seen again, a face is some pixels beside it.
_SCATTER: Final = 8


class Window(NamedTuple):
    """The top left corner of a window, in pixels of the picture; a part of it may lie beyond the picture."""

    left: int
    top: int
    side: int = LARGE

    def answers_for(self, centres: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
        """Return which places, x and y in pixels of the picture, are far enough from the window's border."""
        low = np.array([self.left, self.top], float) + MARGIN
        return np.asarray(((centres >= low) & (centres < low + self.side - 2 * MARGIN)).all(axis=1))


def cover(places: Float[np.ndarray, "n 2"], most: float = math.inf) -> list[Window] | None:
    """Return windows that answer for all places: small ones instead of a large one where they have fewer pixels.

    None as soon as they have more than `most` pixels together: of a crowd only a part is covered then.
    """
    result: list[Window] = []
    pixels = 0
    for group in _groups(places, LARGE):
        # Of a crowd's many small windows no more are laid than show that a large one has fewer pixels.
        parts = list(islice(_groups(group, SMALL), _FEWER + 1))
        apart = len(parts) <= _FEWER
        chosen = [_around(part, SMALL) for part in parts] if apart else [_around(group, LARGE)]
        pixels += sum(window.side**2 for window in chosen)
        if pixels > most:
            return None
        result += chosen
    return result


def _groups(places: Float[np.ndarray, "n 2"], side: int) -> Iterator[Float[np.ndarray, "k 2"]]:
    """Yield the places that fit into a window each: in strips from the top, in each strip from the left."""
    size = side - 2 * MARGIN - 2 * _SCATTER
    while len(places):
        in_strip = places[:, 1] < places[:, 1].min() + size
        strip, places = places[in_strip], places[~in_strip]
        while len(strip):
            near = strip[:, 0] < strip[:, 0].min() + size
            yield strip[near]
            strip = strip[~near]


def _around(places: Float[np.ndarray, "n 2"], side: int) -> Window:
    """Return the window in whose middle places are that fit into it."""
    left, top = np.floor((places.min(axis=0) + places.max(axis=0) - side) / 2).astype(int).tolist()
    return Window(left, top, side)


def cut(image: UInt8[np.ndarray, "h w 3"], shape: tuple[int, int], window: Window, out: np.ndarray) -> None:
    """Write a window of an image to `out` (side, side, 3); what lies beyond the image is left as it is, or black.

    The window is in pixels of the image reduced to `shape`, from under twice its size.
    """
    height, width = shape
    x0, y0 = max(window.left, 0), max(window.top, 0)
    x1, y1 = min(window.left + window.side, width), min(window.top + window.side, height)
    rows, columns = slice(y0 - window.top, y1 - window.top), slice(x0 - window.left, x1 - window.left)
    if image.shape[:2] == shape:
        out[rows, columns] = image[y0:y1, x0:x1]
    else:
        across, down = width / image.shape[1], height / image.shape[0]
        matrix = np.array([[across, 0, -window.left], [0, down, -window.top]])
        out[rows, columns] = geometry.cut(image, matrix, window.side)[rows, columns]
