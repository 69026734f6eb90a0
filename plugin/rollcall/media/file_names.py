"""Capture times from outside of a file: from its name, and from what Google Takeout puts beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rollcall.media import times
from rollcall.records import CaptureTime

_FIRST_YEAR: Final = 1990
_DAY: Final = r"(?P<year>19[0-9]{2}|20[0-9]{2})(?P<mark>[-_. ]?)(?P<month>[0-9]{2})(?P=mark)(?P<day>[0-9]{2})"
#: IMG_20190612_101500, Screenshot_2019-06-12-10-15-00, 2019-06-12 10.15.00, "WhatsApp Image 2019-06-12 at 10.15.00 PM"
_WITH_CLOCK: Final = re.compile(
    rf"(?<![0-9]){_DAY}(?:[-_. T]|\s?at\s|,\s)?\s?"
    r"(?P<hour>[0-9]{1,2})(?P<colon>[-_.:h ]?)(?P<minute>[0-9]{2})(?:[-_.:m ]?(?P<second>[0-9]{2}))"
    r"(?:[-_.]?(?P<fraction>[0-9]{3}))?(?![0-9])(?:\s?(?P<half>[AaPp])\.?[Mm])?"
)
#: IMG-20190612-WA0001, and names that are nothing but a day or begin with one.
_DAY_ONLY: Final = (
    re.compile(rf"(?i:img|vid|ptt|stk)[-_]{_DAY}[-_](?i:wa)[0-9]+"),
    re.compile(
        r"(?<![0-9])(?P<year>19[0-9]{2}|20[0-9]{2})(?P<mark>[-_.])(?P<month>[0-9]{2})(?P=mark)(?P<day>[0-9]{2})(?![0-9])"
    ),
    re.compile(rf"{_DAY}(?![0-9])"),
)
#: Names with milliseconds since 1970: of WeChat and Facebook.
_EPOCH: Final = re.compile(r"(?i:mmexport|fb_img_|wx_camera_|faceu_|snapchat-)([0-9]{13})(?![0-9])")
#: Google's camera writes the time of Greenwich.
_IN_UTC: Final = re.compile(r"(?i:pxl_|mvimg_pxl_)")

_LONGEST_JSON: Final = 1 << 20
#: Takeout cuts the names of its files off here, suffix aside.
_TAKEOUT_NAME: Final = 46
_EPOCH_START: Final = datetime(1970, 1, 1)
_MOST_OFFSET: Final = timedelta(hours=14)
_QUARTER: Final = timedelta(minutes=15)


def guess(name: str) -> CaptureTime | None:
    """Return the time that a file's name begins with or holds, marked as a guess; None where it holds none."""
    name = name[:255]
    match = _EPOCH.match(name)
    if match:
        return _utc(int(match[1]) / 1000, "file name")
    match = _WITH_CLOCK.search(name)
    found = _local(match) if match else None
    if found is not None:
        return CaptureTime(found, 0 if _IN_UTC.match(name) else None, "file name")
    for form in _DAY_ONLY:
        match = form.match(name) or (form.search(name) if form is _DAY_ONLY[1] else None)
        found = _local(match) if match else None
        if found is not None:
            return CaptureTime(found, None, "file name")
    return None


def takeout(path: Path) -> CaptureTime | None:
    """Return the time in the JSON file that Google Takeout puts beside a picture; None where there is none.

    It is in UTC. Where the name of the picture holds its wall time, the two together give the offset.
    """
    for name in takeout_names(path.name):
        seconds = _taken(path.with_name(name))
        if seconds is None:
            continue
        found = _utc(seconds, "takeout")
        named = guess(path.name)
        if found is None or named is None or named.offset_minutes is not None:
            return found
        east = round((named.local - found.local) / _QUARTER) * _QUARTER
        if abs(east) <= _MOST_OFFSET and abs(named.local - found.local - east) < timedelta(minutes=5):
            return CaptureTime(found.local + east, int(east / timedelta(minutes=1)), "takeout")
        return found
    return None


def _local(match: re.Match[str]) -> datetime | None:
    parts = match.groupdict()
    hour, half = int(parts.get("hour") or 0), (parts.get("half") or "").lower()
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    day = int(parts["year"]), int(parts["month"]), int(parts["day"])
    if not _FIRST_YEAR <= day[0] <= datetime.now(UTC).year + 1 or 0 in day:
        return None
    found = times.plausible(*day, hour, int(parts.get("minute") or 0), int(parts.get("second") or 0))
    milliseconds = int(parts.get("fraction") or 0)
    return found.replace(microsecond=milliseconds * 1000) if found else None


def _utc(seconds: float, source: Any) -> CaptureTime | None:
    try:
        found = _EPOCH_START + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None
    checked = times.plausible(found.year, found.month, found.day, found.hour, found.minute, found.second)
    return CaptureTime(checked.replace(microsecond=found.microsecond), 0, source) if checked else None


def takeout_names(name: str) -> Iterator[str]:
    """Yield the names that Takeout's file of a picture may have."""
    stem, dot, suffix = name.rpartition(".")
    # The number of a copy stands behind the suffix, and an edited picture shares the file of its original.
    number = re.search(r"\([0-9]{1,4}\)$", stem)
    originals = {name: ""}
    if number:
        originals[f"{stem[: number.start()]}{dot}{suffix}"] = number[0]
    for edited in ("-edited", "-bearbeitet", "-modifié", "-editado", "-modificato"):
        if stem.endswith(edited):
            originals[f"{stem.removesuffix(edited)}{dot}{suffix}"] = ""
    for original, copy in originals.items():
        yield f"{original[:_TAKEOUT_NAME]}{copy}.json"
        yield f"{f'{original}.supplemental-metadata'[:_TAKEOUT_NAME]}{copy}.json"


def _taken(path: Path) -> float | None:
    """Return the seconds since 1970 in a file of Takeout's; None where it is no such file."""
    try:
        if not path.is_file() or path.stat().st_size > _LONGEST_JSON:
            return None
        content = json.loads(path.read_bytes()[:_LONGEST_JSON])
        seconds = float(content["photoTakenTime"]["timestamp"])
    # Whatever the file holds: it is somebody else's.
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    return seconds or None  # unknown times are written as 0
