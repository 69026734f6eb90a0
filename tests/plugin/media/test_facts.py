"""Size, orientation and time are those of the original: of raw files, and of HEIC and AVIF that EXIF alone turns."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drawn import Pixels, difference, encoded, exif_bytes, need, quarters, stored
from rollcall.media import boxes, decode, exif, raw
from rollcall.media.formats import Format
from rollcall.media.job import Job
from rollcall.records import CaptureTime

ORIENTATION, TAKEN = 0x0112, 0x9003
_PHOTOMETRIC = 0x0106


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("format_name", ["HEIF", "AVIF"])
def test_exif_turns_a_picture_that_its_container_does_not_turn(
    format_name: str, orientation: int, tmp_path: Path
) -> None:
    need(format_name)
    # Encoders write the orientation into the container; under the number of another tag they leave it where it is.
    block = exif_bytes({_PHOTOMETRIC: orientation}, {TAKEN: "2022:04:11 00:51:52"})
    data = encoded(stored(quarters(), orientation), format_name, exif=block)
    found = boxes.heif(data)
    assert found is not None
    assert found.orientation() is None
    kind = b"\x00\x03\x00\x00\x00\x01\x00"
    entry, renamed = _PHOTOMETRIC.to_bytes(2, "big") + kind, ORIENTATION.to_bytes(2, "big") + kind
    assert data.count(entry) == 1
    path = tmp_path / "a.heic"
    path.write_bytes(data.replace(entry, renamed))
    picture = decode.decode(path)
    assert difference(picture.pixels, quarters()) <= 3
    assert (picture.width, picture.height, picture.orientation) == (160, 96, orientation)


def mosaic(pixels: Pixels) -> Any:
    """Return 16-bit samples as a sensor with red, green, green and blue filters takes them."""
    linear = (pixels / 255.0) ** 2.2
    samples = linear[..., 1].copy()
    samples[0::2, 0::2], samples[1::2, 1::2] = linear[0::2, 0::2, 0], linear[1::2, 1::2, 2]
    return (samples * 16000 + 64).astype(np.uint16)


def rationals(*values: float) -> tuple[int, ...]:
    return tuple(part for value in values for part in (round(value * 10000), 10000))


def dng(path: Path, pixels: Pixels, orientation: int = 1, preview: bytes = b"", shape: tuple[int, ...] = ()) -> None:
    """Write a DNG as phones do: a mosaic, with or without a JPEG as a preview."""
    tifffile = pytest.importorskip("tifffile")
    facts = [
        *((50706, "B", 4, (1, 4, 0, 0), True), (50707, "B", 4, (1, 1, 0, 0), True), (50708, "s", 0, "Phone", True)),
        *((274, "H", 1, orientation, True), (36867, "s", 0, "2022:04:11 00:51:52", True)),
        *((36881, "s", 0, "-07:00", True), (37521, "s", 0, "876", True)),
        (50721, "2i", 9, rationals(3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.204, 1.057), True),
        *((50728, "2I", 3, rationals(1, 1, 1), True), (50778, "H", 1, 21, True)),
    ]
    sensor = [
        *((33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)),
        *((50714, "H", 1, 64, True), (50717, "I", 1, 16064, True)),
    ]
    with tifffile.TiffWriter(path) as writer:
        if preview:
            writer.write(
                iter([preview]), shape=shape, dtype=np.uint8, photometric="ycbcr", compression="zlib",
                subfiletype=1, subifds=1, rowsperstrip=shape[0], extratags=facts, metadata=None,
            )  # fmt: skip
        tags = sensor if preview else facts + sensor
        writer.write(mosaic(pixels), photometric=32803, subfiletype=0, extratags=tags, metadata=None)
    # The writer packs no JPEG; it stores bytes that are packed already under the compression that is named.
    deflate, jpeg = (b"\x03\x01\x03\x00\x01\x00\x00\x00" + bytes([number, 0]) for number in (8, 7))
    path.write_bytes(path.read_bytes().replace(deflate, jpeg))


@pytest.fixture(scope="module")
def _rawpy() -> Any:
    return pytest.importorskip("rawpy")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("target", [None, 80])
def test_a_raw_file_without_a_large_preview_has_its_own_size_and_time(
    orientation: int, target: int | None, tmp_path: Path, _rawpy: Any
) -> None:
    path = tmp_path / "a.dng"
    dng(path, stored(quarters(320, 256), orientation), orientation)
    picture = decode.decode(path, target=target)
    assert (picture.width, picture.height, picture.orientation) == (320, 256, orientation)
    assert picture.taken is not None
    assert picture.taken.local.isoformat() == "2022-04-11T00:51:52.876000"
    assert picture.taken.offset_minutes == -420
    # The middles of the quarters: red, green, blue and yellow.
    height, width = picture.pixels.shape[:2]
    assert width == {None: 320, 80: 80}[target]
    corners = picture.pixels[[height // 4, height // 4, -height // 4, -height // 4], [width // 4, -width // 4] * 2]
    assert corners.argmax(axis=1).tolist()[:3] == [0, 1, 2]


def test_a_raw_file_is_reserved_what_it_takes_and_halved_where_that_is_too_much(
    tmp_path: Path, _rawpy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dng"
    dng(path, quarters(320, 256), 1)
    job = Job(Format.RAW, path.read_bytes(), 300)
    before = decode._plan(job).needed
    assert before > 320 * 256 * 14
    monkeypatch.setattr(raw, "_MOST_BYTES", 320 * 256 * 14 - 1)
    assert decode._plan(job).needed < before
    halved = raw.decode(job)
    assert halved.pixels.shape == (128, 160, 3)
    assert (halved.width, halved.height) == (320, 256)
    assert raw.decode(job._replace(target=None)).pixels.shape == (256, 320, 3)
    # A photograph of 100 megapixels with two bytes a sample, which no machine that it fits into refuses.
    assert raw.needed(11_600, 8_700, 210_000_000, 1280) < 1 << 30


def test_a_raw_file_of_panasonic_has_the_size_between_its_borders() -> None:
    tags = ((2, 3724), (3, 2754), (4, 6), (5, 8), (6, 2742), (7, 3656))
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    directory = struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    for magic, size in ((b"IIU\0", (3648, 2736)), (b"II*\0", (0, 0))):
        found = exif.read(magic + directory)
        assert found is not None and found.size() == size


@pytest.mark.parametrize("orientation", [1, 6])
def test_with_a_large_preview_the_size_is_still_the_raw_files(orientation: int, tmp_path: Path, _rawpy: Any) -> None:
    path = tmp_path / "a.dng"
    raw, preview = stored(quarters(1600, 1200), orientation), stored(quarters(1200, 900), orientation)
    dng(path, raw, orientation, encoded(preview, "JPEG"), preview.shape)
    picture = decode.decode(path)
    assert (picture.width, picture.height) == (1600, 1200)
    assert picture.pixels.shape == (900, 1200, 3)
    assert difference(picture.pixels, quarters(1200, 900)) <= 3
    assert picture.taken == CaptureTime(datetime(2022, 4, 11, 0, 51, 52, 876_000), -420)
