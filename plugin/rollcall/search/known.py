"""The photos of people with a name, kept in memory from one search to the next.

Looking up the photo of each of their faces is most of the work of a search for somebody, and changes only when
something happens in the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.search.vector_file import State
from rollcall.search.vectors import state_of
from rollcall.storage.database import Database

#: The numbers of the people with a name.
NAMED: Final = "SELECT person_id FROM person_names"
_FACES: Final = (
    "SELECT w.person_id, f.photo_id, w.probability FROM face_people w JOIN faces f ON f.id = w.face_id"
    f" WHERE w.person_id IN ({NAMED})"
)


class Showing(NamedTuple):
    """Photos that may show somebody, the likeliest first, then by number."""

    photo_ids: NDArray[np.int64]  # (n,)
    at_most: NDArray[np.float64]  # (n,), the probability is no higher


class KnownFaces(NamedTuple):
    """The n faces of all people with a name, as of a state of the library."""

    state: State
    people: NDArray[np.int64]  # (n,), ascending
    photo_ids: NDArray[np.int64]  # (n,)
    probabilities: NDArray[np.float64]  # (n,)
    all: Showing  # the photos of any of them

    def of(self, people: Sequence[int]) -> Showing:
        """Return the photos that may show one of some people."""
        first, last = np.searchsorted(self.people, people), np.searchsorted(self.people, people, side="right")
        rows = np.concatenate([np.arange(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True)])
        return _showing(self.photo_ids[rows], self.probabilities[rows])


_OF_DATABASES: Final[WeakKeyDictionary[Database, KnownFaces]] = WeakKeyDictionary()


def known_faces(database: Database, session: Session) -> KnownFaces:
    """Return the faces of all people with a name, as the session sees them."""
    now = state_of(session)
    found = _OF_DATABASES.get(database)
    if found is None or found.state != now:
        rows = session.execute(text(_FACES)).all()
        people = np.array([row[0] for row in rows], np.int64)
        order = np.argsort(people, kind="stable")
        photo_ids = np.array([row[1] for row in rows], np.int64)[order]
        probabilities = np.array([row[2] for row in rows], np.float64)[order]
        found = KnownFaces(now, people[order], photo_ids, probabilities, _showing(photo_ids, probabilities))
        _OF_DATABASES[database] = found
    return found


def faces_that_are_known(database: Database, session: Session) -> KnownFaces | None:
    """Return the same if it is at hand: reading all of them takes longer than looking for one person's."""
    found = _OF_DATABASES.get(database)
    return found if found is not None and found.state == state_of(session) else None


def _showing(photo_ids: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Showing:
    """Return photos by the sums of the probabilities of their faces: one or more happens no more often."""
    photos, inverse = np.unique(photo_ids, return_inverse=True)
    at_most = np.minimum(np.bincount(inverse.reshape(-1), probabilities, len(photos)), 1.0)
    order = np.lexsort((photos, -at_most))
    return Showing(photos[order], at_most[order])
