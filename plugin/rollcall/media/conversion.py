"""Turn decoded pixels of any kind into 8-bit RGB, reduced on the way, a block of them at a time.

Beside what the decoder made nothing is held but the result and one block: 16 bits or floating point a sample,
transparency and palettes would otherwise need several times the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

#: Pixels of a block.
BLOCK: Final = 2_000_000
_DEEP: Final = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_TRANSPARENT: Final = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})


#: A picture is a panorama when its sides have a greater ratio; reduced it has at most so many pixels.
PANORAMA: Final = 2.5
_PANORAMA_PIXELS: Final = 16_000_000


def factor_for(width: int, height: int, target: int | None) -> int:
    """Return the largest whole factor by which a picture may be reduced so that its longest side keeps `target`.

    A panorama is at most halved, as long as that leaves no more pixels than a photo of today has: its faces are small
    beside its longer side.
    """
    if not target:
        return 1
    shorter, longer = sorted((width, height))
    factor = max(longer // target, 1)
    if longer > PANORAMA * shorter:
        factor = min(factor, 2 if width * height // 4 <= _PANORAMA_PIXELS else factor)
    return factor


def step_for(width: int, height: int, target: int | None, most: int | None = None) -> tuple[int, int]:
    """Return a number of pixels and how many they become in a reduced picture: many to one, or many to eight.

    A whole factor (`factor_for`) that leaves more than `most` makes room for the smallest in eighths that does not: of
    9,000 pixels 12 become 8, where 6,000 are wanted.
    """
    factor, longest = factor_for(width, height, target), max(width, height)
    if not most or -(-longest // factor) <= most:
        return factor, 1
    return -(-longest * 8 // most), 8


def from_image(image: Image.Image, target: int | None = None) -> Pixels:
    """Return a loaded picture of any mode as uint8 RGB (h, w, 3), its longest side at least `target`.

    More than 8 bits a sample are scaled down, and what is transparent is laid on white.
    """
    width, height = image.size
    factor = factor_for(width, height, target)
    convert = _deep_converter(image) if image.mode in _DEEP else plain_or_on_white
    if width * height <= BLOCK:
        return np.array(_reduced(convert(image), factor))
    return from_blocks(lambda *box: np.asarray(convert(image.crop(box))), width, height, target)


def from_array(pixels: Pixels, target: int | None = None) -> Pixels:
    """Return uint8 pixels (h, w), (h, w, 3) RGB or (h, w, 4) RGBA as RGB, its longest side at least `target`."""
    height, width = pixels.shape[:2]
    if factor_for(width, height, target) == 1 and pixels.ndim == 3 and pixels.shape[2] == 3:
        return pixels
    return from_blocks(lambda left, top, right, bottom: pixels[top:bottom, left:right], width, height, target)


def at_most(pixels: Pixels, most: int) -> Pixels:
    """Return uint8 RGB (h, w, 3) whose longest side has at most `most` pixels: averaged, or what is given."""
    scale = most / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    width, height = (max(round(side * scale), 1) for side in pixels.shape[1::-1])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def from_blocks(
    block: Callable[[int, int, int, int], Pixels],
    width: int,
    height: int,
    target: int | None = None,
    most: int | None = None,
) -> Pixels:
    """Return a picture as `from_array` does, of which `block` returns parts: by left, top, right and bottom.

    With `most` its longest side has no more pixels, and an eighth less at the least.
    """
    many, few = step_for(width, height, target, most)

    def made(pixels: int) -> int:
        return -(-pixels * few // many)

    result = np.empty((made(height), made(width), 3), np.uint8)
    for left, top, right, bottom in blocks(width, height, many):
        part = Image.fromarray(block(left, top, right, bottom))
        part = _on_white(part) if part.mode in _TRANSPARENT else _plain(part)
        place = result[made(top) : made(bottom), made(left) : made(right)]
        if few == 1:
            place[...] = np.asarray(_reduced(part, many))
        else:
            place[...] = cv2.resize(np.asarray(part), place.shape[1::-1], interpolation=cv2.INTER_AREA)
    return result


def blocks(width: int, height: int, factor: int = 1) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, right and bottom of blocks whose sides are multiples of the factor.

    They are strips of whole rows unless the picture is so wide that the fewest rows are too much at once.
    """
    lowest = min(factor, height)
    columns = width if width * lowest <= BLOCK else max(BLOCK // lowest // factor, 1) * factor
    rows = max(BLOCK // max(columns, 1) // factor, 1) * factor
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield left, top, min(left + columns, width), min(top + rows, height)


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    # The JPEG 2000 plugin has an attribute of this name.
    return Image.Image.reduce(image, factor) if factor > 1 else image


def _plain(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def plain_or_on_white(image: Image.Image) -> Image.Image:
    """Return a picture of 8 bits a sample as RGB, what is transparent on white."""
    return _on_white(image) if image.mode in _TRANSPARENT or "transparency" in image.info else _plain(image)


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")


def _deep_converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return what turns strips of grey of more than 8 bits into RGB: scaled by the highest value of the whole."""
    highest = 0.0
    width, height = image.size
    for box in blocks(width, height):
        highest = max(highest, float(_numbers(image.crop(box)).max(initial=0)))
    scale = 1.0
    if highest > 255:
        scale = 1 / 257 if highest <= 65535 else 255 / highest
    elif 0 < highest <= 1:
        scale = 255.0

    def convert(strip: Image.Image) -> Image.Image:
        values = np.clip(np.rint(_numbers(strip) * np.float32(scale)), 0, 255).astype(np.uint8)
        return Image.fromarray(values).convert("RGB")

    return convert


def _numbers(strip: Image.Image) -> NDArray[Any]:
    """Return the values of a strip as float32, what is no number as 0 and infinity as white."""
    return np.nan_to_num(np.asarray(strip).astype(np.float32), copy=False, nan=0.0, posinf=255.0, neginf=0.0)
