"""The exact probability that the faces of a photo meet a requirement together.

Faces are independent of each other, and so are age, gender and identity of a face, but for people whose birth is known:
their age follows from the capture time. Each face is of one cell: the set of filters that it passes. Going from face to
face, the probability of every number of faces per cell is kept, up to the number from which on more change nothing; the
requirement then holds for some of these numbers. That different people need different faces is a requirement on such
numbers as well (Hall's theorem: P. Hall, "On representatives of subsets", 1935).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from rollcall import ages
from rollcall.search.identity import Birth, births_in, day_of
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import FacesInRange, Requirement, from_text, leaves

#: Requirements with more combinations of numbers are bounded instead: their photos would take too long.
MOST_STATES: Final = 4_000
_MOST_FILTERS: Final = 10
_MOST_KNOWN: Final = 100_000
#: Combinations less probable than this are left out: of so many, all together stay far below 0.001.
NEGLIGIBLE: Final = 1e-9

_Counts = tuple[int, ...]
_Test = Callable[[_Counts, int], bool]
#: A person's number, and whether the person has a name; no number: somebody whom the filters do not tell apart.
Label = tuple[int | None, bool]
SOMEBODY: Final[Label] = (None, False)


class FaceProbabilities(NamedTuple):
    """What is known of a face."""

    distribution: Sequence[float] | None  # 101 probabilities of ages; None where a person gave the age, or unknown
    age_range: tuple[int, int] | None  # given by a person
    p_female: float | None  # None if unknown or of another label
    person: int | None = None  # who it probably is
    p_person: float = 0.0  # how probably
    named: bool = False  # whether that person has a name
    taken: str | None = None  # capture time of the photo, ISO 8601
    derived: bool = False  # the range of ages follows from the person's birth date


class Masks(NamedTuple):
    """The filters that faces of one identity pass: those of a female, a male and another face."""

    by_segment: tuple[tuple[int, int, int], ...]
    unknown: tuple[int, int, int]  # of a face whose age is unknown


class Cells(NamedTuple):
    """The cells of a requirement, and the range of ages of each part of the scale."""

    segments: tuple[tuple[int, int], ...]
    masks: Mapping[Label, Masks]
    births: Mapping[int, Birth]
    places: Mapping[int, int]  # the place in the counts of each mask that matters
    most: _Counts  # by place, the number from which on more change nothing


class JointProbability:
    """One requirement, prepared for many photos."""

    def __init__(self, requirement: Requirement) -> None:
        self.requirement = requirement
        self._filters = tuple(dict.fromkeys(person for leaf in leaves(requirement) for person in leaf.people))
        self._cells = _cells(requirement, self._filters) if len(self._filters) <= _MOST_FILTERS else None
        #: How many combinations of numbers there are.
        self.states = math.inf if self._cells is None else math.prod(most + 1 for most in self._cells.most)
        #: Whether the exact probability is within reach.
        self.exact = self.states <= MOST_STATES
        #: Whether one more face never breaks it.
        self.monotone = requirement.monotone
        self._test = None if self._cells is None else _compiled(requirement, self._cells, self._filters)
        self._known: dict[tuple[_Counts, int], bool] = {}
        #: Whether it asks for certain people, for known or for unknown ones.
        self.asks_identity = any(person.identity is not None for person in self._filters)

    @property
    def cells(self) -> Cells:
        """The cells that faces are told apart by; only of an exact one."""
        assert self._cells is not None
        return self._cells

    def of(self, faces: Sequence[FaceProbabilities]) -> float:
        """Return the probability, 0..1, that the faces meet the requirement; only of an exact one."""
        cells, count = self.cells, len(faces)

        def holds(counts: _Counts) -> bool:
            return self.holds(counts, count)

        start: _Counts = (0,) * len(cells.most)
        states, done = {start: 1.0}, 0.0
        if self.monotone and holds(start):
            return 1.0
        for face in faces:
            states, gained = _with_face(states, _of_face(face, cells), cells.most, holds, self.monotone)
            done += gained
        if not self.monotone:
            for counts in sorted(states):
                done += states[counts] if holds(counts) else 0.0
        return min(max(done, 0.0), 1.0)

    def holds(self, counts: _Counts, faces: int) -> bool:
        """Return whether the requirement holds with so many faces in each cell that matters, and in all."""
        found = self._known.get((counts, faces))
        if found is None:
            assert self._test is not None
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            found = self._known[counts, faces] = self._test(counts, faces)
        return found


@lru_cache(maxsize=256)
def joint_of_text(text: str) -> JointProbability:
    """Return the probability of a requirement that is given as JSON."""
    return JointProbability(from_text(text))


def unpacked(distribution: bytes) -> Sequence[float]:
    """Return the 101 probabilities of a stored distribution: little-endian numbers of 16 bits."""
    values: Sequence[float] = struct.unpack(f"<{ages.AGES}e", distribution)
    return values


def _cells(requirement: Requirement, filters: tuple[PersonFilter, ...]) -> Cells:
    starts = sorted({0, *(person.low for person in filters), *(person.high + 1 for person in filters)})
    starts = [start for start in starts if start <= ages.OLDEST]
    segments = tuple((low, high - 1) for low, high in zip(starts, [*starts[1:], ages.AGES], strict=True))

    masks = {identity: _masks(filters, segments, identity) for identity in _identities(filters)}
    every = {passed for of in masks.values() for genders in (*of.by_segment, of.unknown) for passed in genders}
    most: dict[int, int] = {}
    for leaf in leaves(requirement):
        if any(person.anyone for person in leaf.people):
            continue
        for passed in every:
            if leaf.counts(passed, filters):
                most[passed] = max(most.get(passed, 0), leaf.enough)
    places = {passed: place for place, passed in enumerate(most)}
    births = births_in(person.identity for person in filters)
    return Cells(segments, masks, births, places, tuple(most.values()))


def _identities(filters: tuple[PersonFilter, ...]) -> list[Label]:
    """Return the identities that the filters tell apart; without any of people there is one."""
    wanted = [person.identity for person in filters if person.identity is not None]
    if not wanted:
        return [SOMEBODY]
    named = {number for identity in wanted for number in identity.people}
    return [(number, is_named) for number in (*sorted(named), None) for is_named in (False, True)]


def _masks(filters: tuple[PersonFilter, ...], segments: Sequence[tuple[int, int]], identity: Label) -> Masks:
    def mask(low: int, high: int, gender: str) -> int:
        return sum(
            1 << bit
            for bit, person in enumerate(filters)
            if person.low <= low
            and high <= person.high
            and person.gender in (None, gender)
            and (person.identity is None or person.identity.accepts(*identity))
        )

    def of_genders(low: int, high: int) -> tuple[int, int, int]:
        return mask(low, high, "female"), mask(low, high, "male"), mask(low, high, "")

    # Nobody's age lies in the whole scale: only filters of every age take whose age is unknown.
    return Masks(tuple(of_genders(low, high) for low, high in segments), of_genders(0, ages.OLDEST))


def _of_face(face: FaceProbabilities, cells: Cells) -> dict[int, float]:
    """Return the probability of each cell that a face may be of, by its place; -1 is any that does not matter."""
    genders = (0.0, 0.0, 1.0) if face.p_female is None else (face.p_female, 1.0 - face.p_female, 0.0)
    result: dict[int, float] = {}
    for share, masks in _shares(face, cells):
        for gender, passed in zip(genders, masks, strict=True):
            if share * gender > 0.0:
                place = cells.places.get(passed, -1)
                result[place] = result.get(place, 0.0) + share * gender
    return dict(sorted(result.items()))


def _shares(face: FaceProbabilities, cells: Cells) -> Iterator[tuple[float, tuple[int, int, int]]]:
    """Yield the probability of each identity and part of the scale of ages, with the cells of its genders."""
    if len(cells.masks) == 1 or face.person is None:
        yield from _aged(face, cells, SOMEBODY, 1.0)
        return
    identity = (face.person, face.named)
    yield from _aged(face, cells, identity if identity in cells.masks else (None, face.named), face.p_person)
    yield from _aged(face, cells, SOMEBODY, 1.0 - face.p_person)


def _aged(
    face: FaceProbabilities, cells: Cells, identity: Label, probability: float
) -> Iterator[tuple[float, tuple[int, int, int]]]:
    """Yield the probability of each part of the scale for a face of an identity, with the cells of its genders."""
    if probability <= 0.0:
        return
    masks = cells.masks[identity]
    birth, day = cells.births.get(identity[0] or 0), day_of(face.taken)
    if birth is not None and day is not None and (face.age_range is None or face.derived):
        shares = [birth.share(low, high, day) for low, high in cells.segments]
        # Whoever was not born yet is of no age.
        yield probability * max(1.0 - sum(shares), 0.0), masks.unknown
    elif face.age_range is not None:
        shares = [ages.range_share(*face.age_range, low, high) for low, high in cells.segments]
    elif face.distribution is not None:
        shares = [sum(face.distribution[low : high + 1]) for low, high in cells.segments]
        # They were rounded to 16 bits.
        total = sum(shares) or 1.0
        shares = [share / total for share in shares]
    else:
        yield probability, masks.unknown
        return
    for share, passed in zip(shares, masks.by_segment, strict=True):
        yield probability * share, passed


def _with_face(
    states: Mapping[_Counts, float],
    face: Mapping[int, float],
    most: _Counts,
    holds: Callable[[_Counts], bool],
    absorbing: bool,
) -> tuple[dict[_Counts, float], float]:
    """Return the probabilities of all numbers with one more face, and what is certain already and left out."""
    result: dict[_Counts, float] = {}
    done = 0.0
    # In one order, so that the same numbers come out however the photo is evaluated: see columns/joint.py.
    for counts, before in sorted(states.items()):
        for place, share in face.items():
            probability = before * share
            if probability < NEGLIGIBLE:
                continue
            after = counts
            if place >= 0 and counts[place] < most[place]:
                after = (*counts[:place], counts[place] + 1, *counts[place + 1 :])
                if absorbing and holds(after):
                    done += probability
                    continue
            result[after] = result.get(after, 0.0) + probability
    return result, done


def _compiled(requirement: Requirement, cells: Cells, filters: tuple[PersonFilter, ...]) -> _Test:
    """Return a function of the numbers by cell, and of all faces: whether the requirement holds."""
    if isinstance(requirement, FacesInRange):
        low, high = requirement.low, requirement.high
        if any(person.anyone for person in requirement.people):
            return lambda _, faces: low <= (0 if requirement.outside else faces) <= high
        places = [place for passed, place in cells.places.items() if requirement.counts(passed, filters)]
        return lambda counts, _: low <= sum(counts[place] for place in places) <= high
    tests = [_compiled(part, cells, filters) for part in requirement.parts]
    if requirement.kind == "not":
        return lambda counts, faces: not tests[0](counts, faces)
    combine = all if requirement.kind == "all" else any
    return lambda counts, faces: combine(test(counts, faces) for test in tests)
