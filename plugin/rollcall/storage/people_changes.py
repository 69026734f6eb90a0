"""Of which faces who they are, or who they are not, was written, so that what is kept in memory can follow.

Triggers of the database add a row for each row that is written (revision 0016), whichever process writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text
from sqlalchemy.orm import Session

from rollcall.storage.tables import PeopleChangeRow

#: The newest rows, which are kept.
KEPT: Final = 20_000
# Made once: to put them together takes longer than to run them. Both ends in one aggregate would read all rows.
_ENDS: Final = select(
    select(func.min(PeopleChangeRow.id)).scalar_subquery(), select(func.max(PeopleChangeRow.id)).scalar_subquery()
)
_SINCE: Final = (
    select(PeopleChangeRow.face_id).where(PeopleChangeRow.id > bindparam("then")).distinct().limit(bindparam("most"))
)
_OLD: Final = delete(PeopleChangeRow).where(PeopleChangeRow.id <= bindparam("last"))
_TRIGGERS: Final = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'face_people'")
_OWNED: Final = text("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'face_people'::regclass")


def newest(session: Session) -> int:
    """Return the number of the newest change that a session sees; 0 before the first."""
    _, last = session.connection().execute(_ENDS).one()
    return int(last or 0)


def since(session: Session, then: int, most: int) -> list[int] | None:
    """Return the faces that were written after a change; None if that is not known, or they are more than `most`."""
    first, last = session.connection().execute(_ENDS).one()
    if (last or 0) <= then:
        # Fewer changes than there were: another database stands in its place.
        return [] if (last or 0) == then else None
    if first > then + 1:
        return None
    found = list(session.connection().execute(_SINCE, {"then": then, "most": most + 1}).scalars())
    return None if len(found) > most else found


def trim(session: Session) -> None:
    """Forget changes so long ago that whoever has not followed them reads everything again."""
    session.flush()
    connection = session.connection()
    first, last = connection.execute(_ENDS).one()
    # Some at a time: to delete a few after every photo takes longer.
    if last is not None and last - first >= KEPT + KEPT // 10:
        connection.execute(_OLD, {"last": last - KEPT})


@contextmanager
def of_many(session: Session, count: int) -> Iterator[None]:
    """Write so many rows of `face_people`: more than are kept here are told as one change, of everything.

    The triggers are away meanwhile, which no other process sees: the transaction ends with them.
    """
    session.flush()
    connection = session.connection()
    if count <= KEPT or not _may_switch(connection):
        yield
        return
    back = _switch_off(connection)
    yield
    session.flush()
    for statement in back:
        connection.exec_driver_sql(statement)
    # A number is left out, so that whoever follows the changes reads everything again.
    connection.execute(insert(PeopleChangeRow), [{"face_id": 0}, {"face_id": 0}])
    connection.execute(delete(PeopleChangeRow).where(PeopleChangeRow.id < newest(session)))


def _may_switch(connection: Connection) -> bool:
    """Return whether triggers can be switched off: on a server a role that does not own the table may write to it."""
    return connection.dialect.name == "sqlite" or bool(connection.execute(_OWNED).scalar())


def _switch_off(connection: Connection) -> list[str]:
    """Switch the triggers off until the statements that are returned are run."""
    if connection.dialect.name != "sqlite":
        # Writers wait for each other anyway, and readers do not wait for this.
        connection.exec_driver_sql("ALTER TABLE face_people DISABLE TRIGGER face_people_changed")
        return ["ALTER TABLE face_people ENABLE TRIGGER face_people_changed"]
    triggers = connection.execute(_TRIGGERS).all()
    for name, _ in triggers:
        connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    return [statement for _, statement in triggers]
