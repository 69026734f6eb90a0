"""Decode large AVIF files into the planes of the codec, and those a strip of rows at a time.

Pillow holds the planes, two copies of their RGB and its own picture, 9 bytes a pixel and more: here it is the planes
alone, of FFmpeg's AV1 decoder or, with transparency and where that is not installed, of libavif. What is not a single
picture (tiles of a grid) is decoded elsewhere, cropping and rare colours are Pillow's. Colours are computed as in
ISO/IEC 23091-2 (ITU-T H.273) and libavif: brightness and colour differences between their samples by bilinear
interpolation.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.media import boxes, libavif
from rollcall.media.conversion import blocks, from_blocks, step_for
from rollcall.media.formats import installed
from rollcall.media.job import Decoded, Job, Refused, check_size
from rollcall.media.planes import Planes, Strips

#: Smaller pictures are decoded whole, by Pillow.
_LEAST_PIXELS: Final = 40_000_000
#: Bits a sample and how many pixels share a colour, across and down, by FFmpeg's name of their layout; 0: grey.
_LAYOUTS: Final = {
    f"{name}{suffix}": (bits, across, down)
    for name, across, down in (("yuv420p", 2, 2), ("yuv422p", 2, 1), ("yuv444p", 1, 1), ("gray", 0, 0))
    for suffix, bits in (("", 8), ("10le", 10), ("12le", 12))
} | {"yuvj420p": (8, 2, 2), "yuvj422p": (8, 2, 1), "yuvj444p": (8, 1, 1)}
#: Properties of an item that change nothing of how its pixels are decoded, or that are applied later.
_HARMLESS: Final = frozenset({b"ispe", b"pixi", b"av1C", b"colr", b"irot", b"imir", b"pasp", b"clli", b"mdcv", b"cclv"})
#: What the decoder holds beside the planes, as a share of them.
_BESIDE: Final = 0.5


class Found(NamedTuple):
    """A large AVIF: where the codec's bytes lie, and how much memory its planes take."""

    width: int
    height: int
    start: int
    end: int
    nclx: bytes  # primaries, transfer, matrix (2 bytes each) and range; empty where the container does not say it
    plane_bytes: int
    by_libavif: bool

    @property
    def needed(self) -> int:
        """The bytes that the decoder takes."""
        return int(self.plane_bytes * (1 + _BESIDE))


def find(data: bytes, target: int | None, most: int | None = None) -> Found | None:
    """Return how a picture is stored that is large, and of a kind for strips; None for any other."""
    item = boxes.main_item(data)
    if item is None or item.kind != b"av01" or item.offset + item.length > len(data):
        return None
    by_libavif = item.has_auxiliary or not installed("av")
    if by_libavif and not libavif.is_there():
        return None
    known = dict(item.properties)
    size, codec = known.get(b"ispe", b""), known.get(b"av1C", b"")
    if not set(known) <= _HARMLESS or len(size) < 12 or len(codec) < 3:
        return None
    width, height = int.from_bytes(size[4:8], "big"), int.from_bytes(size[8:12], "big")
    if width * height < _LEAST_PIXELS:
        return None
    many, _ = step_for(width, height, target, most)
    if any(right - left != width for left, _, right, _ in blocks(width, height, many)):
        return None
    # More bits, one plane, and halved colours across and down are bits of the third byte (AV1-ISOBMFF, 2.3).
    deep, grey, across, down = (codec[2] >> bit & 1 for bit in (6, 4, 3, 2))
    samples = width * height * ((1.0 if grey else 1 + 2 / (1 + across) / (1 + down)) + item.has_auxiliary)
    nclx = next((one[4:11] for kind, one in item.properties if kind == b"colr" and one[:4] == b"nclx"), b"")
    return Found(width, height, item.offset, item.offset + item.length, nclx, int(samples * (1 + deep)), by_libavif)


def decode(job: Job) -> Decoded:
    """Decode a large AVIF as stored, the longest side at least `job.target` and at most `job.most`.

    Raises
    ------
    Refused
        If it is none for strips, or is damaged.
    """
    found = find(job.data, job.target, job.most)
    if found is None:
        raise Refused("not a large AVIF of one picture")
    check_size(job, found.width, found.height)
    with ExitStack() as held:
        if found.by_libavif:
            decoded = held.enter_context(libavif.decoded(job.data))
        else:
            decoded = _of_ffmpeg(_frame(job.data[found.start : found.end]), found.nclx)
        if decoded.planes[0].shape != (found.height, found.width):
            raise Refused("the picture has another size than its container says")
        strip = Strips(decoded).strip
        return Decoded(from_blocks(strip, found.width, found.height, job.target, job.most), found.width, found.height)


def _frame(data: bytes) -> Any:
    """Return the first frame of an AV1 stream.

    Raises
    ------
    Refused
        If there is none, or no decoder.
    """
    import av

    av.logging.set_level(None)
    try:
        decoder: Any = av.CodecContext.create("libdav1d", "r")
        # Each further thread would hold a picture.
        decoder.thread_count = 1
        frames = decoder.decode(av.Packet(data)) or decoder.decode(None)
    except MemoryError:
        raise
    except Exception as error:
        raise Refused(f"FFmpeg: {error}") from error
    if not frames:
        raise Refused("FFmpeg: no frame")
    return frames[0]


def _of_ffmpeg(frame: Any, nclx: bytes) -> Planes:
    """Return the planes of a frame, valid for as long as it is there."""
    layout = _LAYOUTS.get(frame.format.name)
    if layout is None:
        raise Refused(f"planes of {frame.format.name}")
    bits, across, down = layout
    matrix, full = int(frame.colorspace), int(frame.color_range) == 2
    if len(nclx) == 7:
        matrix, full = int.from_bytes(nclx[4:6], "big"), bool(nclx[6] & 0x80)
    planes = tuple(_plane(one, bits) for one in frame.planes[: 3 if across else 1])
    return Planes(planes, None, bits, across, down, matrix, full)


def _plane(plane: Any, bits: int) -> NDArray[Any]:
    """Return a plane as an array (h, w), without a copy."""
    kind = np.dtype(np.uint8 if bits == 8 else "<u2")
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
    return rows[:, : plane.width * kind.itemsize].view(kind)
