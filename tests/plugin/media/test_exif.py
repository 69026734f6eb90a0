"""Orientation and capture time, from headers sound and damaged."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from drawn import encoded, exif_bytes, quarters, stored
from rollcall.media import exif
from rollcall.records import CaptureTime

ORIENTATION, DATE, DATE_OFFSET, DATE_FRACTION = 0x0112, 0x0132, 0x9010, 0x9290
TAKEN, TAKEN_OFFSET, TAKEN_FRACTION = 0x9003, 0x9011, 0x9291
DIGITISED, DIGITISED_OFFSET = 0x9004, 0x9012
NOON = datetime(2021, 6, 5, 12, 0, 30)


def read(main: dict[int, Any] | None = None, fields: dict[int, Any] | None = None) -> tuple[int, CaptureTime | None]:
    data = encoded(quarters(32, 16), "JPEG", exif=exif_bytes(main, fields))
    return exif.read(Image.open(io.BytesIO(data)))


def taken(fields: dict[int, Any]) -> CaptureTime | None:
    return read(None, fields)[1]


@given(st.integers(1, 8), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_upright_undoes_what_the_camera_did(orientation: int, width: int, height: int) -> None:
    pixels = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    assert np.array_equal(exif.upright(stored(pixels, orientation), orientation), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_shows(orientation: int) -> None:
    pixels = stored(quarters(), orientation)
    data = encoded(pixels, "PNG", exif=exif_bytes({ORIENTATION: orientation}))
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(exif.upright(pixels, orientation), np.asarray(shown))


@pytest.mark.parametrize("orientation", [0, 9, -1, 255])
def test_an_orientation_that_is_none_leaves_the_pixels(orientation: int) -> None:
    assert np.array_equal(exif.upright(quarters(), orientation), quarters())


@pytest.mark.parametrize("written", [0, 9, 65535])
def test_an_orientation_that_cannot_be_is_read_as_upright(written: int) -> None:
    assert read({ORIENTATION: written})[0] == 1


def test_a_picture_without_a_header_is_upright_and_of_no_time() -> None:
    assert exif.read(Image.open(io.BytesIO(encoded(quarters(), "PNG")))) == (1, None)


def test_a_time_without_an_offset_is_wall_time_only() -> None:
    assert taken({TAKEN: "2021:06:05 12:00:30"}) == CaptureTime(NOON, None)


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ("+02:00", 120),
        ("-05:30", -330),
        ("+00:00", 0),
        ("-00:00", 0),
        ("Z", 0),
        ("+0900", 540),
        (" +05:45 ", 345),
        ("+14:00", 840),
        ("+15:00", None),
        ("2", None),
        ("   :  ", None),
        ("", None),
    ],
)
def test_the_offset_is_in_minutes_east_of_greenwich(written: str, minutes: int | None) -> None:
    assert taken({TAKEN: "2021:06:05 12:00:30", TAKEN_OFFSET: written}) == CaptureTime(NOON, minutes)


@pytest.mark.parametrize(
    ("written", "microseconds"),
    [("5", 500_000), ("05", 50_000), ("123", 123_000), ("123456789", 123_456), (" 25 ", 250_000), ("x", 0), ("", 0)],
)
def test_the_fraction_of_a_second_is_kept(written: str, microseconds: int) -> None:
    time = taken({TAKEN: "2021:06:05 12:00:30", TAKEN_FRACTION: written})
    assert time == CaptureTime(NOON.replace(microsecond=microseconds))


@given(
    st.datetimes(min_value=datetime(1826, 1, 1), max_value=datetime(2999, 12, 31)),
    st.none() | st.integers(-14 * 60, 14 * 60),
)
@settings(max_examples=60, deadline=None)
def test_every_time_that_a_camera_writes_is_read_back(when: datetime, minutes: int | None) -> None:
    fields: dict[int, Any] = {TAKEN: when.strftime("%Y:%m:%d %H:%M:%S").zfill(19), TAKEN_FRACTION: f"{when:%f}"}
    if minutes is not None:
        fields[TAKEN_OFFSET] = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    assert taken(fields) == CaptureTime(when, minutes)


def test_taken_goes_before_digitised_and_digitised_before_changed() -> None:
    """Each with the offset of its own."""
    main = {DATE: "2003:03:03 03:03:03"}
    fields = {DATE_OFFSET: "+03:00", DIGITISED: "2002:02:02 02:02:02", DIGITISED_OFFSET: "+02:00"}
    first = {**fields, TAKEN: "2001:01:01 01:01:01"}
    assert read(main, first)[1] == CaptureTime(datetime(2001, 1, 1, 1, 1, 1), None)
    assert read(main, fields)[1] == CaptureTime(datetime(2002, 2, 2, 2, 2, 2), 120)
    del fields[DIGITISED]
    assert read(main, fields)[1] == CaptureTime(datetime(2003, 3, 3, 3, 3, 3), 180)


@pytest.mark.parametrize(
    "written", ["0000:00:00 00:00:00", "2021:13:05 12:00:30", "2021:02:30 12:00:30", "    :  :     :  :  ", "noon"]
)
def test_a_time_that_cannot_be_gives_way_to_the_next(written: str) -> None:
    assert read({DATE: "2021:06:05 12:00:30"}, {TAKEN: written})[1] == CaptureTime(NOON)
    assert taken({TAKEN: written}) is None


@pytest.mark.parametrize(
    "written", ["2021-06-05 12:00:30", "2021/06/05 12:00:30", "2021:06:05T12:00:30", "2021:6:5 12:0:30"]
)
def test_times_as_careless_programs_write_them_are_read(written: str) -> None:
    assert taken({TAKEN: written}) == CaptureTime(NOON)


def test_a_time_that_is_no_text_is_none() -> None:
    assert taken({TAKEN: 20210605}) is None


BLOCK = exif_bytes({ORIENTATION: 6, DATE: "2021:06:05 12:00:30"}, {TAKEN: "2021:06:05 12:00:30"})
SOUND = encoded(quarters(32, 16), "JPEG", exif=BLOCK)
HEADER = SOUND.index(BLOCK)
TIFF = len(b"Exif\0\0")


@given(st.lists(st.tuples(st.integers(TIFF, len(BLOCK) - 1), st.integers(0, 255)), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_damaged_header_never_raises(damage: list[tuple[int, int]]) -> None:
    data = bytearray(SOUND)
    for place, byte in damage:
        data[HEADER + place] = byte
    orientation, time = exif.read(Image.open(io.BytesIO(bytes(data))))
    assert 1 <= orientation <= 8
    assert time is None or isinstance(time.local, datetime)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_the_orientation_survives_a_damaged_directory_of_times() -> None:
    """What the main directory says is not lost with the one that it points to."""
    data = bytearray(SOUND)
    pointer = data.index(b"\x87\x69", HEADER)  # Pillow writes big-endian
    data[pointer + 8 : pointer + 12] = b"\x7f\xff\xff\xff"
    assert exif.read(Image.open(io.BytesIO(bytes(data))))[0] == 6
