"""Which frames of a video show something new."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

#: Frames are compared as so many blocks in each direction.
_BLOCKS: Final = 32
#: A block has changed if its mean brightness did by so much, of 255.
_CHANGED: Final = 8
#: So many blocks that changed are something new: less than a face that is found covers.
_NEW: Final = 2


class Scenes:
    """Counts the frames of a scene: a stretch in which the picture stays the same."""

    def __init__(self, most: int) -> None:
        """Let `most` frames of a scene through."""
        self._most = most
        self._count = 0
        self._seen: NDArray[np.int16] | None = None

    def wants(self, pixels: NDArray[np.uint8]) -> bool:
        """Return whether a frame (h, w, 3) shows something new, or is among the first of its scene."""
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        blocks = cv2.resize(grey, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA).astype(np.int16)
        if self._seen is None or int((np.abs(blocks - self._seen) > _CHANGED).sum()) >= _NEW:
            self._count = 0
            self._seen = blocks
        self._count += 1
        return self._count <= self._most
