"""Turn stored pixels upright, as the EXIF orientation demands."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return stored pixels (h, w, 3) turned and mirrored by the EXIF orientation, 1..8; any other leaves them."""
    match orientation:
        case 2:
            turned = cv2.flip(pixels, 1)
        case 3:
            turned = cv2.rotate(pixels, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(pixels, 0)
        case 5:
            turned = cv2.transpose(pixels)
        case 6:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180)
        case 8:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return pixels
    return np.asarray(turned, np.uint8)


def swaps_sides(orientation: int) -> bool:
    """Return whether turning exchanges width and height."""
    return 5 <= orientation <= 8
