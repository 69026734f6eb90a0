"""Who a face has to be: certain people, somebody with a name, or nobody with one; and when these people were born."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, Literal, NamedTuple

from rollcall.ages import OLDEST

#: Days of a year on average, in the Gregorian calendar.
YEAR_DAYS: Final = 365.2425
#: An estimate of a birth date is never taken to be closer than so many days, whatever its deviation says.
_LEAST_DEVIATION: Final = 90.0


class Birth(NamedTuple):
    """When somebody was born, in days as of `date.toordinal`.

    Of a date that a person gave, any day from `first` to `last`, equally likely; else a normal distribution whose mean
    is `first` and whose standard deviation is `deviation`.
    """

    first: float
    last: float
    deviation: float | None = None

    @classmethod
    def given(cls, text: str) -> Birth | None:
        """Return the birth of "YYYY", "YYYY-MM" or "YYYY-MM-DD"; None if it is none of them."""
        try:
            year, month, day = [*map(int, text.split("-")), 0, 0][:3]
            if day:
                only = date(year, month, day).toordinal()
                return cls(only, only)
            first = date(year, month or 1, 1).toordinal()
            after = date(year, month + 1, 1) if 0 < month < 12 else date(year + 1, 1, 1)
            return cls(first, after.toordinal() - 1)
        except ValueError:
            return None

    @classmethod
    def estimated(cls, year: float, deviation: float) -> Birth:
        """Return the birth of an estimate: its mean as a year (2015.5: the middle of 2015), and years of deviation."""
        whole = min(max(int(year), 1), 9998)
        mean = date(whole, 1, 1).toordinal() + (year - whole) * YEAR_DAYS
        return cls(mean, mean, max(deviation * YEAR_DAYS, _LEAST_DEVIATION))

    def by(self, day: date) -> float:
        """Return the probability, 0..1, of being born on a day or before it."""
        at = day.toordinal()
        if self.deviation is None:
            return min(max((at + 1 - self.first) / (self.last + 1 - self.first), 0.0), 1.0)
        return 0.5 * (1 + math.erf((at + 0.5 - self.first) / (self.deviation * math.sqrt(2))))

    def share(self, low: int, high: int, day: date) -> float:
        """Return the probability of an age from `low` to `high` completed years, both included, on a day.

        `rollcall.ages.OLDEST` stands for all ages from there on.
        """
        older = 0.0 if high >= OLDEST else self.by(years_before(day, high + 1))
        return max(self.by(years_before(day, low)) - older, 0.0)

    def years(self) -> tuple[int, int]:
        """Return the first and the last year of birth; of an estimate, those within one standard deviation."""
        reach = self.deviation or 0.0
        return (date.fromordinal(round(self.first - reach)).year, date.fromordinal(round(self.last + reach)).year)


def years_before(day: date, years: int) -> date:
    """Return the day some years before another; whoever was born on it or before has completed them."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        # On 29 February there is no such day in a common year, and before the year 1 there is none at all.
        return date(day.year - years, 2, 28) if day.year > years else date.min


def day_of(taken_local: str | None) -> date | None:
    """Return the day of a capture time; None if it is unknown."""
    try:
        return None if taken_local is None else date.fromisoformat(taken_local[:10])
    except ValueError:
        return None


class Identity(NamedTuple):
    """The identity that a face has to have.

    "people": one of some people, by their numbers. "known": somebody with a name. "unknown": nobody with a name.
    """

    kind: Literal["people", "known", "unknown"]
    name: str  # in words, for those who read how a query is understood
    people: tuple[int, ...] = ()
    births: tuple[tuple[int, Birth], ...] = ()  # by person, where known or estimated

    def accepts(self, person: int | None, named: bool) -> bool:
        """Return whether a face of a person is meant; `named`: the person has a name; None: nobody is known."""
        if self.kind == "people":
            return person in self.people
        return named == (self.kind == "known")

    def without_births(self) -> Identity:
        """Return the same people where their ages are no matter."""
        return self._replace(births=())

    def is_within(self, other: Identity) -> bool:
        """Return whether whoever is meant here is meant by the other, too."""
        if self.kind == "people" == other.kind:
            return set(self.people) <= set(other.people)
        return self.kind == other.kind

    def is_apart(self, other: Identity) -> bool:
        """Return whether nobody is meant by both."""
        if self.kind == "people" == other.kind:
            return not set(self.people) & set(other.people)
        return {self.kind, other.kind} == {"known", "unknown"}

    @classmethod
    def of_plain(cls, plain: Any) -> Identity:
        """Return the value of the lists that JSON makes of it."""
        kind, name, people, births = plain
        return cls(kind, name, tuple(people), tuple((person, Birth(*birth)) for person, birth in births))


#: Nobody with a name, and somebody with one.
UNKNOWN: Final = Identity("unknown", "unknown people")
KNOWN: Final = Identity("known", "known people")


def births_in(wanted: Iterable[Identity | None]) -> Mapping[int, Birth]:
    """Return when the people were born that are asked for, by their numbers."""
    return {person: birth for identity in wanted if identity is not None for person, birth in identity.births}
