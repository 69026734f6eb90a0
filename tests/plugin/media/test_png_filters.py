"""PNG files with a row whose filter does not exist, at which decoders give up."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from damaged import WHOLE, png_of, png_rows
from rollcall.media import decode, png_chunks

LENGTH = 1 + WHOLE.shape[1] * 3


def test_rows_before_a_filter_that_does_not_exist_are_shown(tmp_path: Path) -> None:
    rows = bytearray(png_rows())
    rows[60 * LENGTH] = 9
    path = tmp_path / "a.png"
    path.write_bytes(png_of([zlib.compress(bytes(rows))]))
    picture = decode.decode(path)
    assert np.array_equal(picture.pixels[:60], WHOLE[:60])
    assert picture.warnings and not picture.pixels[60:].any()


def test_rows_of_interlaced_pictures_are_counted_by_pass() -> None:
    header = png_chunks.Header(9, 5, 8, 0, True)
    assert list(header.passes()) == [(1, 3), (1, 2), (1, 4), (2, 3), (1, 6), (3, 5), (2, 10)]
    assert header.stream_bytes() == 3 + 2 + 4 + 2 * 3 + 6 + 3 * 5 + 2 * 10


def test_a_picture_without_one_whole_row_is_not_filled_up() -> None:
    # Its header, which may be damaged, makes it gigabytes of zeros, which would be packed.
    data = png_of([zlib.compress(png_rows())])
    huge = data[:16] + (9_961_638).to_bytes(4, "big") + data[20:]
    assert png_chunks.refilled(huge) == (huge, 1.0)
