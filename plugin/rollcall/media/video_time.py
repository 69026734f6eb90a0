"""When a video was taken: by its container, by its name, by Google Takeout, or by the time of its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rollcall.media import file_names, takeout, times
from rollcall.records import CaptureTime

#: Tags with the wall time and its offset: Apple's, and the one of QuickTime's user data.
_LOCAL: Final = ("com.apple.quicktime.creationdate", "date", "date-eng", "©day")
#: Tags in UTC (ISO/IEC 14496-12); of AVI they are wall times, as its `IDIT` chunk has no other.
_UTC: Final = ("creation_time",)
#: No video is older; 1904 and 1970 are what an unset clock becomes.
_FIRST_YEAR: Final = 1971
_QUARTER: Final = timedelta(minutes=15)
_MOST_OFFSET: Final = timedelta(hours=14)


def find(path: Path, tags: Mapping[str, str], mtime_ns: int | None = None) -> CaptureTime | None:
    """Return when a video was taken; None where nothing has a date that a video can have.

    A container's time in UTC and the wall time in the file's name give the offset together.
    """
    found = next(_inside(path, tags), None) or takeout.find(path) or file_names.guess(path.name)
    return found or _of_file(mtime_ns)


def _inside(path: Path, tags: Mapping[str, str]) -> Iterator[CaptureTime]:
    for name in _LOCAL:
        moment = times.moment(tags.get(name, ""))
        # A day without a time of day is a year of publication more often than not.
        if moment and moment.local.year >= _FIRST_YEAR and ":" in tags[name]:
            yield CaptureTime(*moment, "video")
    for name in _UTC:
        moment = times.moment(tags.get(name, ""))
        if moment and moment.local.year >= _FIRST_YEAR:
            if path.suffix.lower() == ".avi":
                yield CaptureTime(moment.local, None, "video")
            yield _with_name(path, CaptureTime(moment.local, 0, "video"))


def _with_name(path: Path, utc: CaptureTime) -> CaptureTime:
    """Return a time in UTC as wall time, where the file's name tells it."""
    named = file_names.guess(path.name)
    if named is None or named.offset_minutes is not None:
        return utc
    east = round((named.local - utc.local) / _QUARTER) * _QUARTER
    # The container has the end of the recording on some phones, and the name its beginning.
    if abs(east) <= _MOST_OFFSET and abs(named.local - utc.local - east) < timedelta(minutes=7):
        return CaptureTime(utc.local + east, int(east / timedelta(minutes=1)), "video")
    return utc


def _of_file(mtime_ns: int | None) -> CaptureTime | None:
    if mtime_ns is None:
        return None
    try:
        changed = datetime.fromtimestamp(mtime_ns / 1e9, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    local = changed.astimezone().replace(tzinfo=None, microsecond=0)
    return CaptureTime(local, None, "file time") if local.year >= _FIRST_YEAR else None
