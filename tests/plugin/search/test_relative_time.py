"""Dates counted from today, and dates as people write them."""

from __future__ import annotations

from datetime import date

import pytest

from rollcall.errors import InvalidQueryError
from rollcall.search import interpret
from rollcall.search.terms import Taken, TakenYearly

THURSDAY = date(2026, 11, 26)


@pytest.mark.parametrize(
    ("phrase", "start", "end"),
    [
        ("today", "2026-11-26", "2026-11-27"),
        ("yesterday", "2026-11-25", "2026-11-26"),
        ("this week", "2026-11-23", "2026-11-30"),
        ("last week", "2026-11-16", "2026-11-23"),
        ("this month", "2026-11-01", "2026-12-01"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("this year", "2026-01-01", "2027-01-01"),
        ("photos from last year", "2025-01-01", "2026-01-01"),
        ("taken last year", "2025-01-01", "2026-01-01"),
        ("two years ago", "2024-01-01", "2025-01-01"),
        ("from 2 years ago", "2024-01-01", "2025-01-01"),
        ("a year ago", "2025-01-01", "2026-01-01"),
        ("3 months ago", "2026-08-01", "2026-09-01"),
        ("two weeks ago", "2026-11-09", "2026-11-16"),
        ("10 days ago", "2026-11-16", "2026-11-17"),
        ("last 2 years", "2024-11-26", "2026-11-27"),
        ("in the last 3 months", "2026-08-26", "2026-11-27"),
        ("last summer", "2026-06-01", "2026-09-01"),
        ("this summer", "2026-06-01", "2026-09-01"),
        ("last winter", "2025-12-01", "2026-03-01"),
        ("last june", "2026-06-01", "2026-07-01"),
        ("last december", "2025-12-01", "2026-01-01"),
        ("last christmas", "2025-12-24", "2025-12-27"),
        ("christmas 2019", "2019-12-24", "2019-12-27"),
        ("new year's eve 2019", "2019-12-31", "2020-01-02"),
        ("summer of last year", "2025-06-01", "2025-09-01"),
        ("since last year", "2025-01-01", "9999-12-31"),
        ("before june 2019", "0000-01-01", "2019-06-01"),
        ("after christmas 2019", "2019-12-27", "9999-12-31"),
        ("2019-06-12", "2019-06-12", "2019-06-13"),
        ("on June 12, 2019", "2019-06-12", "2019-06-13"),
        ("12th of June 2019", "2019-06-12", "2019-06-13"),
        ("June 12th 2019", "2019-06-12", "2019-06-13"),
        ("12.06.2019", "2019-06-12", "2019-06-13"),
        ("13/12/2019", "2019-12-13", "2019-12-14"),
        ("12/13/2019", "2019-12-13", "2019-12-14"),
        ("from june to august 2019", "2019-06-01", "2019-09-01"),
        ("november to january 2020", "2019-11-01", "2020-02-01"),
        ("between june and august 2019", "2019-06-01", "2019-09-01"),
        ("from 2018-06-01 to 2018-06-10", "2018-06-01", "2018-06-11"),
        ("2018 - 2020", "2018-01-01", "2021-01-01"),
        ("in the 1990s", "1990-01-01", "2000-01-01"),
        ("in the 80s", "1980-01-01", "1990-01-01"),
        ("the seventies", "1970-01-01", "1980-01-01"),
    ],
)
def test_a_period_is_that_of_the_calendar(phrase: str, start: str, end: str) -> None:
    assert interpret(phrase, today=THURSDAY).term == Taken(start, end)


@pytest.mark.parametrize(
    ("phrase", "first", "last"),
    [("in summer", "06-01", "08-31"), ("at christmas", "12-24", "12-26"), ("in winter", "12-01", "02-29"),
     ("halloween", "10-31", "10-31")],
)  # fmt: skip
def test_a_season_without_its_year_is_that_of_any_year(phrase: str, first: str, last: str) -> None:
    found = interpret(phrase, today=THURSDAY)
    assert found.term == TakenYearly(first, last)
    (note,) = found.notes
    assert note.alternative is not None
    assert isinstance(interpret(note.alternative, today=THURSDAY).term, Taken)


@pytest.mark.parametrize(
    ("phrase", "suggestions"),
    [
        ("kids in january", ("kids in january 2026", "kids in january 2025")),
        ("december", ("december 2025", "december 2024")),
        ("june 12", ("june 12 2026", "june 12 2025")),
        ("before may", ("before may 2026", "before may 2025")),
        ("06/12/2019", ("2019-06-12", "2019-12-06")),
        ("kids 30.02.2019", ("kids",)),
    ],
)
def test_a_day_that_may_be_several_is_asked_for(phrase: str, suggestions: tuple[str, ...]) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        interpret(phrase, today=THURSDAY)
    assert caught.value.suggestions == suggestions
