"""Give groups of faces to people: those whom persons stated, then those whom most of the faces were before."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.people import dates
from rollcall.people.clusters import Clustered
from rollcall.people.linkage import UNKNOWN
from rollcall.people.reading import LibraryFaces

#: Of a group that belongs to nobody yet.
NEW: Final = -2
#: A photo that was taken so many years before somebody's birth, at most, does not show them: dates are not that exact.
BEFORE_BIRTH: Final = 0.1


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


def person_of_faces(
    library: LibraryFaces, found: Clustered, of_groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the person of each face, or -3 minus the number of a new group, or UNKNOWN; and the probability.

    What persons stated stays. No photo shows a person twice unless a person said so, and nobody is in photos from
    before their birth.
    """
    group = found.group
    person = np.where(group >= 0, of_groups[np.maximum(group, 0)], UNKNOWN) if len(of_groups) else group.copy()
    person = np.where(person == NEW, -3 - group, person)
    person = np.where(library.stated, library.person, person)
    probability = np.where(library.stated, library.probability, found.probability)
    free = np.flatnonzero(~library.stated & (person != UNKNOWN))
    seen = {(int(person[face]), int(library.faces.photos[face])) for face in np.flatnonzero(library.stated).tolist()}
    for face in free[np.lexsort((free, -probability[free]))].tolist():
        key = (int(person[face]), int(library.faces.photos[face]))
        birth = library.faces.known_births.get(key[0])
        too_early = birth is not None and library.taken[face] < birth.mean - 2 * birth.deviation - BEFORE_BIRTH
        if key in seen or too_early or key[0] in library.faces.rejected[face]:
            person[face] = UNKNOWN
        else:
            seen.add(key)
    return person, np.where(person == UNKNOWN, 0.0, probability)


def without_lone(person: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the people of faces, without new groups of which one face is left."""
    new, inverse, counts = np.unique(person, return_inverse=True, return_counts=True)
    return np.where((new[inverse] <= -3) & (counts[inverse] < 2), UNKNOWN, person)


def ages_at_birth_date(birth_date: str | None, taken: float) -> tuple[int, int] | None:
    """Return the completed years, from and to, of somebody in a photo; None where a date is unknown."""
    return None if birth_date is None else dates.ages_at(birth_date, taken)
