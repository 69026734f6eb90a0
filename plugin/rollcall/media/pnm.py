"""Decode what Pillow does not know of Netpbm, PAM (`P7`) and floating point (`PF`, `Pf`), and large pictures."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.media import jpeg, pillow_formats, plain_rows, samples
from rollcall.media.job import Decoded, Job, Refused, check_size
from rollcall.media.plain_rows import Rows

_FLOAT: Final = re.compile(rb"P([Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+0-9.eE]{1,40})\s")
_PAM_END: Final = re.compile(rb"^ENDHDR[ \t]*\r?\n", re.MULTILINE)
#: The form without comments, of 8 bits a sample; what is otherwise is for Pillow.
_PPM: Final = re.compile(rb"P6\s+(\d{1,9})\s+(\d{1,9})\s+255\s")
_LONGEST_HEADER: Final = 4096


class Header(NamedTuple):
    """What stands before the pixels."""

    layout: samples.Layout
    kind: np.dtype[Any]
    scale: float | None  # by what to multiply so that white is 255; None where the header does not say it
    upwards: bool  # the lowest row comes first
    start: int

    @property
    def row(self) -> int:
        """The bytes of a row."""
        return self.layout.width * self.layout.channels * self.kind.itemsize


def header(data: bytes) -> Header | None:
    """Return the header of a PAM or PFM file; None of any other."""
    found = _float(data) if data[:2] in (b"PF", b"Pf") else _pam(data) if data[:2] == b"P7" else None
    return found if found is not None and min(found.layout[:3]) > 0 else None


def decode(job: Job) -> Decoded:
    """Decode a whole file.

    Raises
    ------
    Refused
        If it is of another format, or rows are missing.
    """
    found = header(job.data)
    if found is None:
        raise Refused("neither PAM nor PFM")
    check_size(job, found.layout.width, found.layout.height)
    if len(job.data) < found.start + found.row * found.layout.height:
        raise Refused("rows are missing")
    return _decoded(job, found)


def rows(data: bytes) -> Rows | None:
    """Return the rows of a large PPM of 8 bits a sample; None for any other."""
    match = _PPM.match(data[:_LONGEST_HEADER]) if len(data) >= plain_rows.LARGE else None
    if match is None:
        return None
    width, height = int(match[1]), int(match[2])
    found = Rows(width, height, match.end(), 3 * width, 3)
    return found if found.are_in(data) else None


def by_rows(job: Job) -> Decoded:
    """Decode a large PPM of 8 bits a sample without a copy of all its pixels.

    Raises
    ------
    Refused
        If it is none, or rows are missing.
    """
    found = rows(job.data)
    if found is None:
        raise Refused("no large PPM, or rows are missing")
    return plain_rows.decode(job, found)


def padded(job: Job) -> Decoded:
    """Decode the rows that are there, those that are missing black.

    Raises
    ------
    Refused
        If nothing can be shown.
    """
    found = header(job.data)
    if found is None:
        raise Refused("neither PAM nor PFM")
    check_size(job, found.layout.width, found.layout.height)
    filled = job._replace(data=job.data.ljust(found.start + found.row * found.layout.height, b"\0"))
    return pillow_formats.unless_blank(_decoded(filled, found)._replace(warnings=(jpeg.CUT_OFF,)))


def _decoded(job: Job, found: Header) -> Decoded:
    width, height, channels = found.layout[:3]
    stored = np.frombuffer(job.data, found.kind, width * height * channels, found.start)
    lines = stored.reshape(height, width, channels)
    if found.upwards:
        lines = lines[::-1]

    def rows(top: int, bottom: int) -> NDArray[Any]:
        return lines[top:bottom]

    return Decoded(samples.to_pixels(rows, found.layout, job.target, found.scale, job.most), width, height)


def _float(data: bytes) -> Header | None:
    match = _FLOAT.match(data[:_LONGEST_HEADER])
    if match is None:
        return None
    # The sign says in which order the bytes of a number are.
    order = "<" if match[4].startswith(b"-") else ">"
    layout = samples.Layout(int(match[2]), int(match[3]), 3 if match[1] == b"F" else 1)
    return Header(layout, np.dtype(f"{order}f4"), None, True, match.end())


def _pam(data: bytes) -> Header | None:
    end = _PAM_END.search(data[:_LONGEST_HEADER])
    if end is None:
        return None
    fields: dict[bytes, bytes] = {}
    for line in data[2 : end.start()].splitlines():
        name, _, value = line.strip().partition(b" ")
        fields.setdefault(name.upper(), value.strip())
    numbers = [fields.get(name, b"") for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")]
    if not all(number.isdigit() and len(number) < 10 for number in numbers):
        return None
    width, height, channels, highest = map(int, numbers)
    if not 1 <= channels <= 8 or not 1 <= highest <= 65535:
        return None
    transparent = fields.get(b"TUPLTYPE", b"").upper().endswith(b"_ALPHA") or channels in (2, 4)
    layout = samples.Layout(width, height, channels, transparent)
    return Header(layout, np.dtype(np.uint8 if highest < 256 else ">u2"), 255 / highest, False, end.end())
