"""Periods of time: days, months, seasons and years, before and after them, and counted from today."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import Final, NamedTuple

from rollcall.search import terms
from rollcall.search.grammar.age_rules import is_decade_of_years
from rollcall.search.grammar.calendar_days import Days, days_of, from_day, months
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.numbers import is_number, number
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.terms import Term
from rollcall.search.terms.photo import FIRST_DAY, LAST_DAY
from rollcall.search.vocabulary import DECADES, FEASTS, MONTHS
from rollcall.sentences import Quoted, Sentence

#: Days of a week, a month and a year ago are counted by these lengths.
_UNITS: Final = {"days": 1, "day": 1, "weeks": 7, "week": 7}


class Yearly(NamedTuple):
    """A part of each year: a month, a season or a feast that stands without its year."""

    name: Token
    month: int
    day: int
    months: int  # 0: the days below
    days: int

    @property
    def needs_year(self) -> bool:
        """Whether it is a month or a day of one: few ask for every June."""
        return self.months == 1 or (not self.months and self.name.text in MONTHS)

    def of(self, year: int) -> Days:
        """Return its days in a year; of a winter, the one that begins in the year."""
        if self.months:
            return months(year, self.month, self.months)
        return from_day(date(year, self.month, self.day), self.days)


Period = Days | Yearly


def time(cursor: Cursor) -> Term | None:
    """Return the term of a period that is next; None if there is none.

    Raises
    ------
    InvalidQueryError
        If there is no such day, the year of a month is missing, or the period ends before it begins.
    """
    mark = cursor.mark()
    cursor.accept("taken")
    found = _bounded(cursor) or _spanned(cursor) or _listed(cursor)
    if found is None:
        cursor.go_back(mark)
    return found


def _bounded(cursor: Cursor) -> Term | None:
    mark = cursor.mark()
    word = cursor.accept("before", "after", "since", "until", "up-to")
    found = None if word is None else _period(cursor)
    if word is None or found is None:
        cursor.go_back(mark)
        return None
    days = _dated(cursor, found)
    if word.text == "before":
        return terms.Taken(FIRST_DAY, days.start)
    if word.text == "after":
        return terms.Taken(days.end, LAST_DAY)
    return terms.Taken(days.start, LAST_DAY) if word.text == "since" else terms.Taken(FIRST_DAY, days.end)


def _spanned(cursor: Cursor) -> Term | None:
    """Read: from June to August 2019, between 2018 and 2020, 2018-2020."""
    mark = cursor.mark()
    word = cursor.accept("from", "between", "in")
    start = cursor.peek()
    first = _period(cursor)
    separators = (
        ("and", "to", "-", "until")
        if word is not None and word.text == "between"
        else ("to", "-", "..", "until", "up-to")
    )
    if first is None or not cursor.accept(*separators):
        cursor.go_back(mark)
        return None
    last = _period(cursor)
    if last is None:
        cursor.go_back(mark)
        return None
    if isinstance(first, Yearly) and isinstance(last, Yearly) and not (first.needs_year or last.needs_year):
        return _of_any_year(cursor, first, last)
    end = _dated(cursor, last)
    if isinstance(first, Yearly):
        first = first.of(int(end.start[:4]))
        if first.start >= end.end:
            first = Days(f"{int(first.start[:4]) - 1:04}{first.start[4:]}", first.end)
    if first.start >= end.end:
        other = cursor.query[start.start : cursor.last_end]
        raise cursor.error(
            start, Sentence("%(other)s ends before it begins", other=Quoted(other)), [Sentence("the earlier day first")]
        )
    return terms.Taken(first.start, end.end)


def _listed(cursor: Cursor) -> Term | None:
    """Read: in 2019, in June and July 2019, in 2019 or 2020; of several periods any is enough."""
    mark = cursor.mark()
    cursor.accept("in", "on", "at", "from", "of")
    begin = cursor.peek()
    first = _period(cursor)
    if first is None:
        cursor.go_back(mark)
        return None
    found: list[Period] = [first]
    joined = ""
    while True:
        mark = cursor.mark()
        separator = cursor.accept("and", "or", ",", "/")
        cursor.accept("in")
        year = cursor.peek()
        following = None if separator is None else _period(cursor)
        if isinstance(following, Days) and year.kind is Kind.NUMBER and following == months(int(year.text), 1, 12):
            # "Summer 2015 and 2016" are two summers.
            part = _yearly(begin)
            following = following if part is None else part.of(int(year.text))
        if separator is None or following is None or _continues(cursor):
            cursor.go_back(mark)
            break
        joined = separator.text
        found.append(following)
    if len(found) == 1:
        return _term(cursor, first)
    if joined not in ("or", "/"):
        cursor.note(Sentence("read as any of these times: no photo is of several"))
    known = next((int(one.start[:4]) for one in reversed(found) if isinstance(one, Days)), None)
    parts = [one.of(known) if isinstance(one, Yearly) and known is not None else one for one in found]
    return terms.Or(tuple(_term(cursor, part) for part in parts))


def _continues(cursor: Cursor) -> bool:
    """Return whether a number that seemed to be a year counts people, or begins a range."""
    return cursor.next_is("-", "to", "..")


def _term(cursor: Cursor, found: Period) -> Term:
    if isinstance(found, Days):
        return terms.Taken(*found)
    if found.needs_year:
        raise _year_missing(cursor, found)
    last = date.fromisoformat(found.of(2019).end) - timedelta(days=1)
    first, end = f"{found.month:02}-{found.day:02}", last.strftime("%m-%d")
    year = _latest_year(cursor, found)
    cursor.note(
        Sentence("read as %(word)s of any year: %(first)s to %(end)s", word=found.name.raw, first=first, end=end),
        cursor.replaced(found.name, found.name, f"{found.name.raw} {year}"),
    )
    return terms.TakenYearly(first, end)


def _of_any_year(cursor: Cursor, first: Yearly, last: Yearly) -> Term:
    """Return the term of "between Christmas and New Year", in each year."""
    begin = f"{first.month:02}-{first.day:02}"
    end = (date.fromisoformat(last.of(2019).end) - timedelta(days=1)).strftime("%m-%d")
    cursor.note(
        Sentence(
            "read as from %(word)s to %(word2)s of any year: %(begin)s to %(end)s",
            word=first.name.raw,
            word2=last.name.raw,
            begin=begin,
            end=end,
        )
    )
    return terms.TakenYearly(begin, end)


def _dated(cursor: Cursor, found: Period) -> Days:
    if isinstance(found, Days):
        return found
    raise _year_missing(cursor, found)


def _year_missing(cursor: Cursor, found: Yearly) -> Exception:
    year = _latest_year(cursor, found)
    named = cursor.query[found.name.start : max(cursor.last_end, found.name.end)]
    suggestions = [cursor.replaced(found.name, found.name.start + len(named), f"{named} {year - n}") for n in (0, 1)]
    return cursor.error(
        found.name, Sentence("%(named)s needs a year", named=Quoted(named)), [Sentence("a year")], suggestions
    )


def _latest_year(cursor: Cursor, found: Yearly) -> int:
    """Return the year of the last one that has begun."""
    year = cursor.today.year
    return year if found.of(year).start <= cursor.today.isoformat() else year - 1


def _period(cursor: Cursor) -> Period | None:
    mark = cursor.mark()
    for rule in (_named, _relative, _numeric):
        found = rule(cursor)
        if found is not None:
            return found
        cursor.go_back(mark)
    return None


def _numeric(cursor: Cursor) -> Period | None:
    """Read: 2019, 2019-06-12, 1990s, 12 June 2019."""
    token = cursor.peek()
    if token.kind is Kind.DATE:
        cursor.take()
        days = days_of(token.text)
        if days is None:
            raise cursor.error(token, Sentence("there is no such day"), ["2019", "2019-06", "June 2019"])
        return days
    part = cursor.accept("early", "mid", "late")
    if part is not None:
        cursor.accept("-")
        token = cursor.peek()
    decade = token.kind is Kind.DECADE or (token.kind is Kind.WORD and token.text in DECADES)
    if decade and is_decade_of_years(cursor, token, part):
        cursor.take()
        year = DECADES[token.text] if token.text in DECADES else int(token.text)
        year += 1900 if year < 100 else 0
        first, years = {"early": (0, 4), "mid": (4, 3), "late": (7, 3)}.get(part.text if part else "", (0, 10))
        return months(year + first, 1, 12 * years)
    if part is not None:
        return None
    found = number(cursor)
    if found is None:
        return None
    cursor.accept("of")
    if 1 <= found.value <= 31 and cursor.peek().text in MONTHS and MONTHS[cursor.peek().text][1] == 1:
        return _day(cursor, found.value, cursor.take())
    if not found.is_year or token.kind is not Kind.NUMBER:
        return None
    return months(found.value, 1, 12)


def _named(cursor: Cursor) -> Period | None:
    """Read: June 2019, June 12 2019, summer of 2019, Christmas 2019, and each without its year."""
    token = cursor.peek()
    found = _yearly(token)
    if found is None:
        return None
    cursor.take()
    day_number = cursor.peek()
    if found.months == 1 and day_number.kind is Kind.NUMBER and 1 <= int(day_number.text[:4]) <= 31:
        cursor.take()
        return _day(cursor, int(day_number.text), token)
    return _of_year(cursor, found)


def _yearly(token: Token) -> Yearly | None:
    """Return the month, season or feast that a word names; None if it names none."""
    if token.kind is not Kind.WORD or token.text not in MONTHS | FEASTS:
        return None
    if token.text in FEASTS:
        month, day, length = FEASTS[token.text]
        return Yearly(token, month, day, 0, length)
    month, length = MONTHS[token.text]
    return Yearly(token, month, 1, length, 0)


def _of_year(cursor: Cursor, found: Yearly) -> Period:
    mark = cursor.mark()
    cursor.accept("of", ",", "in")
    if cursor.accept("this-year"):
        return found.of(cursor.today.year)
    if cursor.accept("last-year"):
        return found.of(cursor.today.year - 1)
    year = cursor.peek()
    if year.kind is Kind.NUMBER and len(year.text) == 4 and int(year.text) in range(1900, 2101):
        cursor.take()
        if found.months > 1 and found.month + found.months > 12:
            _following_year(cursor, int(year.text))
        return found.of(int(year.text))
    if (
        year.kind is Kind.DATE
        and found.months > 1
        and year.text[2:] == f"{year.text[2:4]}-{(int(year.text[:4]) + 1) % 100:02}"
    ):
        cursor.take()
        return found.of(int(year.text[:4]))
    cursor.go_back(mark)
    if year.kind is Kind.DATE:
        raise cursor.error(year, Sentence("there is no such day"), ["2019"])
    return found


def _following_year(cursor: Cursor, year: int) -> None:
    """Take the second year of "winter 2015/2016"."""
    mark = cursor.mark()
    if not (cursor.accept("/", "-") and cursor.take().text in (str(year + 1), f"{(year + 1) % 100:02}")):
        cursor.go_back(mark)


def _day(cursor: Cursor, day: int, month: Token) -> Period:
    found = _of_year(cursor, Yearly(month, MONTHS[month.text][0], 1, 1, 0))
    if isinstance(found, Yearly):
        if not 1 <= day <= calendar.monthrange(2020, found.month)[1]:
            raise cursor.error(month, Sentence("there is no such day"), ["June 12, 2019"])
        return Yearly(month, found.month, day, 0, 1)
    days = days_of(f"{found.start[:7]}-{day:02}")
    if days is None:
        raise cursor.error(month, Sentence("there is no such day"), ["June 12, 2019"])
    return days


def _relative(cursor: Cursor) -> Days | None:
    """Read: yesterday, this year, last summer, last 3 months, two years ago."""
    token = cursor.peek()
    if token.kind is Kind.WORD and token.text in _RELATIVE:
        cursor.take()
        return _RELATIVE[token.text](cursor.today)
    if cursor.accept("last", "this"):
        return _last(cursor, token.text == "last")
    article = cursor.accept("a", "an")
    found = None if article else number(cursor)
    if found is None and article is None:
        return None
    amount = 1 if found is None else found.value
    unit = cursor.accept("years", "year", "months", "month", *_UNITS)
    if unit is None or not cursor.accept("ago") or amount > 200:
        return None
    if cursor.accept("today"):
        return _on_this_day(cursor.today, amount, unit)
    return _ago(cursor.today, amount, unit.text)


def _on_this_day(today: date, amount: int, unit: Token) -> Days:
    """Return the day of "5 years ago today"; of 29 February in other years the 28th."""
    if unit.text in _UNITS:
        return from_day(today - timedelta(days=amount * _UNITS[unit.text]), 1)
    month = today.year * 12 + today.month - 1 - amount * (12 if unit.text.startswith("year") else 1)
    last = calendar.monthrange(month // 12, month % 12 + 1)[1]
    return from_day(date(month // 12, month % 12 + 1, min(today.day, last)), 1)


def _last(cursor: Cursor, past: bool) -> Days | None:
    today = cursor.today
    if past and is_number(cursor.peek()):
        found = number(cursor)
        unit = cursor.accept("years", "year", "months", "month", *_UNITS)
        if found is None or unit is None or found.value > 200:
            return None
        begin = (
            _ago(today, found.value, unit.text).start if unit.text in _UNITS else _same_day(today, found.value, unit)
        )
        return Days(begin, from_day(today, 1).end)
    token = cursor.peek()
    if token.text not in MONTHS and token.text not in FEASTS:
        return None
    part = _named(cursor)
    if not isinstance(part, Yearly):
        return part
    if not past:
        return part.of(today.year)
    year = today.year if part.of(today.year).end <= today.isoformat() else today.year - 1
    return part.of(year)


def _same_day(today: date, amount: int, unit: Token) -> str:
    month = today.year * 12 + today.month - 1 - amount * (12 if unit.text.startswith("year") else 1)
    # The 31st of a month without one is its last day: a day before the first of the next.
    day = min(today.day, 28)
    return f"{month // 12:04}-{month % 12 + 1:02}-{day:02}"


def _ago(today: date, amount: int, unit: str) -> Days:
    if unit.startswith("year"):
        return months(today.year - amount, 1, 12)
    if unit.startswith("month"):
        return months(today.year, today.month - amount, 1)
    if unit.startswith("week"):
        return from_day(today - timedelta(days=today.weekday() + 7 * amount), 7)
    return from_day(today - timedelta(days=amount), 1)


_RELATIVE: Final = {
    "today": lambda today: from_day(today, 1),
    "yesterday": lambda today: from_day(today - timedelta(days=1), 1),
    "this-year": lambda today: months(today.year, 1, 12),
    "last-year": lambda today: months(today.year - 1, 1, 12),
    "this-weekend": lambda today: from_day(today + timedelta(days=5 - today.weekday()), 2),
    "last-weekend": lambda today: from_day(today - timedelta(days=today.weekday() + 2), 2),
    "this-month": lambda today: months(today.year, today.month, 1),
    "last-month": lambda today: months(today.year, today.month - 1, 1),
    "this-week": lambda today: from_day(today - timedelta(days=today.weekday()), 7),
    "last-week": lambda today: from_day(today - timedelta(days=today.weekday() + 7), 7),
}
