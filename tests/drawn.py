"""Drawn pictures in every format, and folders and users for tests of reading them."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

Pixels = NDArray[np.uint8]

#: Pillow's name of a format to suffix, and the mean difference, of 255, that its encoder may make.
FORMATS: Final = {
    "JPEG": (".jpg", 3.0),
    "MPO": (".mpo", 3.0),
    "PNG": (".png", 0.0),
    "WEBP": (".webp", 0.0),
    "TIFF": (".tif", 0.0),
    "AVIF": (".avif", 3.0),
    "HEIF": (".heic", 3.0),
    "JXL": (".jxl", 3.0),
}
_LOSSLESS: Final[dict[str, dict[str, Any]]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "MPO": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "HEIF": {"quality": 95},
}


def need(format_name: str) -> None:
    """Skip the test if what a format needs is not installed."""
    if format_name == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif format_name.startswith("JXL"):
        pytest.importorskip("pillow_jxl")
    elif format_name == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")


def quarters(width: int = 160, height: int = 96) -> Pixels:
    """Return a picture (height, width, 3) with a colour in each quarter: every turn and mirroring changes it."""
    pixels = np.zeros((height, width, 3), np.uint8)
    y, x = height // 2, width // 2
    pixels[:y, :x], pixels[:y, x:] = (250, 20, 20), (20, 250, 20)
    pixels[y:, :x], pixels[y:, x:] = (20, 20, 250), (240, 240, 20)
    return pixels


def stored(upright: Pixels, orientation: int) -> Pixels:
    """Return what a camera stores of an upright picture when it writes this EXIF orientation."""
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),  # to be shown turned a quarter clockwise
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    return np.ascontiguousarray(turned)


def exif_bytes(main: dict[int, Any] | None = None, exif: dict[int, Any] | None = None) -> bytes:
    """Return an EXIF block with tags of the main directory and of the EXIF directory."""
    block = Image.Exif()
    block.update(main or {})
    block.get_ifd(0x8769).update(exif or {})
    return block.tobytes()


def encoded(pixels: Pixels | Image.Image, format_name: str, **options: Any) -> bytes:
    """Return the file of a picture in a format of Pillow's, or as JPEG packed into JPEG XL ("JXL of JPEG")."""
    if format_name == "JXL of JPEG":
        return _jpeg_in_jxl(encoded(pixels, "JPEG", **options))
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format_name, **{**_LOSSLESS.get(format_name, {}), **options})
    return buffer.getvalue()


def _jpeg_in_jxl(jpeg: bytes) -> bytes:
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        # The encoder reads the JPEG from its file.
        path = Path(folder, "original.jpg")
        path.write_bytes(jpeg)
        with Image.open(path) as image:
            image.save(buffer, "JXL", lossless_jpeg=True)
    return buffer.getvalue()


def without_box(data: bytes, kind: bytes) -> bytes:
    """Return an ISO container (JPEG XL, HEIF) without its boxes of one kind."""
    rest, position = b"", 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big") or len(data) - position
        if data[position + 4 : position + 8] != kind:
            rest += data[position : position + length]
        position += length
    return rest


def difference(a: Pixels, b: Pixels) -> float:
    """Return the mean difference of two pictures, of 255; infinity if the shapes differ."""
    return float(np.abs(a.astype(int) - b).mean()) if a.shape == b.shape else float("inf")


@contextmanager
def open_to_all() -> Iterator[Path]:
    """Give a folder that every user can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Run as a user to whom file permissions apply, unlike root."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has other permissions")
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)
