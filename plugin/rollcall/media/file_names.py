"""Capture times from the names of files, marked as guesses."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from rollcall.media import times
from rollcall.records import CaptureTime, TimeSource

_FIRST_YEAR: Final = 1990
_DAY: Final = r"(?P<year>19[0-9]{2}|20[0-9]{2})(?P<mark>[-_. ]?)(?P<month>[0-9]{2})(?P=mark)(?P<day>[0-9]{2})"
#: What stands between day and clock in the names of screenshots, in the languages of systems.
_AT: Final = "at|um|à|a\u0300|a las|a la\\(s\\)|às|alle|alle ore|om|kl\\.?|klo|o|в"
#: IMG_20190612_101500, Screenshot_2019-06-12-10-15-00, 2019-06-12 10.15.00, "WhatsApp Image 2019-06-12 at 10.15.00 PM"
_WITH_CLOCK: Final = re.compile(
    rf"(?<![0-9]){_DAY}(?:[-_. T]|\s?(?:{_AT})\s|,\s)?\s?"
    r"(?P<hour>[0-9]{1,2})(?P<colon>[-_.:h ]?)(?P<minute>[0-9]{2})(?:[-_.:m ]?(?P<second>[0-9]{2}))"
    r"(?:[-_.]?(?P<fraction>[0-9]{3}))?(?![0-9])(?:\s?(?P<half>[AaPp])\.?[Mm])?"
)
#: IMG-20190612-WA0001, IMG_20190612, and names that are nothing but a day or begin with one.
_DAY_ONLY: Final = (
    re.compile(rf"(?i:img|vid|ptt|stk|pxl|dsc|pano|photo|scan)[-_]{_DAY}(?![0-9])"),
    re.compile(
        r"(?<![0-9])(?P<year>19[0-9]{2}|20[0-9]{2})(?P<mark>[-_.])(?P<month>[0-9]{2})(?P=mark)(?P<day>[0-9]{2})(?![0-9])"
    ),
    re.compile(rf"{_DAY}(?![0-9])"),
)
#: Names with milliseconds since 1970: of WeChat and Facebook.
_EPOCH: Final = re.compile(r"(?i:mmexport|fb_img_|wx_camera_|faceu_|snapchat-)([0-9]{13})(?![0-9])")
#: Google's camera writes the time of Greenwich.
_IN_UTC: Final = re.compile(r"(?i:pxl_|mvimg_pxl_)")


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


def _utc(seconds: float, source: TimeSource) -> CaptureTime | None:
    found = times.since_1970(seconds, 0)
    return CaptureTime(*found, source) if found else None
