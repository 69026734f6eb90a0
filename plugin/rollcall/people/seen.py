"""What is counted of people over all of their faces, kept for as long as it holds.

To count the photos of fifty people is to look up tens of thousands of faces; a commit concerns a few of them. What is
kept of a person holds while their faces are the same, which an index tells, and none of their photos took another
revision, which a change of capture time, of a face that is shown or of a dismissal gives it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, bindparam, select, text
from sqlalchemy.orm import Session

from rollcall.storage import revisions
from rollcall.storage.tables import FaceRow, PhotoRow, VerdictRow

#: People of whom counts are kept, those asked for last, and the faces that they have at most: about 20 MB.
_MOST: Final = 500
_MOST_FACES: Final = 1_000_000
#: With more changed photos than this everything is counted again.
_MOST_CHANGED: Final = 2_000

_LISTED: Final = """
SELECT w.person_id, {joined} FROM face_people w WHERE w.person_id IN :ids GROUP BY w.person_id
"""
_FACES: Final = """
SELECT w.person_id, w.state, f.id, f.photo_id, p.taken_local
FROM face_people w JOIN faces f ON f.id = w.face_id JOIN photos p ON p.id = f.photo_id
WHERE w.person_id IN :ids
"""
_OF_PHOTOS: Final = """
SELECT f.id, f.photo_id, f.present FROM faces f WHERE f.photo_id IN (SELECT id FROM photos WHERE revision > :since)
"""


class Seen(NamedTuple):
    """What is counted of a person's faces that are shown."""

    faces: int = 0
    photos: int = 0
    proposed: int = 0
    first_seen: str | None = None  # capture times, ISO 8601
    last_seen: str | None = None
    first_face: int | None = None  # of the lowest number


class _Kept(NamedTuple):
    """What was counted, and of what."""

    seen: Seen
    listed: str  # all faces with their states, as the index lists them
    photo_ids: NDArray[np.int64]  # of all these faces, also of those that are not shown
    revision: int


class SeenPeople:
    """Counts of one library. May be used from any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._absent: tuple[int, frozenset[int]] | None = None
        self._lock = threading.Lock()

    def of(self, session: Session, person_ids: Sequence[int]) -> dict[int, Seen]:
        """Return what is counted of some people, of at most as many as a statement takes; not of those without faces.

        Parameters
        ----------
        person_ids
            Their numbers.
        """
        now = revisions.newest(session)
        listed = _listed(session, person_ids)
        with self._lock:
            known = {one: self._kept[one] for one in listed if one in self._kept}
        holding = {one: kept for one, kept in known.items() if kept.listed == listed[one] and kept.revision <= now}
        for one in _changed(session, holding):
            del holding[one]
        counted = _counted(session, [one for one in listed if one not in holding], listed, now)
        with self._lock:
            for one, kept in {**holding, **counted}.items():
                self._kept[one] = kept._replace(revision=now)
                self._kept.move_to_end(one)
            self._forget()
        return {one: kept.seen for one, kept in {**holding, **counted}.items() if kept.seen.faces}

    def _forget(self) -> None:
        faces = sum(len(kept.photo_ids) for kept in self._kept.values())
        while self._kept and (len(self._kept) > _MOST or faces > _MOST_FACES):
            _, kept = self._kept.popitem(last=False)
            faces -= len(kept.photo_ids)

    def absent(self, session: Session) -> frozenset[int]:
        """Return the faces that are kept although their photo shows them no more, such as those with corrections."""
        now = revisions.newest(session)
        with self._lock:
            known = self._absent
        if known is None or known[0] > now:
            found = frozenset(session.scalars(select(FaceRow.id).where(~FaceRow.present)))
        else:
            faces = session.execute(text(_OF_PHOTOS), {"since": known[0]}).all()
            found = known[1] - {row[0] for row in faces} | {row[0] for row in faces if not row[2]}
        with self._lock:
            self._absent = (now, found)
        return found


_OF_ENGINES: Final[WeakKeyDictionary[Any, SeenPeople]] = WeakKeyDictionary()


def seen_people_of(session: Session) -> SeenPeople:
    """Return what is counted of the people of a session's database."""
    return _OF_ENGINES.setdefault(session.get_bind(), SeenPeople())


def hidden_faces(session: Session) -> set[int]:
    """Return the faces that are not shown: those that are absent, and those that somebody dismissed."""
    dismissed = session.scalars(select(VerdictRow.face_id).where(VerdictRow.dismissed))
    return {*seen_people_of(session).absent(session), *dismissed}


def _bound(statement: str, numbers: Sequence[int]) -> Any:
    ids: BindParameter[list[int]] = bindparam("ids", list(numbers), expanding=True)
    return text(statement).bindparams(ids)


def _listed(session: Session, person_ids: Sequence[int]) -> dict[int, str]:
    """Return the faces of people with their states in one text each, which one index has."""
    joined = "GROUP_CONCAT(w.state || w.face_id)"
    if session.get_bind().dialect.name == "postgresql":
        joined = "STRING_AGG(w.state || CAST(w.face_id AS TEXT), ',' ORDER BY w.state, w.face_id)"
    rows = session.execute(_bound(_LISTED.format(joined=joined), person_ids))
    return {int(row[0]): str(row[1]) for row in rows}


def _changed(session: Session, known: dict[int, _Kept]) -> list[int]:
    """Return those of some people of whom a photo changed since they were counted."""
    if not known:
        return []
    since = min(kept.revision for kept in known.values())
    rows = session.execute(
        select(PhotoRow.id, PhotoRow.revision).where(PhotoRow.revision > since).limit(_MOST_CHANGED + 1)
    ).all()
    if len(rows) > _MOST_CHANGED:
        return list(known)
    photo_ids, changed = (np.array([row[column] for row in rows], np.int64) for column in (0, 1))
    return [
        one
        for one, kept in known.items()
        if len(rows) and np.isin(photo_ids[changed > kept.revision], kept.photo_ids).any()
    ]


def _counted(session: Session, person_ids: Sequence[int], listed: dict[int, str], revision: int) -> dict[int, _Kept]:
    """Return what is counted of some people, by a look at each of their faces."""
    if not person_ids:
        return {}
    hidden = hidden_faces(session)
    found: dict[int, list[Any]] = {one: [] for one in person_ids}
    for row in session.execute(_bound(_FACES, person_ids)):
        found[row[0]].append(row)
    counted = {}
    for one, rows in found.items():
        shown = [row for row in rows if row[2] not in hidden]
        taken = [row[4] for row in shown if row[4] is not None]
        seen = Seen(
            len(shown),
            len({row[3] for row in shown}),
            sum(row[1] == "proposed" for row in shown),
            min(taken, default=None),
            max(taken, default=None),
            min((row[2] for row in shown), default=None),
        )
        photo_ids = np.unique(np.array([row[3] for row in rows], np.int64))
        counted[one] = _Kept(seen, listed[one], photo_ids, revision)
    return counted
