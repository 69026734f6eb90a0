"""When a picture was taken: the most telling of all that a file, its name and the files beside it hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from rollcall.media import exif, file_names, iptc, maker_times, times, xmp
from rollcall.media.metadata import Metadata
from rollcall.records import CaptureTime

#: Date, offset and fraction of a second: taken, and digitised.
_TAKEN: Final = ((0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292))
_CHANGED: Final = ((0x0132, 0x9010, 0x9290),)
_MAKER_NOTE: Final = 0x927C
_GPS_TIME, _GPS_DATE = 0x0007, 0x001D


def find(path: Path, found: Metadata, directories: exif.Exif | None) -> CaptureTime | None:
    """Return when a picture was taken, by its EXIF, XMP and IPTC, by the blocks of its camera's maker, by its texts, by
    Google Takeout, or by its name.

    None where none of them has a date that a photograph can have.
    """
    return next(_inside(found, directories), None) or file_names.takeout(path) or file_names.guess(path.name)


def _inside(found: Metadata, directories: exif.Exif | None) -> Iterator[CaptureTime]:
    if directories is not None:
        yield from _of_exif(directories, _TAKEN)
    for text in xmp.times(found.xmp) if found.xmp else ():
        moment = times.moment(text)
        if moment:
            yield CaptureTime(*moment, "xmp")
    for text in iptc.times(found.iptc) if found.iptc else ():
        moment = times.moment(text)
        if moment:
            yield CaptureTime(*moment, "iptc")
    if directories is not None:
        for moment in maker_times.of_reconyx(directories.exif.data(_MAKER_NOTE)):
            yield CaptureTime(*moment)
    for moment in found.by_maker:
        yield CaptureTime(*moment, "text")
    if directories is not None:
        yield from _of_exif(directories, _CHANGED)
        yield from _of_gps(directories.gps)
    for text in found.texts:
        moment = times.moment(text)
        if moment:
            yield CaptureTime(*moment, "text")


def _of_exif(directories: exif.Exif, tags: tuple[tuple[int, int, int], ...]) -> Iterator[CaptureTime]:
    main, sub = directories.main, directories.exif

    def text(tag: int) -> str:
        return sub.text(tag) or main.text(tag)

    for date, offset, fraction in tags:
        moment = times.moment(text(date))
        if moment is None:
            continue
        local = moment.local
        microseconds = times.fraction(text(fraction))
        if microseconds is not None and not local.microsecond:
            local = local.replace(microsecond=microseconds)
        east = times.offset(text(offset))
        yield CaptureTime(local, moment.offset_minutes if east is None else east)


def _of_gps(gps: exif.Directory) -> Iterator[CaptureTime]:
    """Yield the time of the satellites, which is in UTC."""
    day, clock = times.moment(gps.text(_GPS_DATE)), gps.ratios(_GPS_TIME, 3)
    if day is None or len(clock) != 3 or not all(0 <= part < 60 for part in clock):
        return
    hour, minute, second = clock
    if hour < 24:
        local = datetime(day.local.year, day.local.month, day.local.day, int(hour), int(minute), int(second))
        yield CaptureTime(local, 0)
