"""Dates as years of the calendar: 2015.5 is the middle of 2015."""

from __future__ import annotations

import calendar
import math


def year_of(taken_local: str | None) -> float:
    """Return a capture time, ISO 8601, in years; NaN for None or what is no date."""
    if taken_local is None:
        return math.nan
    try:
        year, month, day = int(taken_local[:4]), int(taken_local[5:7]), int(taken_local[8:10])
    except ValueError:
        return math.nan
    return year + (month - 1) / 12 + (day - 0.5) / 365.25


def range_of(birth_date: str) -> tuple[float, float]:
    """Return the beginning and the end of a birth date (YYYY, YYYY-MM or YYYY-MM-DD), in years."""
    parts = [int(part) for part in birth_date.split("-")]
    if len(parts) == 1:
        return float(parts[0]), parts[0] + 1.0
    first = parts[0] + (parts[1] - 1) / 12
    if len(parts) == 2:
        return first, first + 1 / 12
    day = first + (parts[2] - 1) / (12 * calendar.monthrange(parts[0], parts[1])[1])
    return day, day + 1 / 365.25


def ages_at(birth_date: str, taken: float) -> tuple[int, int] | None:
    """Return the completed years, from and to, of somebody at a time in years; None before the birth."""
    first, last = range_of(birth_date)
    if math.isnan(taken) or taken < first:
        return None
    return max(int(taken - last + 1e-9), 0), int(taken - first + 1e-9)


def ages_about(birth: float, deviation: float, taken: float) -> tuple[int, int] | None:
    """Return the same where the birth is estimated, in years with a standard deviation; None long before it."""
    if math.isnan(taken) or math.isnan(birth) or taken < birth - deviation:
        return None
    return max(int(taken - birth - deviation), 0), max(int(taken - birth + deviation), 0)
