"""Capture times that makers of cameras keep outside of EXIF."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn import encoded, exif_bytes, quarters
from rollcall.media import decode, maker_times, times

TAKEN = datetime(2019, 6, 12, 10, 15)
SECONDS = 1_560_334_500  # TAKEN, of Greenwich


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def heap() -> bytes:
    record = struct.pack("<III", SECONDS, 0, 0)
    directory = struct.pack("<H", 1) + struct.pack("<HII", 0x180E, len(record), 0)
    inner = record + directory + struct.pack("<I", len(record))
    outer = inner + struct.pack("<H", 1) + struct.pack("<HII", 0x300A, len(inner), 0) + struct.pack("<I", len(inner))
    return b"II" + struct.pack("<I", 14) + b"HEAPJPGM" + outer


def thermal(order: str = ">") -> bytes:
    record = bytearray(1000)
    record[:2] = b"\2\0"
    struct.pack_into("<IIh", record, 900, SECONDS + 120 * 60, 41, 120)
    entry = struct.pack(f"{order}HHIIII", 0x20, 0, 0, 0, 96, len(record)).ljust(32, b"\0")
    head = b"FFF\0".ljust(20, b"\0") + struct.pack(f"{order}III", 100, 64, 1)
    return head.ljust(64, b"\0") + entry + bytes(record)


def taken(tmp_path: Path, *segments: bytes, exif: bytes = b"") -> times.Moment | None:
    data = encoded(quarters(), "JPEG", **({"exif": exif} if exif else {}))
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:2] + b"".join(segments) + data[2:])
    found = decode.decode(path).taken
    return times.Moment(found.local, found.offset_minutes) if found else None


def test_the_text_of_olympus_is_read(tmp_path: Path) -> None:
    text = f"OLYMPUS OPTICAL CO.,LTD.\0[picture info]\r\nTimeDate={SECONDS}\r\n".encode()
    assert taken(tmp_path, segment(0xEC, text)) == (TAKEN, None)


def test_the_block_of_the_first_casios_is_read(tmp_path: Path) -> None:
    block = b"QVCI".ljust(77, b"\0") + b"2019.06.12.10.15.00\0"
    assert taken(tmp_path, segment(0xE1, block)) == (TAKEN, None)
    assert taken(tmp_path, segment(0xE1, block.replace(b".06.", b".13."))) is None


def test_the_heap_of_canon_is_read(tmp_path: Path) -> None:
    assert taken(tmp_path, segment(0xE0, heap())) == (TAKEN, None)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_records_of_flir_are_read_from_all_their_segments(order: str, tmp_path: Path) -> None:
    block = thermal(order)
    parts = [
        segment(0xE1, b"FLIR\0\1" + bytes((number, 1)) + block[number * 500 :][: 500 if number == 0 else None])
        for number in (0, 1)
    ]
    assert taken(tmp_path, *parts) == (TAKEN.replace(microsecond=41_000), -120)


@pytest.mark.parametrize(
    "notes",
    [
        b"\x01\xf1".ljust(22, b"\0") + struct.pack("<6H", 0, 15, 10, 6, 12, 2019),
        b"\x01\xf1".ljust(22, b"\0") + struct.pack(">6H", 0, 15, 10, 6, 12, 2019),
        b"RECONYXUF\0".ljust(59, b"\0") + struct.pack("<5BH", 0, 15, 10, 12, 6, 2019),
        b"RECONYXH2\0".ljust(62, b"\0") + struct.pack("<6H", 0, 15, 10, 12, 6, 2019),
    ],
)
def test_the_notes_of_trail_cameras_are_read(notes: bytes, tmp_path: Path) -> None:
    assert taken(tmp_path, exif=exif_bytes({}, {0x927C: notes})) == (TAKEN, None)


def test_exif_goes_before_the_maker(tmp_path: Path) -> None:
    exif = exif_bytes({}, {0x9003: "2001:02:03 04:05:06"})
    assert taken(tmp_path, segment(0xE0, heap()), exif=exif) == (datetime(2001, 2, 3, 4, 5, 6), None)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([heap(), thermal(), b"\x01\xf1", b"RECONYXUF\0", b"RECONYXH2\0"]),
    st.binary(max_size=80),
    st.integers(0, 120),
)
def test_no_block_raises(block: bytes, damage: bytes, at: int) -> None:
    damaged = block[:at] + damage + block[at + len(damage) :]
    data = b"\xff\xd8" + segment(0xE0, damaged) + segment(0xE1, b"FLIR\0\1\0\0" + damaged) + segment(0xDA, b"")
    for found in (*maker_times.in_jpeg(data), *maker_times.in_heap(damaged), *maker_times.of_reconyx(damaged)):
        assert 1800 <= found.local.year < 3000


@pytest.mark.parametrize("text", ["2005:0\ufffd:03 15:31:45", "2005:0x:12", "2005-?7-03"])
def test_a_date_with_a_damaged_month_is_no_date(text: str) -> None:
    assert times.moment(text) is None


@pytest.mark.parametrize("text", ["2005", "2005:  :  ", "2005 (page 3)"])
def test_a_year_alone_is_its_first_day(text: str) -> None:
    assert times.moment(text) == (datetime(2005, 1, 1), None)
