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

_LISTED: Final = "SELECT w.person_id, {faces} FROM face_people w WHERE w.person_id IN :ids GROUP BY w.person_id"
#: A condition on a face, named f.
SHOWN_FACES: Final = "f.present AND f.id NOT IN (SELECT face_id FROM verdicts WHERE dismissed)"
#: Counted in one statement: as rows, the faces of twenty people take as long again.
_COUNTED: Final = f"""
SELECT w.person_id, SUM(CASE WHEN {SHOWN_FACES} THEN 1 ELSE 0 END),
    COUNT(DISTINCT CASE WHEN {SHOWN_FACES} THEN f.photo_id END),
    SUM(CASE WHEN w.state = 'proposed' AND {SHOWN_FACES} THEN 1 ELSE 0 END),
    MIN(CASE WHEN {SHOWN_FACES} THEN p.taken_local END), MAX(CASE WHEN {SHOWN_FACES} THEN p.taken_local END),
    MIN(CASE WHEN {SHOWN_FACES} THEN f.id END), {{photos}}
FROM face_people w JOIN faces f ON f.id = w.face_id JOIN photos p ON p.id = f.photo_id
WHERE w.person_id IN :ids GROUP BY w.person_id
"""
#: How the dialects put texts together, with commas between them.
_JOINED: Final = {
    "sqlite": {"faces": "GROUP_CONCAT(w.state || w.face_id)", "photos": "GROUP_CONCAT(f.photo_id)"},
    "postgresql": {
        "faces": "STRING_AGG(w.state || CAST(w.face_id AS TEXT), ',' ORDER BY w.state, w.face_id)",
        "photos": "STRING_AGG(CAST(f.photo_id AS TEXT), ',')",
    },
}
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
        # One index has the faces of people with their states.
        listed = {int(row[0]): str(row[1]) for row in _rows(session, _LISTED, person_ids)}
        with self._lock:
            known = {one: self._kept[one] for one in listed if one in self._kept}
        holding = {one: kept for one, kept in known.items() if kept.listed == listed[one] and kept.revision <= now}
        for one in _changed(session, holding):
            del holding[one]
        counted = _counted(session, {one: faces for one, faces in listed.items() if one not in holding}, now)
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


def _rows(session: Session, statement: str, person_ids: Sequence[int]) -> Sequence[Any]:
    ids: BindParameter[list[int]] = bindparam("ids", list(person_ids), expanding=True)
    joined = _JOINED[session.get_bind().dialect.name]
    return session.execute(text(statement.format(**joined)).bindparams(ids)).all()


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


def _counted(session: Session, listed: dict[int, str], revision: int) -> dict[int, _Kept]:
    """Return what is counted of some people, by a look at each of their faces."""
    if not listed:
        return {}
    return {
        row[0]: _Kept(Seen(*row[1:-1]), listed[row[0]], np.array(row[-1].split(","), np.int64), revision)
        for row in _rows(session, _COUNTED, list(listed))
    }
