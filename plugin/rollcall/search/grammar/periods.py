"""Rules of time: days, months, years and seasons, before, after and between them."""

from __future__ import annotations

import calendar
import re
from datetime import datetime
from typing import Any

from lark import Token, v_args

from rollcall.search import terms
from rollcall.search.grammar.rules import QueryRules
from rollcall.search.terms.photo import FIRST_DAY, LAST_DAY
from rollcall.search.vocabulary import MONTHS


@v_args(inline=True)
class PeriodRules(QueryRules):
    """A period is a pair of days, ISO 8601: its first, and the first behind it."""

    def period(self, *parts: Token) -> tuple[str, str]:
        year = parts[-1]
        of_month = parts[0].type == "MONTH"
        found: tuple[str, str] | None
        if of_month:
            found = _months(int(year), *MONTHS[parts[0].lower()]) if len(year) == 4 else None
        else:
            found = days_of(str(year))
        if found is None:
            raise self._error(year, "there is no such day", ["2019", "2019-06", "June 2019"])
        return found

    def during(self, *parts: Any) -> terms.Taken:
        periods = [part for part in parts if isinstance(part, tuple)]
        if periods[0][0] >= periods[-1][1]:
            raise self._error(0, "the first day is behind the last", ["2018 to 2020"])
        return terms.Taken(periods[0][0], periods[-1][1])

    def years(self, *parts: Token) -> terms.Taken:
        first, last = re.findall(r"\d{4}", parts[-1])
        return self.during((f"{first}-01-01", ""), ("", f"{int(last) + 1:04}-01-01"))

    def before(self, *parts: Any) -> terms.Taken:
        return terms.Taken(FIRST_DAY, parts[-1][0])

    def after(self, *parts: Any) -> terms.Taken:
        return terms.Taken(parts[-1][1], LAST_DAY)

    def since(self, *parts: Any) -> terms.Taken:
        return terms.Taken(parts[-1][0], LAST_DAY)

    def until(self, *parts: Any) -> terms.Taken:
        return terms.Taken(FIRST_DAY, parts[-1][1])

    def recent(self, *parts: Token) -> terms.Taken:
        which, unit = parts[-1].lower().split()
        today = datetime.now().astimezone().date()
        month, length = (today.month, 1) if unit == "month" else (1, 12)
        if which == "last":
            month -= length
        return terms.Taken(*_months(today.year, month, length))


def days_of(text: str) -> tuple[str, str] | None:
    """Return the first day of a year, month or day (2019, 2019-6, 2019-06-30) and the first behind it.

    None if it is none of them, or there is no such day.
    """
    match = re.fullmatch(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", text)
    if not match:
        return None
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    if not (1 <= month <= 12 and 1 <= year <= 9998 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if match[3] is None:
        return _months(year, month, 1 if match[2] else 12)
    first = f"{year:04}-{month:02}-{day:02}"
    if day < calendar.monthrange(year, month)[1]:
        return first, f"{year:04}-{month:02}-{day + 1:02}"
    return first, _months(year, month, 1)[1]


def _months(year: int, month: int, length: int) -> tuple[str, str]:
    """Return the first day of a month and the first behind so many months; month 0 is December of the year before."""
    first = year * 12 + month - 1
    begin, end = (f"{m // 12:04}-{m % 12 + 1:02}-01" for m in (first, first + length))
    return begin, end
