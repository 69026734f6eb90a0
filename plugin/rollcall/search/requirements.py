"""Requirements on the people of one photo, as plain values that SQL can pass on: how many faces pass which filters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from rollcall.search.identity import Identity
from rollcall.search.person_filter import PersonFilter

#: More faces than any photo has: the upper end of "or more".
MOST_FACES: Final = 10**6


@dataclass(frozen=True)
class FacesInRange:
    """The number of faces that pass at least one of the filters lies in a range, both ends included.

    `outside`: of the faces that pass none of them instead.
    """

    people: tuple[PersonFilter, ...]
    low: int
    high: int = MOST_FACES
    outside: bool = False

    def counts(self, passed: int, filters: tuple[PersonFilter, ...]) -> bool:
        """Return whether a face counts that passes the filters of a bit mask."""
        some = any(passed >> filters.index(person) & 1 for person in self.people)
        return some != self.outside

    @property
    def enough(self) -> int:
        """The number of faces from which on one more changes nothing."""
        return self.low if self.high >= MOST_FACES else self.high + 1

    @property
    def monotone(self) -> bool:
        """Whether one more face never breaks it."""
        return self.high >= MOST_FACES and not self.outside


@dataclass(frozen=True)
class Combined:
    """All of some requirements, any of them, or not the only one."""

    kind: Literal["all", "any", "not"]
    parts: tuple[Requirement, ...]

    @property
    def monotone(self) -> bool:
        """Whether one more face never breaks it."""
        return self.kind != "not" and all(part.monotone for part in self.parts)


Requirement = FacesInRange | Combined


def leaves(requirement: Requirement) -> Iterator[FacesInRange]:
    """Yield the single requirements of a combined one."""
    if isinstance(requirement, FacesInRange):
        yield requirement
    else:
        for part in requirement.parts:
            yield from leaves(part)


def to_text(requirement: Requirement) -> str:
    """Return a requirement as JSON."""
    return json.dumps(_plain(requirement), separators=(",", ":"))


def from_text(text: str) -> Requirement:
    """Return the requirement of a JSON text."""
    return _requirement(json.loads(text))


def _plain(requirement: Requirement) -> list[Any]:
    if isinstance(requirement, FacesInRange):
        kind = "outside" if requirement.outside else "faces"
        return [kind, requirement.low, requirement.high, [list(person) for person in requirement.people]]
    return [requirement.kind, *map(_plain, requirement.parts)]


def _requirement(plain: list[Any]) -> Requirement:
    kind, *rest = plain
    if kind in ("faces", "outside"):
        low, high, people = rest
        return FacesInRange(tuple(map(_person, people)), low, high, kind == "outside")
    return Combined(kind, tuple(map(_requirement, rest)))


def _person(plain: list[Any]) -> PersonFilter:
    low, high, gender, identity = plain
    return PersonFilter(low, high, gender, None if identity is None else Identity.of_plain(identity))
