"""Drawn videos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
#: Frames a second of drawn videos, unless a test says otherwise.
RATE = 4


def film(
    path: Path,
    frames: Iterable[Pixels],
    *,
    codec: str = "png",
    form: str = "rgb24",
    rate: int = RATE,
    gop: int = RATE,
    turn: int = 0,
    tags: Mapping[str, str] | None = None,
    times: Iterable[float] | None = None,
    options: Mapping[str, str] | None = None,
    container: Mapping[str, str] | None = None,
    set_up: Any = None,
) -> Path:
    """Write a video; `turn` is what a player turns it by, in degrees counter-clockwise, `times` are in seconds."""
    av = pytest.importorskip("av")
    frames = list(frames)
    height, width = frames[0].shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags", **(container or {})}) as out:
        out.metadata.update(tags or {})
        stream = out.add_stream(codec, rate=rate, options={"g": str(gop), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, form
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = Fraction(1, 1000)
        if turn:
            stream.set_display_rotation(turn)
        if set_up is not None:
            set_up(stream)
        moments = list(times) if times is not None else [number / rate for number in range(len(frames))]
        for moment, pixels in zip(moments, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round(moment * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def shade(number: int, width: int = 64, height: int = 48) -> Pixels:
    """Return a frame whose brightness is its number times four."""
    return np.full((height, width, 3), 4 * number % 256, np.uint8)


def blobs(*faces: tuple[int, int, int], seed: int = 0) -> Pixels:
    """Return a frame for the analyzer of `blobs.py`: a square for each (left edge in pixels, age, blue)."""
    pixels = np.full((120, 200, 3), 30, np.uint8)
    pixels[:20] = np.random.default_rng(seed).integers(0, 60, (20, 200, 3))
    for left, age, blue in faces:
        pixels[50:80, left : left + 30] = (255, age, blue)
    return pixels
