"""Give groups of faces to people: those whom persons stated, then those whom most of the faces were before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.people import dates
from rollcall.people.clusters import Clustered
from rollcall.people.evidence import BEFORE_ESTIMATE, LEAST_FACES, earliest_photo
from rollcall.people.linkage import UNKNOWN
from rollcall.people.reading import LibraryFaces

#: Of a group that belongs to nobody yet.
NEW: Final = -2
#: A photo that was taken so many years before somebody's birth, at most, does not show them: dates are not that exact.
BEFORE_BIRTH: Final = 0.1

#: Returns when photos of somebody can begin, by means and deviations of the birth dates that their faces tell.
EarliestPhoto = Callable[[NDArray[np.floating], NDArray[np.floating]], float]


def people_of_groups(library: LibraryFaces, found: Clustered, sticky: bool = False) -> NDArray[np.int64]:
    """Return for each group whose it is: a person's number, or NEW.

    With `sticky` a group without a confirmed face stays with the person whom most of its faces were, even if another
    group has their confirmed faces.
    """
    count = int(found.group.max(initial=-1)) + 1
    result = np.full(count, NEW, np.int64)
    labels = library.faces.labels
    labelled = (labels != UNKNOWN) & (found.group >= 0)
    result[found.group[labelled]] = labels[labelled]
    taken = set() if sticky else set(labels[labelled].tolist())
    inside = (found.group >= 0) & (library.person != UNKNOWN)
    votes = Counter(zip(found.group[inside].tolist(), library.person[inside].tolist(), strict=True))
    for (group, person), _ in sorted(votes.items(), key=lambda one: (-one[1], one[0][1], one[0][0])):
        if result[group] == NEW and person not in taken:
            result[group] = person
            if not sticky:
                taken.add(person)
    return result


def fitting(library: LibraryFaces, found: Clustered, of_groups: NDArray[np.int64], least: float) -> NDArray[np.int64]:
    """Return whose groups are, where those without a confirmed face go to whom they are most similar to.

    Below a cosine similarity of `least` such a group is whose most of its faces were, of people without a confirmed
    face; NEW if there are none.
    """
    labels, vectors = library.faces.labels, np.asarray(library.faces.vectors, np.float32)
    people = np.unique(labels[labels != UNKNOWN])
    centres = np.stack([vectors[labels == them].sum(axis=0) for them in people])
    sums = np.zeros((len(of_groups), vectors.shape[1]), np.float32)
    inside = found.group >= 0
    np.add.at(sums, found.group[inside], vectors[inside])
    similar = _unit(sums) @ _unit(centres).T
    nearest = np.where(similar.max(axis=1) >= least, people[similar.argmax(axis=1)], NEW)
    others = inside & (library.person != UNKNOWN) & ~np.isin(library.person, people)
    votes = Counter(zip(found.group[others].tolist(), library.person[others].tolist(), strict=True))
    for (group, person), _ in sorted(votes.items(), key=lambda one: (-one[1], one[0])):
        if nearest[group] == NEW:
            nearest[group] = person
    certain = np.zeros(len(of_groups), np.bool_)
    certain[found.group[inside & (labels != UNKNOWN)]] = True
    return np.where(certain, of_groups, nearest)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def person_of_faces(
    library: LibraryFaces, found: Clustered, of_groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the person of each face, or -3 minus the number of a new group, or UNKNOWN; and the probability.

    What persons stated stays. No photo shows a person twice unless a person said so, and nobody is in photos from
    before their birth, though they stood in a group that was named.
    """
    group = found.group
    person = np.where(group >= 0, of_groups[np.maximum(group, 0)], UNKNOWN) if len(of_groups) else group.copy()
    person = np.where(person == NEW, -3 - group, person)
    person = np.where(library.stated, library.person, person)
    probability = np.where(library.stated, library.probability, found.probability)
    out = ~library.certain & (too_early(library, person) | is_rejected(library, person))
    person[out] = UNKNOWN
    person[second_of_photo(library, person, probability)] = UNKNOWN
    return person, np.where(person == UNKNOWN, 0.0, probability)


def too_early(library: LibraryFaces, person: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which faces are of a photo from before the birth of whom they are taken for, (n,).

    Where nobody gave a birth date, from long before the one that the faces of that person tell.
    """
    earliest = np.full(len(person), -np.inf)
    for rows, moment in _born_later(library, person):
        earliest[rows] = moment
    for them, moment in _known_to_be_born(library).items():
        earliest[person == them] = moment
    return library.taken < earliest


def earliest_photos(
    library: LibraryFaces, person: NDArray[np.int64], earliest: EarliestPhoto = earliest_photo
) -> dict[int, float]:
    """Return from when on, in years, there can be photos of those of some people of whom that is known.

    Who is whom is given by `person`, (n,); of most people it is not known. `earliest` is `earliest_photo`, which may
    keep what it found.
    """
    found = {int(person[rows[0]]): moment for rows, moment in _born_later(library, person, earliest)}
    return {them: moment for them, moment in (found | _known_to_be_born(library)).items() if moment > -np.inf}


def _known_to_be_born(library: LibraryFaces) -> dict[int, float]:
    return {
        them: float(birth.mean - 2 * birth.deviation - BEFORE_BIRTH)
        for them, birth in library.faces.known_births.items()
    }


def _born_later(
    library: LibraryFaces, person: NDArray[np.int64], earliest: EarliestPhoto = earliest_photo
) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Yield the faces of each person whose birth, as they tell it, may be after a photo; and when photos can begin."""
    births = library.faces.births
    assert births is not None
    for rows in _over_long_times(library, person):
        yield rows, earliest(births.mean[rows], births.deviation[rows])


def _over_long_times(library: LibraryFaces, person: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the faces of each person or new group with a photo from long before a birth that any of them tells."""
    births = library.faces.births
    assert births is not None
    ours = np.flatnonzero((person != UNKNOWN) & np.isfinite(library.taken) & np.isfinite(births.deviation))
    order = ours[np.argsort(person[ours], kind="stable")]
    if not len(order):
        return
    first = np.flatnonzero(np.diff(person[order], prepend=person[order[0]] - 1))
    # No mean is beyond the last of them, so most people need no closer look.
    last_birth = np.maximum.reduceat(births.mean[order], first)
    long = np.minimum.reduceat(library.taken[order], first) < last_birth - BEFORE_ESTIMATE
    for one in np.flatnonzero(long & (np.diff(first, append=len(order)) >= LEAST_FACES)).tolist():
        yield order[first[one] :][: first[one + 1] - first[one] if one + 1 < len(first) else None]


def is_rejected(library: LibraryFaces, person: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which faces are taken for somebody whom, as a person said, they are not, (n,)."""
    return np.array([them in some for them, some in zip(person.tolist(), library.faces.rejected, strict=True)], bool)


def second_of_photo(
    library: LibraryFaces, person: NDArray[np.int64], probability: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Return which faces are taken for somebody whom a likelier face of their photo is, (n,); never confirmed ones."""
    known = np.flatnonzero(person != UNKNOWN)
    photos = library.faces.photos
    order = known[np.lexsort((known, -probability[known], ~library.certain[known], photos[known], person[known]))]
    again = np.zeros(len(order), np.bool_)
    again[1:] = (person[order[1:]] == person[order[:-1]]) & (photos[order[1:]] == photos[order[:-1]])
    result = np.zeros(len(person), np.bool_)
    result[order[again]] = True
    return result & ~library.certain


def without_lone(person: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the people of faces, without new groups of which one face is left."""
    new, inverse, counts = np.unique(person, return_inverse=True, return_counts=True)
    return np.where((new[inverse] <= -3) & (counts[inverse] < 2), UNKNOWN, person)


def ages_at_birth_date(birth_date: str | None, taken: float) -> tuple[int, int] | None:
    """Return the completed years, from and to, of somebody in a photo; None where a date is unknown."""
    return None if birth_date is None else dates.ages_at(birth_date, taken)
