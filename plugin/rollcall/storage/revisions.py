"""Numbers of what changed last, so that what is kept beside the database can tell which photos it has to read again.

Every transaction that changes the faces, labels, capture time or path of photos takes the next number, and writes it
into the rows of these photos. A number is never used again, not even when its photo is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, delete, event, insert, inspect, select, update
from sqlalchemy.orm import Session

from rollcall.storage.tables import FaceRow, MetaRow, PhotoRow

_KEY: Final = "revision"
#: The one up to which grouping has looked at the faces of all photos.
_GROUPED: Final = "people grouped"
#: The constants by which all faces were grouped.
_GROUPED_BY: Final = "people grouped by"
_TAKEN: Final = "rollcall revision"
#: Faces of one statement: SQLite before 3.32 takes no more than 999 values.
_FACES: Final = 500
_WATCHED: Final = ("root_id", "path", "taken_local", "face_count")
# Made once: each of a few new photos needs them, and to put them together takes longer than to run them.
_VALUE: Final = select(MetaRow.value).where(MetaRow.key == bindparam("of"))
_SET: Final = update(MetaRow).where(MetaRow.key == bindparam("of")).values(value=bindparam("number"))
#: The version of the constants by which all faces were grouped, to be read with other things; None if it is not known.
GROUPED_BY: Final = select(MetaRow.value).where(MetaRow.key == _GROUPED_BY).scalar_subquery()


def newest(session: Session) -> int:
    """Return the newest number that a session sees; 0 if nothing has changed yet."""
    return _number(session, _KEY) or 0


def _number(session: Session, key: str) -> int | None:
    # Numbers are written by statements alone, so nothing has to be flushed; a flush may be what asks.
    value: str | None = session.connection().execute(_VALUE, {"of": key}).scalar()
    return None if value is None else int(value)


def take(session: Session) -> int:
    """Return the number of a session's transaction, for what it changes; the first call takes a new one."""
    taken: int | None = session.info.get(_TAKEN)
    if taken is None:
        # Writers take turns, so nobody else reads the number in between.
        taken = newest(session) + 1
        written = session.execute(update(MetaRow).where(MetaRow.key == _KEY).values(value=str(taken)))
        if not written.rowcount:  # type: ignore[attr-defined]
            session.execute(insert(MetaRow).values(key=_KEY, value=str(taken)))
        session.info[_TAKEN] = taken
    return taken


def mark_faces(session: Session, face_ids: Sequence[int]) -> None:
    """Write the number of a session's transaction into the rows of the photos of some faces."""
    revision = take(session)
    for start in range(0, len(face_ids), _FACES):
        photo_ids = select(FaceRow.photo_id).where(FaceRow.id.in_(face_ids[start : start + _FACES]))
        session.execute(update(PhotoRow).where(PhotoRow.id.in_(photo_ids)).values(revision=revision))


def grouped(session: Session) -> int | None:
    """Return the number up to which grouping has looked at all faces; None if that is not known."""
    return _number(session, _GROUPED)


def set_grouped(session: Session, revision: int | None) -> None:
    """Remember up to which number grouping has looked at all faces; with None it looks for any that it has not."""
    if revision is None:
        session.connection().execute(delete(MetaRow).where(MetaRow.key == _GROUPED))
    else:
        _write(session, _GROUPED, str(revision))


def set_grouped_by(session: Session, version: str) -> None:
    """Remember the version of the constants by which all faces are grouped now."""
    _write(session, _GROUPED_BY, version)


def _write(session: Session, key: str, value: str) -> None:
    connection = session.connection()
    if not connection.execute(_SET, {"of": key, "number": value}).rowcount:
        connection.execute(insert(MetaRow).values(key=key, value=value))


@event.listens_for(Session, "before_flush")
def _mark_changed(session: Session, *_: object) -> None:
    """Write the number into the rows whose path or capture time a session changes; statements write it themselves."""
    for row in session.dirty:
        if isinstance(row, PhotoRow) and any(inspect(row).attrs[name].history.has_changes() for name in _WATCHED):
            row.revision = take(session)
