"""AVIF files that browsers show and a strict decoder refuses."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawn import exif_bytes, need, quarters
from rollcall.media import avif, boxes, decode
from rollcall.media.formats import Format
from rollcall.media.job import Job, Refused


@pytest.fixture(scope="module")
def transparent() -> bytes:
    """Return an AVIF of two items: colours, and how opaque they are."""
    need("AVIF")
    opaque = np.full(quarters().shape[:2], 255, np.uint8)
    opaque[:8] = 100
    written = io.BytesIO()
    Image.fromarray(np.dstack([quarters(), opaque]), "RGBA").save(written, "AVIF", quality=90)
    return written.getvalue()


def renamed(data: bytes, kind: bytes, number: int) -> bytes:
    """Return a file whose box number `number` of a kind has a name that nobody knows."""
    place = -1
    for _ in range(number):
        place = data.index(kind, place + 1)
    return data[:place] + b"none" + data[place + 4 :]


def without_size_of_transparency(data: bytes) -> bytes:
    """Return the file with all that is said of its second item missing, as encoders of drafts left it out."""
    box = boxes.first(data, b"meta", b"iprp", b"ipma")
    assert box is not None
    found = bytearray(data)
    first = box.start + 8
    count = data[first + 2]
    second = first + 3 + count
    # Its associations say nothing: property 0.
    found[second + 3 : second + 3 + data[second + 2]] = bytes(data[second + 2])
    return bytes(found)


def in_two_boxes(data: bytes) -> bytes:
    """Return the file with the properties of its items in a box each, of one form."""
    box = boxes.first(data, b"meta", b"iprp", b"ipma")
    assert box is not None
    first = box.start + 8
    second = first + 3 + data[first + 2]
    head = data[box.start : box.start + 4] + struct.pack(">I", 1)
    parts = [head + data[first:second], head + data[second : box.end]]
    made = b"".join(struct.pack(">I", len(part) + 8) + b"ipma" + part for part in parts)
    grown = len(made) - (box.end - box.start + 8)
    found = bytearray(data[: box.start - 8] + made + data[box.end :])
    for path in ((b"meta",), (b"meta", b"iprp")):
        parent = boxes.first(data, *path)
        assert parent is not None
        struct.pack_into(">I", found, parent.start - 8, parent.end - parent.start + 8 + grown)
    _move_items(found, grown)
    return bytes(found)


def _move_items(data: bytearray, distance: int) -> None:
    """Correct where the items lie, in the form in which libavif writes that: version 0, four bytes each."""
    box = boxes.first(bytes(data), b"meta", b"iloc")
    assert box is not None and data[box.start] == 0 and data[box.start + 4 : box.start + 6] == b"\x44\0"
    (count,) = struct.unpack_from(">H", data, box.start + 6)
    for index in range(count):
        place = box.start + 8 + 14 * index + 6
        (offset,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, offset + distance)


@pytest.mark.parametrize("damage", [without_size_of_transparency, in_two_boxes])
def test_what_a_strict_decoder_refuses_is_shown(
    damage: Callable[[bytes], bytes], transparent: bytes, tmp_path: Path
) -> None:
    data = damage(transparent)
    with pytest.raises(Exception, match=r"identify|decode"):
        Image.open(io.BytesIO(data)).load()
    (tmp_path / "a.avif").write_bytes(data)
    found = decode.decode(tmp_path / "a.avif")
    assert (found.width, found.height) == quarters().shape[1::-1] and found.warnings == ()
    # Where the picture is opaque the colours are those of the sound file.
    difference = found.pixels[16:].astype(int) - quarters()[16:]
    assert abs(difference).mean() < 8


def test_a_broken_block_of_exif_hides_no_picture(tmp_path: Path) -> None:
    need("AVIF")
    written = io.BytesIO()
    Image.fromarray(quarters()).save(written, "AVIF", quality=90, exif=exif_bytes({0x0112: 1}))
    data = bytearray(written.getvalue())
    data[data.index(b"mdat") + 4] = 0x10  # it says how far behind the block's header is
    (tmp_path / "a.avif").write_bytes(data)
    with pytest.raises(ValueError, match="Exif"):
        Image.open(tmp_path / "a.avif").load()
    found = decode.decode(tmp_path / "a.avif")
    assert abs(found.pixels.astype(int) - quarters()).mean() < 8 and found.warnings == ()


def test_a_file_without_anything_to_leave_out_is_refused() -> None:
    need("AVIF")
    written = io.BytesIO()
    Image.fromarray(quarters()).save(written, "AVIF")
    with pytest.raises(Refused, match="nothing to leave out"):
        avif.main_item(Job(Format.AVIF, written.getvalue(), None, 100))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_of_the_header_raises(transparent: bytes, data: st.DataObject) -> None:
    found = bytearray(transparent)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(found), 700) - 1))
        found[place] = data.draw(st.integers(0, 255))
    kept = bytes(found[: data.draw(st.integers(0, len(found)))])
    assert len(avif.without_extras(kept)) == len(kept)
