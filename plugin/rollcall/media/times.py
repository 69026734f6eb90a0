"""Read dates and times in the forms that cameras, scanners and programs write them in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

#: No photograph is older than 1826.
_FIRST_YEAR: Final = 1800
#: The year of this version: the clock of a machine that has just been switched on may be behind it.
_THIS_YEAR: Final = 2026
_EPOCH: Final = datetime(1970, 1, 1)
_MOST_MINUTES: Final = 14 * 60
_SEPARATOR: Final = r"[:\-/. ]{1,2}"
_DATE: Final = (
    rf"(?P<year>[0-9]{{4}})(?:{_SEPARATOR}(?P<month>[0-9]{{1,2}})(?:{_SEPARATOR}(?P<day>[0-9]{{1,2}}))?)?",
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
)
_CLOCK: Final = (
    r"(?P<hour>[0-9]{1,2})\s{0,2}[:.]\s{0,2}(?P<minute>[0-9]{1,2})(?:\s{0,2}[:.]\s{0,2}(?P<second>[0-9]{1,2}))?",
    r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?",
)
_FRACTION: Final = r"(?:[.,](?P<fraction>[0-9]{1,9}))?"
_HALF: Final = r"(?:\s?(?P<half>[AaPp])\.?[Mm]\b)?"
_ZONE: Final = r"\s?(?P<zone>Z|UTC|GMT|[+-][0-9]{1,2}(?::?[0-9]{2})?)?"
_FORMS: Final = tuple(
    re.compile(rf"\s*{date}(?:(?:\s*[T:_,]\s*|\s+){clock}{_FRACTION}{_HALF}{_ZONE})?")
    for date, clock in ((_DATE[0], _CLOCK[0]), (_DATE[0], _CLOCK[1]), (_DATE[1], _CLOCK[0]), (_DATE[1], _CLOCK[1]))
) + (
    # Fourteen digits in a row.
    re.compile(
        rf"\s*{_DATE[1]}(?P<hour>[0-9]{{2}})(?P<minute>[0-9]{{2}})(?P<second>[0-9]{{2}}){_FRACTION}{_HALF}{_ZONE}"
    ),
)
#: C's form: "Wed Jun 12 10:15:00 2019".
_CTIME: Final = re.compile(
    r"\s*(?:[A-Za-z]{3}\s+)?([A-Za-z]{3})\s+([0-9]{1,2})\s+([0-9:]{5,8})\s+(?:[A-Z]{3,4}\s+)?([0-9]{4})"
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_OFFSET: Final = re.compile(r"\s*(?:(Z|UTC|GMT)|([+-])([0-9]{1,2})(?::?([0-9]{2}))?)\s*")
_NARROW: Final = str.maketrans("：／．－", ":/.-")


class Moment(NamedTuple):
    """A date with its wall time, and minutes east of Greenwich where they are written."""

    local: datetime  # naive
    offset_minutes: int | None


def moment(text: str) -> Moment | None:
    """Return the time that a text begins with; None if it is none that a photograph can have.

    A missing time of day is midnight, a missing month or day the first.
    """
    text = text[:80].translate(_NARROW).strip("\0 \t\r\n\"'")
    best: Moment | None = None
    length = 0
    for form in _FORMS:
        match = form.match(text)
        # Digits behind it mean that another form fits better.
        if match and match.end() > length and not text[match.end() : match.end() + 1].isdigit():
            found = None if _is_damaged(match, text) else _from_parts(match.groupdict())
            if found is not None:
                best, length = found, match.end()
    return best or _with_names(text)


def offset(text: str) -> int | None:
    """Return minutes east of Greenwich from "+02:00", "-0530", "+2" or "Z"; None if it is no offset."""
    match = _OFFSET.fullmatch(text[:20])
    if not match:
        return None
    if match[1]:
        return 0
    minutes = int(match[3]) * 60 + int(match[4] or 0)
    return minutes * (1 if match[2] == "+" else -1) if minutes <= _MOST_MINUTES else None


def fraction(text: str) -> int | None:
    """Return microseconds from the digits behind the point of a second; None if there are none."""
    match = re.match(r"\s*([0-9]{1,6})", text[:20])
    return int(match[1].ljust(6, "0")) if match else None


def plausible(year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime | None:
    """Return a date that a photograph can have; None if there is no such date."""
    if not _is_possible(year):
        return None
    try:
        # A leap second, and what careless programs round up to.
        return datetime(year, month or 1, day or 1, hour, minute, min(second, 59) if second == 60 else second)
    except ValueError:
        return None


def since_1970(seconds: float, offset_minutes: int | None) -> Moment | None:
    """Return the moment so many seconds after the beginning of 1970; None if no photograph can be of then."""
    try:
        found = _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None
    return Moment(found, offset_minutes) if _is_possible(found.year) else None


def _is_possible(year: int) -> bool:
    """Return whether a photograph can be of a year: clocks that were never set also run far ahead."""
    return _FIRST_YEAR <= year <= max(datetime.now(UTC).year, _THIS_YEAR) + 1


def _is_damaged(match: re.Match[str], text: str) -> bool:
    """Return whether a year or a month is all that is left of more: "2005:0?:03" is not the first of January."""
    if match["day"]:
        return False
    rest = text[match.end() :].split(maxsplit=1) if not text[match.end() : match.end() + 1].isspace() else []
    return bool(rest) and any(letter in "123456789" for letter in rest[0])


def _from_parts(parts: dict[str, str | None]) -> Moment | None:
    hour = int(parts["hour"] or 0)
    half = (parts["half"] or "").lower()
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    year, month, day = (int(parts[name] or 0) for name in ("year", "month", "day"))
    local = plausible(year, month, day, hour, int(parts["minute"] or 0), int(parts["second"] or 0))
    if local is None:
        return None
    if parts["fraction"]:
        local = local.replace(microsecond=fraction(parts["fraction"]) or 0)
    return Moment(local, offset(parts["zone"] or ""))


def _with_names(text: str) -> Moment | None:
    """Return a time whose month has a name: C's form, and that of mail (RFC 5322)."""
    match = _CTIME.match(text)
    if match and match[1].lower() in _MONTHS:
        clock = [int(part) for part in match[3].split(":") if part]
        hour, minute, second = (clock + [0, 0, 0])[:3]
        local = plausible(int(match[4]), _MONTHS.index(match[1].lower()) + 1, int(match[2]), hour, minute, second)
        return Moment(local, None) if local else None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    east = found.utcoffset()
    minutes = None if east is None else round(east.total_seconds() / 60)
    if not _is_possible(found.year) or abs(minutes or 0) > _MOST_MINUTES:
        return None
    return Moment(found.replace(tzinfo=None), minutes)
