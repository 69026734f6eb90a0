"""When a picture was taken: the most telling of all that a file, its name and the files beside it hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, time
from pathlib import Path
from typing import Final

from rollcall.media import exif, file_names, iptc, maker_times, takeout, times, xmp
from rollcall.media.metadata import Metadata
from rollcall.records import CaptureTime, TimeSource

#: Date, offset and fraction of a second: taken, and digitised.
_TAKEN: Final = ((0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292))
_CHANGED: Final = ((0x0132, 0x9010, 0x9290),)
_MAKER_NOTE: Final = 0x927C
_GPS_TIME, _GPS_DATE = 0x0007, 0x001D
_UNSET: Final = date(1970, 1, 1)


def find(path: Path, found: Metadata, directories: exif.Exif | None) -> CaptureTime | None:
    """Return when a picture was taken, by the first of these that says so.

    They are EXIF, XMP and IPTC; blocks of the camera's maker; the time of an animation; texts of a PNG; Google Takeout;
    the file's name; and when the picture was last changed, as it says itself.

    None where none of them has a date that a photograph can have. The clock of a camera that was never set starts on
    the first of January 1970: that is no date, unless it stands where people enter theirs (XMP and IPTC).
    """
    taken = next((one for one in _all(path, found, directories) if not _is_unset(one)), None)
    if taken is None or taken.local.time() != time.min or taken.offset_minutes is not None:
        return taken
    # A day alone, as PhotoMechanic writes it into XMP, is completed by what else is said of that day.
    sure = (one for one in _taken(found, directories) if one.local.date() == taken.local.date())
    return next((one for one in sure if one.local.time() != time.min), taken)


def _all(path: Path, found: Metadata, directories: exif.Exif | None) -> Iterator[CaptureTime]:
    yield from _inside(found, directories)
    for from_outside in (takeout.find(path), file_names.guess(path.name)):
        if from_outside is not None:
            yield from_outside
    for moment in found.changed:
        yield CaptureTime(*moment, "file time")


def _is_unset(one: CaptureTime) -> bool:
    return one.local.date() == _UNSET and one.source not in ("xmp", "iptc")


def _taken(found: Metadata, directories: exif.Exif | None) -> Iterator[CaptureTime]:
    """Yield what is said to be the time of capture."""
    if directories is not None:
        yield from _of_exif(directories, _TAKEN)
    yield from _of_texts(xmp.times(found.xmp) if found.xmp else (), "xmp")
    yield from _of_texts(iptc.times(found.iptc) if found.iptc else (), "iptc")


def _inside(found: Metadata, directories: exif.Exif | None) -> Iterator[CaptureTime]:
    yield from _taken(found, directories)
    if directories is not None:
        for moment in maker_times.of_reconyx(directories.exif.data(_MAKER_NOTE)):
            yield CaptureTime(*moment)
    for moment in found.by_maker:
        yield CaptureTime(*moment, "text")
    if found.by_container is not None:
        yield CaptureTime(*found.by_container, "video")
    if directories is not None:
        yield from _of_exif(directories, _CHANGED)
        yield from _of_gps(directories.gps)
    yield from _of_texts(found.texts, "text")


def _of_texts(texts: Iterable[str], source: TimeSource) -> Iterator[CaptureTime]:
    for moment in map(times.moment, texts):
        if moment is not None:
            yield CaptureTime(*moment, source)


def _of_exif(directories: exif.Exif, tags: tuple[tuple[int, int, int], ...]) -> Iterator[CaptureTime]:
    main, sub = directories.main, directories.exif

    def text(tag: int) -> str:
        return sub.text(tag) or main.text(tag)

    for when, offset, fraction in tags:
        moment = times.moment(text(when))
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
    if day is None or len(clock) != 3 or not all(0 <= part <= 60 for part in clock):
        return
    hour, minute, second = map(int, clock)
    local = times.plausible(day.local.year, day.local.month, day.local.day, hour, minute, second)
    if local is not None:
        yield CaptureTime(local, 0)
