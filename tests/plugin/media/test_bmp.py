"""BMP files whose palettes or headers Pillow refuses and browsers show."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from rollcall.media import decode

#: Numbers of colours, (5, 7).
NUMBERS = np.arange(35, dtype=np.uint8).reshape(5, 7)


def bmp(bits: int, colours: int, header: int = 40, top_down: bool = False) -> tuple[bytes, np.ndarray]:
    """Return a BMP of `NUMBERS` and what it shows."""
    numbers = NUMBERS % np.uint8(min(1 << bits, colours, 255))
    palette = np.random.default_rng(1).integers(0, 256, (colours, 4), np.uint8)
    height, width = numbers.shape
    flat = np.unpackbits(numbers[..., None], axis=2)[..., -bits:].reshape(height, -1)
    packed = np.packbits(flat, axis=1)
    rows = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))
    info = struct.pack("<iiHH", width, -height if top_down else height, 1, bits).ljust(header - 4, b"\0")
    start = 14 + header + palette.nbytes
    pixels = (rows if top_down else rows[::-1]).tobytes()
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + struct.pack("<I", header)
    return head + info + palette.tobytes() + pixels, palette[numbers][..., 2::-1]


@pytest.mark.parametrize(
    ("bits", "colours", "header", "top_down"),
    [
        (2, 4, 40, False),
        (2, 4, 40, True),
        (8, 300, 40, False),
        (8, 40, 16, False),
        (4, 16, 16, False),
        (1, 2, 16, False),
    ],
)
def test_palettes_of_every_kind_are_shown(bits: int, colours: int, header: int, top_down: bool, tmp_path: Path) -> None:
    data, expected = bmp(bits, colours, header, top_down)
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    picture = decode.decode(path)
    assert picture.warnings == ()
    assert np.array_equal(picture.pixels, expected)


def test_a_bit_field_may_be_empty(tmp_path: Path) -> None:
    info = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 3, 0, 0, 0, 0, 0) + struct.pack("<III", 0xFF00, 0x00FF, 0)
    data = b"BM" + struct.pack("<IHHI", 70, 0, 0, 66) + info + struct.pack("<HH", 0xFF00, 0x80FF)
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    assert decode.decode(path).pixels.tolist() == [[[255, 0, 0], [128, 255, 0]]]


@pytest.mark.parametrize(
    ("bits", "row"),
    [
        # A run, then pixels one by one, which are filled up to two bytes.
        (8, b"\x04\x01\x00\x03\x02\x03\x02\x00\x00\x00"),
        (4, b"\x04\x11\x00\x03\x23\x20\x00\x00"),
    ],
)
def test_packed_rows_are_shown_up_to_where_they_end(bits: int, row: bytes, tmp_path: Path) -> None:
    palette = np.array([[0, 0, 0, 0], [9, 8, 7, 0], [60, 50, 40, 0], [255, 255, 255, 0]], np.uint8)
    info = struct.pack("<IiiHHIIiiII", 40, 7, 4, 1, bits, 1 if bits == 8 else 2, 0, 0, 0, 4, 0)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + palette.nbytes) + info + palette.tobytes() + row * 2
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    picture = decode.decode(path)
    assert picture.warnings
    expected = np.zeros((4, 7), np.uint8)
    expected[2:] = (1, 1, 1, 1, 2, 3, 2)
    assert np.array_equal(picture.pixels, palette[expected][..., 2::-1])
