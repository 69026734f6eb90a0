"""JPEG files at which decoders give up in the middle: what is before is shown."""

from __future__ import annotations

from pathlib import Path

from damaged import WHOLE
from drawn import difference, encoded
from rollcall.media import decode, jpeg_markers

#: A scan of a component that the frame does not have.
NO_SUCH_COMPONENT = b"\xff\xda\x00\x08\x01\x63\x00\x00\x3f\x00"


def test_of_a_progressive_picture_the_scans_before_a_damaged_one_are_shown(tmp_path: Path) -> None:
    data = encoded(WHOLE, "JPEG", progressive=True, quality=95)
    frame = jpeg_markers.frame(data)
    assert frame is not None
    fifth = jpeg_markers.scans(data, frame.scan, 100)[4]
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:fifth] + NO_SUCH_COMPONENT + data[fifth + len(NO_SUCH_COMPONENT) :])
    picture = decode.decode(path)
    assert picture.warnings
    assert difference(picture.pixels, WHOLE) <= 16


def test_the_rows_before_the_damage_are_shown_where_the_header_is_damaged_too(tmp_path: Path) -> None:
    data = encoded(WHOLE, "JPEG", quality=95)
    half = len(data) * 3 // 4
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:2] + b"lost" + data[2:half] + NO_SUCH_COMPONENT + data[half:])
    picture = decode.decode(path)
    assert picture.warnings
    assert difference(picture.pixels[:24], WHOLE[:24]) <= 6
