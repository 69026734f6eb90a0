"""Days as text, ISO 8601, and the months and years that they make up."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import NamedTuple


class Days(NamedTuple):
    """Days in a row: the first, and the first behind them."""

    start: str
    end: str


def days_of(text: str) -> Days | None:
    """Return the days of a year, month or day (2019, 2019-6, 2019-06-30).

    None if it is none of them, or there is no such day.
    """
    match = re.fullmatch(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", text)
    if not match:
        return None
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    if not (1 <= month <= 12 and 1 <= year <= 9998 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if match[3] is None:
        return months(year, month, 1 if match[2] else 12)
    return from_day(date(year, month, day), 1)


def months(year: int, month: int, length: int) -> Days:
    """Return so many months from one on; month 0 is December of the year before."""
    first = year * 12 + month - 1
    begin, end = (f"{m // 12:04}-{m % 12 + 1:02}-01" for m in (first, first + length))
    return Days(begin, end)


def from_day(first: date, length: int) -> Days:
    """Return so many days from one on."""
    return Days(first.isoformat(), (first + timedelta(days=length)).isoformat())
