"""Orientation and capture time, from EXIF blocks sound and damaged."""

from __future__ import annotations

import io
import struct
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from drawn import encoded, exif_bytes, quarters, stored
from rollcall.media import capture_time, exif, metadata
from rollcall.media.metadata import Metadata
from rollcall.media.orientation import upright
from rollcall.records import CaptureTime

ORIENTATION, DATE, DATE_OFFSET, DATE_FRACTION = 0x0112, 0x0132, 0x9010, 0x9290
TAKEN, TAKEN_OFFSET, TAKEN_FRACTION = 0x9003, 0x9011, 0x9291
DIGITISED, DIGITISED_OFFSET = 0x9004, 0x9012
NOON = datetime(2021, 6, 5, 12, 0, 30)


def read(main: dict[int, Any] | None = None, fields: dict[int, Any] | None = None) -> tuple[int, CaptureTime | None]:
    return facts(exif_bytes(main, fields))


def facts(block: bytes) -> tuple[int, CaptureTime | None]:
    found = Metadata(exif=block)
    directories = metadata.directories(found)
    orientation = directories.orientation() if directories else None
    return orientation or 1, capture_time.find(Path("picture.jpg"), found, directories)


def taken(fields: dict[int, Any]) -> CaptureTime | None:
    return read(None, fields)[1]


@given(st.integers(1, 8), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_upright_undoes_what_the_camera_did(orientation: int, width: int, height: int) -> None:
    pixels = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    assert np.array_equal(upright(stored(pixels, orientation), orientation), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_shows(orientation: int) -> None:
    pixels = stored(quarters(), orientation)
    data = encoded(pixels, "PNG", exif=exif_bytes({ORIENTATION: orientation}))
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(upright(pixels, orientation), np.asarray(shown))


@pytest.mark.parametrize("orientation", [0, 9, -1, 255])
def test_an_orientation_that_is_none_leaves_the_pixels(orientation: int) -> None:
    assert np.array_equal(upright(quarters(), orientation), quarters())


@pytest.mark.parametrize("written", [0, 9, 65535])
def test_an_orientation_that_cannot_be_is_read_as_upright(written: int) -> None:
    assert read({ORIENTATION: written})[0] == 1


def test_a_picture_without_a_header_is_upright_and_of_no_time() -> None:
    assert facts(b"") == (1, None)


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
        ("+2", 120),
        ("-05", -300),
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
    st.datetimes(min_value=datetime(1826, 1, 1), max_value=datetime(2026, 12, 31)).filter(
        lambda when: when.date() != date(1970, 1, 1)
    ),
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
    "written",
    [
        "2021-06-05 12:00:30",
        "2021/06/05 12:00:30",
        "2021.06.05 12:00:30",
        "2021:06:05T12:00:30",
        "2021:06:05:12:00:30",
        "2021:6:5 12:0:30",
        "2021: 6: 5 12: 0:30",
        "2021:06:05  12:00:30",
        "2021:06:05 12.00.30",
        "2021:06:05 12:00:30 PM",
        "20210605 120030",
        "20210605T120030",
        "Sat Jun 05 12:00:30 2021",
        "Jun 5 12:00:30 2021",
    ],
)
def test_times_as_careless_programs_write_them_are_read(written: str) -> None:
    assert taken({TAKEN: written}) == CaptureTime(NOON)


def test_a_time_that_is_no_text_is_none() -> None:
    assert taken({TAKEN: 20210605}) is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2021:06:05 12:00:30+02:00", CaptureTime(NOON, 120)),
        ("2021:06:05 12:00:30Z", CaptureTime(NOON, 0)),
        ("2021:06:05 12:00:30.25", CaptureTime(NOON.replace(microsecond=250_000))),
        ("2021:06:05 12:00", CaptureTime(NOON.replace(second=0))),
        ("2021:06:05 01:00:30 pm", CaptureTime(NOON.replace(hour=13))),
        ("2021:06:05", CaptureTime(datetime(2021, 6, 5))),
        ("1985:00:00 00:00:00", CaptureTime(datetime(1985, 1, 1))),
        ("2021:06:05 12:00:60", CaptureTime(NOON.replace(second=59))),
    ],
)
def test_what_else_a_time_may_hold_is_read(written: str, expected: CaptureTime) -> None:
    assert taken({TAKEN: written}) == expected


@pytest.mark.parametrize("written", ["0001:01:01 00:00:00", "9999:12:31 23:59:59", "0000:01:01 00:00:00"])
@pytest.mark.parametrize("offset", ["+14:00", "-14:00", "+01:00"])
def test_a_year_that_no_photograph_is_of_is_no_time(written: str, offset: str) -> None:
    assert taken({TAKEN: written, TAKEN_OFFSET: offset}) is None


@given(st.datetimes(), st.integers(-(2**31), 2**31))
@example(datetime.min, 840)
@example(datetime.max, -840)
def test_a_time_in_utc_is_a_date_or_none(local: datetime, minutes: int) -> None:
    utc = CaptureTime(local, minutes).utc()
    assert utc is None or abs((local - utc).total_seconds() / 60 - minutes) < 1


def test_without_an_offset_there_is_no_utc() -> None:
    assert CaptureTime(NOON).utc() is None
    assert CaptureTime(NOON, 120).utc() == datetime(2021, 6, 5, 10, 0, 30)


GPS, GPS_DAY, GPS_CLOCK = 0x8825, 0x001D, 0x0007


def gps_block(day: str, clock: Any) -> bytes:
    block = Image.Exif()
    block.get_ifd(GPS).update({GPS_DAY: day, GPS_CLOCK: clock})
    return block.tobytes()


def test_the_time_of_the_satellites_is_the_last_resort() -> None:
    assert facts(gps_block("2021:06:05", (10.0, 0.0, 30.0)))[1] == CaptureTime(datetime(2021, 6, 5, 10, 0, 30), 0)
    leap = facts(gps_block("2016:12:31", (23.0, 59.0, 60.0)))[1]
    assert leap == CaptureTime(datetime(2016, 12, 31, 23, 59, 59), 0)


@pytest.mark.parametrize("clock", [(24.0, 0.0, 0.0), (25.0, 0.0, 0.0), (10.0, 60.0, 0.0), (10.0, 61.0, 0.0), (10.0,)])
def test_satellites_without_a_time_say_nothing(clock: Any) -> None:
    assert facts(gps_block("2021:06:05", clock))[1] is None


def test_a_ratio_without_a_denominator_is_no_number() -> None:
    block = bytearray(gps_block("2021:06:05", (10.0, 0.0, 30.0)))
    ratio = block.index(struct.pack(">II", 30, 1))
    block[ratio + 4 : ratio + 8] = bytes(4)
    assert facts(bytes(block))[1] is None


BLOCK = exif_bytes({ORIENTATION: 6, DATE: "2021:06:05 12:00:30"}, {TAKEN: "2021:06:05 12:00:30"})
TIFF = len(b"Exif\0\0")


@given(st.lists(st.tuples(st.integers(TIFF, len(BLOCK) - 1), st.integers(0, 255)), min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_a_damaged_header_never_raises(damage: list[tuple[int, int]]) -> None:
    data = bytearray(BLOCK)
    for place, byte in damage:
        data[place] = byte
    check(*facts(bytes(data)))


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"Exif\0\0II*\0\x08\0\0\0"])
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_at_all_raise(data: bytes, magic: bytes) -> None:
    check(*facts(magic + data))
    parsed = exif.read(magic + data)
    if parsed is not None:
        assert min(parsed.size()) >= 0
        assert all(isinstance(side, int) for side in parsed.largest())


TEXT = st.text(max_size=40) | st.from_regex(
    r"[0-9]{1,5}[:/.-][0-9]{1,3}[:/.-][0-9]{1,3}[ T][0-9]{1,3}:[0-9]{1,3}", fullmatch=True
)


@given(
    st.sampled_from([TAKEN, DIGITISED]),
    TEXT,
    TEXT | st.from_regex(r"[+-][0-9]{1,4}:?[0-9]{0,4}", fullmatch=True),
    TEXT | st.integers(0, 10**12).map(str),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=300, deadline=None)
def test_no_value_in_a_field_raises(tag: int, date: str, offset: str, fraction: str, orientation: int) -> None:
    fields = {tag: date, tag + 0xE: offset, TAKEN_FRACTION: fraction}
    block = ascii_block({ORIENTATION: orientation}, fields)
    check(*facts(block))


def ascii_block(numbers: dict[int, int], texts: dict[int, str]) -> bytes:
    """Return a block whose main directory has these values, which Pillow would refuse to write."""
    entries, data = b"", b""
    start = 8 + 2 + 12 * (len(numbers) + len(texts)) + 4
    for tag, number in numbers.items():
        entries += struct.pack("<HHII", tag, 4, 1, number)
    for tag, text in texts.items():
        content = text.encode("utf-8", "surrogatepass") + b"\0" * 5
        entries += struct.pack("<HHII", tag, 2, len(content), start + len(data))
        data += content
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(numbers) + len(texts)) + entries + bytes(4) + data


def test_a_block_of_fields_is_read_as_it_was_written() -> None:
    block = ascii_block({ORIENTATION: 3}, {TAKEN: "2021:06:05 12:00:30", TAKEN_OFFSET: "+02:00"})
    assert facts(block) == (3, CaptureTime(NOON, 120))


def check(orientation: int, time: CaptureTime | None) -> None:
    """Assert that facts can be stored whatever they were read from."""
    assert 1 <= orientation <= 8
    if time is not None:
        assert len(time.local.isoformat()) >= 19
        assert 1800 <= time.local.year < 3000
        assert time.offset_minutes is None or abs(time.offset_minutes) <= 14 * 60
        utc = time.utc()
        assert utc is None or len(utc.isoformat()) >= 19


def test_the_orientation_survives_a_damaged_directory_of_times() -> None:
    """What the main directory says is not lost with the one that it points to."""
    data = bytearray(BLOCK)
    pointer = data.index(b"\x87\x69")  # Pillow writes big-endian
    data[pointer + 8 : pointer + 12] = b"\x7f\xff\xff\xff"
    assert facts(bytes(data))[0] == 6
