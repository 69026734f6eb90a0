"""Turn decoded pixels of any kind into 8-bit RGB, reduced on the way, a strip of rows at a time.

Beside what the decoder made nothing is held but the result and one strip: 16 bits or floating point a sample,
transparency and palettes would otherwise need several times the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

#: Pixels of a strip.
_STRIP: Final = 2_000_000
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


def from_image(image: Image.Image, target: int | None = None) -> Pixels:
    """Return a loaded picture of any mode as uint8 RGB (h, w, 3), its longest side at least `target`.

    More than 8 bits a sample are scaled down, and what is transparent is laid on white.
    """
    width, height = image.size
    factor = factor_for(width, height, target)
    if image.mode in _DEEP:
        convert = _deep_converter(image)
    elif image.mode in _TRANSPARENT or "transparency" in image.info:
        convert = _on_white
    else:
        convert = _plain
    if width * height <= _STRIP:
        return np.array(_reduced(convert(image), factor))
    result = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    for top, bottom in _strips(width, height, factor):
        strip = convert(image.crop((0, top, width, bottom)))
        result[top // factor : -(-bottom // factor)] = np.asarray(_reduced(strip, factor))
    return result


def from_array(pixels: Pixels, target: int | None = None) -> Pixels:
    """Return uint8 pixels (h, w), (h, w, 3) RGB or (h, w, 4) RGBA as RGB, its longest side at least `target`."""
    height, width = pixels.shape[:2]
    factor = factor_for(width, height, target)
    if factor == 1 and pixels.ndim == 3 and pixels.shape[2] == 3:
        return pixels
    result = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    for top, bottom in _strips(width, height, factor):
        strip = Image.fromarray(pixels[top:bottom])
        strip = _on_white(strip) if strip.mode in _TRANSPARENT else _plain(strip)
        result[top // factor : -(-bottom // factor)] = np.asarray(_reduced(strip, factor))
    return result


def _strips(width: int, height: int, factor: int) -> Iterator[tuple[int, int]]:
    """Yield first and last row of strips that are a multiple of the factor high."""
    rows = max(_STRIP // max(width, 1) // factor, 1) * factor
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    # The JPEG 2000 plugin has an attribute of this name.
    return Image.Image.reduce(image, factor) if factor > 1 else image


def _plain(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")


class _Samples(NamedTuple):
    """How a TIFF stores its samples, as far as Pillow's mode does not tell."""

    unsigned: bool  # 32 bits without a sign, which Pillow's mode has
    signed16: bool  # white is then the highest positive value of 16 bits


def _samples_of(image: Image.Image) -> _Samples:
    """Return what a TIFF's tags say (BitsPerSample, SampleFormat); of other formats Pillow's mode is right."""
    tags = getattr(image, "tag_v2", {})
    bits, form = ((tags.get(tag) or (value,))[0] for tag, value in ((258, 0), (339, 1)))
    return _Samples(unsigned=bits == 32 and form == 1, signed16=bits == 16 and form == 2)


def _deep_converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return what turns strips of grey of more than 8 bits into RGB: scaled by the highest value of the whole."""
    samples = _samples_of(image)
    highest = 0.0
    width, height = image.size
    for top, bottom in _strips(width, height, 1):
        highest = max(highest, float(_numbers(image.crop((0, top, width, bottom)), samples).max(initial=0)))
    scale = 1.0
    if samples.signed16:
        scale = 255 / 32767
    elif highest > 255:
        scale = 1 / 257 if highest <= 65535 else 255 / highest
    elif 0 < highest <= 1:
        scale = 255.0

    def convert(strip: Image.Image) -> Image.Image:
        values = np.clip(np.rint(_numbers(strip, samples) * np.float32(scale)), 0, 255).astype(np.uint8)
        return Image.fromarray(values).convert("RGB")

    return convert


def _numbers(strip: Image.Image, samples: _Samples) -> NDArray[Any]:
    """Return the values of a strip as float32, what is no number as 0 and infinity as white."""
    stored = np.asarray(strip)
    if samples.unsigned and stored.dtype == np.int32:
        stored = stored.view(np.uint32)
    return np.nan_to_num(stored.astype(np.float32), copy=False, nan=0.0, posinf=255.0, neginf=0.0)
