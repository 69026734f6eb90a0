"""The exact probability that the faces of photos meet a requirement together, for many photos at once.

It takes the steps of `rollcall.search.joint` in the same order, so that both give the same numbers.
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.search.columns.columns import Columns, FaceColumns, at_least_of
from rollcall.search.joint import NEGLIGIBLE, SOMEBODY, Cells, JointProbability
from rollcall.search.requirements import MOST_FACES, FacesInRange, Requirement

_Floats = NDArray[np.float64]
#: Requirements with more combinations of numbers are left to the evaluation of single photos.
MOST_STATES: Final = 64
#: Photos that are evaluated at a time, so that what is computed stays in the processor's cache.
_PART: Final = 16_384


def is_supported(prepared: JointProbability) -> bool:
    """Return whether a requirement has few enough combinations, and asks for no identity, which columns do not have."""
    return prepared.exact and prepared.states <= MOST_STATES and not prepared.asks_identity


def joint(columns: Columns, prepared: JointProbability) -> _Floats:
    """Return the probability, (n,), that the faces meet a requirement; only of a supported one."""
    result = np.full(len(columns), prepared.of(()))
    start = 0
    for faces in range(len(columns.by_place), 0, -1):
        end = columns.by_place[faces - 1]
        for first in range(start, end, _PART):
            rows = np.arange(first, min(first + _PART, end))
            result[rows] = _of_as_many(columns.at(rows), faces, prepared)
        start = max(start, end)
    return result


def _of_as_many(columns: Columns, faces: int, prepared: JointProbability) -> _Floats:
    """Return the probability of photos that all have as many faces."""
    cells = prepared.cells
    most = cells.most
    count = len(columns)
    order = list(itertools.product(*(range(top + 1) for top in most)))
    begin = order[0]
    if prepared.monotone and prepared.holds(begin, faces):
        return np.ones(count)
    states: dict[tuple[int, ...], _Floats] = {begin: np.ones(count)}
    done = np.zeros(count)
    for face in columns.places():
        of_face = _of_face(face, cells)
        after: dict[tuple[int, ...], _Floats] = {}
        gained = np.zeros(count)
        for counts in order:
            before = states.get(counts)
            if before is None:
                continue
            for place, share in of_face.items():
                probability = before * share
                probability[probability < NEGLIGIBLE] = 0.0
                reached = counts
                if place >= 0 and counts[place] < most[place]:
                    reached = (*counts[:place], counts[place] + 1, *counts[place + 1 :])
                    if prepared.monotone and prepared.holds(reached, faces):
                        gained += probability
                        continue
                known = after.get(reached)
                if known is None:
                    after[reached] = probability
                else:
                    known += probability
        states = after
        done += gained
    if not prepared.monotone:
        done = np.zeros(count)
        for counts in order:
            if counts in states and prepared.holds(counts, faces):
                done += states[counts]
    return np.clip(done, 0.0, 1.0)


def _of_face(face: FaceColumns, cells: Cells) -> dict[int, _Floats]:
    """Return the probability, (count,), of each cell that a face may be of, by its place, ascending."""
    shares = [face.predicted(low, high) for low, high in cells.segments]
    total = np.zeros(face.count)
    for share in shares:
        total += share
    total[total == 0.0] = 1.0
    shares = [share / total for share in shares]
    if len(face.given):
        for share, (low, high) in zip(shares, cells.segments, strict=True):
            share[face.given] = face.shares(low, high)
    female, male = face.gender("female"), face.gender("male")
    unknown = (female == 0.0) & (male == 0.0)
    some_unknown = bool(unknown.any())
    genders = (female, male, unknown.astype(np.float64))
    known = face.is_known
    of_somebody = cells.masks[SOMEBODY]
    result: dict[int, _Floats] = {}
    for share, masks in [
        *zip(shares, of_somebody.by_segment, strict=True),
        *([] if known.all() else [((~known).astype(np.float64), of_somebody.unknown)]),
    ]:
        for gender, passed in zip(genders[: 3 if some_unknown else 2], masks, strict=False):
            place = cells.places.get(passed, -1)
            probability = share * gender
            if place in result:
                result[place] += probability
            else:
                result[place] = probability
    return dict(sorted(result.items()))


def bound(columns: Columns, requirement: Requirement) -> _Floats | None:
    """Return what the probability, (n,), is at most, where that is quickly found; None where it is not.

    The numbers of faces of several kinds are not independent, so only the least probable part bounds all of them, and
    only the sum of all any of them.
    """
    if isinstance(requirement, FacesInRange):
        return _bound_of_one(columns, requirement)
    if requirement.kind == "not":
        part = requirement.parts[0]
        found = _of_one_kind(columns, part) if isinstance(part, FacesInRange) else None
        return None if found is None else 1.0 - found
    parts = [bound(columns, part) for part in requirement.parts]
    known = [part for part in parts if part is not None]
    if requirement.kind == "all":
        return np.min(known, axis=0) if known else None
    return np.minimum(np.sum(known, axis=0), 1.0) if len(known) == len(parts) else None


def _of_one_kind(columns: Columns, wanted: FacesInRange) -> _Floats | None:
    """Return the probability, (n,), of a number of faces of one kind of people; None of several kinds."""
    if wanted.outside or len(wanted.people) > 1:
        return None
    (person,) = wanted.people
    if person.anyone:
        return ((columns.faces >= wanted.low) & (columns.faces <= wanted.high)).astype(np.float64)
    events = [faces.share_of(person) for faces in columns.places()]
    enough = np.ones(len(columns)) if wanted.low < 1 else at_least_of(columns, events, wanted.low)
    return enough if wanted.high >= MOST_FACES else enough - at_least_of(columns, events, wanted.high + 1)


def _bound_of_one(columns: Columns, wanted: FacesInRange) -> _Floats | None:
    if any(person.anyone for person in wanted.people) and len(wanted.people) > 1:
        return None
    found = _of_one_kind(columns, wanted)
    if found is not None:
        return found
    events = [
        np.minimum(np.sum([faces.share_of(person) for person in wanted.people], axis=0), 1.0)
        for faces in columns.places()
    ]
    if not wanted.outside:
        return at_least_of(columns, events, wanted.low) if wanted.low >= 1 else None
    if wanted.high > 0:
        return None
    result = np.ones(len(columns))
    for event in events:
        result[: len(event)] *= event
    return result
