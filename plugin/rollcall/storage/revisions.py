"""Numbers of what changed last, so that what is kept beside the database can tell which photos it has to read again.

Every transaction that changes the faces, labels, capture time or path of photos takes the next number, and writes it
into the rows of these photos. A number is never used again, not even when its photo is deleted.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import event, insert, inspect, select, update
from sqlalchemy.orm import Session

from rollcall.storage.tables import MetaRow, PhotoRow

_KEY: Final = "revision"
_TAKEN: Final = "rollcall revision"
_WATCHED: Final = ("root_id", "path", "taken_local", "face_count")


def newest(session: Session) -> int:
    """Return the newest number that a session sees; 0 if nothing has changed yet."""
    value = session.scalar(select(MetaRow.value).where(MetaRow.key == _KEY))
    return 0 if value is None else int(value)


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


@event.listens_for(Session, "before_flush")
def _mark_changed(session: Session, *_: object) -> None:
    """Write the number into the rows whose path or capture time a session changes; statements write it themselves."""
    for row in session.dirty:
        if isinstance(row, PhotoRow) and any(inspect(row).attrs[name].history.has_changes() for name in _WATCHED):
            row.revision = take(session)
