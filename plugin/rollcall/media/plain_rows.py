"""Rows of pixels that lie unpacked in a large file, as in BMP and PPM: made RGB without a copy of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.media.conversion import Pixels, from_blocks
from rollcall.media.job import Decoded, Job, check_size

#: Bytes of a file that is large: smaller ones are decoded whole, by Pillow, which is quicker.
LARGE: Final = 120_000_000


class Rows(NamedTuple):
    """Where the pixels lie in a file."""

    width: int  # pixels
    height: int
    start: int  # of the first row, in bytes
    stride: int  # from one row to the next
    each: int  # bytes of a pixel, of which the first three are colours
    blue_first: bool = False
    upwards: bool = False  # the lowest row comes first

    def are_in(self, data: bytes) -> bool:
        """Return whether no row is missing."""
        return min(self.width, self.height) > 0 and len(data) - self.start >= self.stride * self.height

    def lines(self, data: bytes) -> NDArray[np.uint8]:
        """Return the bytes of the rows, from the highest one on, (h, stride), without a copy."""
        stored = np.frombuffer(data, np.uint8, self.stride * self.height, self.start)
        found = stored.reshape(self.height, self.stride)
        return found[::-1] if self.upwards else found


def decode(job: Job, found: Rows, colours: Callable[[NDArray[np.uint8]], Pixels] | None = None) -> Decoded:
    """Return the pixels as `conversion.from_blocks` does.

    `colours` makes the bytes of a part (h, w, each) RGB, where they are not the colours themselves.

    Raises
    ------
    TooManyPixels
        If the picture has more than it may have.
    """
    width, height, each = found.width, found.height, found.each
    check_size(job, width, height)
    lines = found.lines(job.data)
    places = slice(2, None, -1) if found.blue_first else slice(0, 3)

    def block(left: int, top: int, right: int, bottom: int) -> Pixels:
        stored = lines[top:bottom, left * each : right * each].reshape(bottom - top, right - left, each)
        return np.ascontiguousarray(stored[..., places]) if colours is None else colours(stored)

    return Decoded(from_blocks(block, width, height, job.target, job.most), width, height)
