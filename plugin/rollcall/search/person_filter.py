"""The people that a query asks for: ages, a gender, and their identity."""

from __future__ import annotations

from typing import Final, NamedTuple

from rollcall.ages import AGE_GROUPS, OLDEST
from rollcall.search.identity import Identity


class PersonFilter(NamedTuple):
    """Ages in completed years, both ends included, "female", "male" or None for any gender, and who; None: whoever."""

    low: int = 0
    high: int = OLDEST
    gender: str | None = None
    identity: Identity | None = None

    @property
    def any_age(self) -> bool:
        """Whether it takes people of every age."""
        return (self.low, self.high) == (0, OLDEST)

    @property
    def anyone(self) -> bool:
        """Whether it takes every face."""
        return self.any_age and self.gender is None and self.identity is None

    @property
    def group(self) -> str | None:
        """The name of the stored group of exactly these people; None if there is none."""
        return STORED_GROUPS.get(self)

    @property
    def age_group(self) -> str | None:
        """The name of the stored group of exactly these ages; None if there is none."""
        return STORED_GROUPS.get(PersonFilter(self.low, self.high))

    def is_within(self, other: PersonFilter) -> bool:
        """Return whether everyone of these people is one of the other's too."""
        if other.identity is not None and (self.identity is None or not self.identity.is_within(other.identity)):
            return False
        return other.low <= self.low and self.high <= other.high and other.gender in (None, self.gender)

    def intersection(self, other: PersonFilter) -> PersonFilter | None:
        """Return the people that both take; None if there are none."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        if low > high or (self.gender and other.gender and self.gender != other.gender):
            return None
        if self.identity is not None and other.identity is not None and self.identity.is_apart(other.identity):
            return None
        return PersonFilter(low, high, self.gender or other.gender, self.identity or other.identity)

    def describe(self) -> str:
        """Return the people in words, such as "children" or "female from 30 to 39"."""
        if self.anyone:
            return "anyone"
        if self.group is not None:
            return self.group
        people = self.gender or "people"
        if self.identity is not None:
            people = f"{self.gender} {self.identity.name}" if self.gender else self.identity.name
            if self.any_age:
                return people
        if self.low == self.high:
            return f"{people} of {self.low}"
        return f"{people} from {self.low} " + (f"to {self.high}" if self.high < OLDEST else "on")


def people_of(name: str, gender: str | None = None) -> PersonFilter:
    """Return the people of an age group of `rollcall.ages`, of one gender or of any."""
    return PersonFilter(AGE_GROUPS[name].low, AGE_GROUPS[name].high, gender)


#: The groups whose probabilities are stored for every photo, by their people: those of `rollcall.tags.rules.GROUPS`.
STORED_GROUPS: Final = {
    **{people_of(name): name for name in AGE_GROUPS},
    PersonFilter(gender="female"): "female",
    PersonFilter(gender="male"): "male",
    people_of("adults", "female"): "women",
    people_of("adults", "male"): "men",
    people_of("children", "female"): "girls",
    people_of("children", "male"): "boys",
}
