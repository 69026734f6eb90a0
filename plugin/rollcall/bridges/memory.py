"""What was sent to each server: rows that are written before and after each request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from rollcall.bridges.base import Name, Remembered
from rollcall.storage.database import Database
from rollcall.storage.library import now
from rollcall.storage.tables import BridgeItemRow

#: Beside the values of an item: no bridge sends it.
_PATH: Final = "@path"


class Memory:
    """What is remembered of one server.

    Parameters
    ----------
    database
        Where it is stored; each call is a transaction of its own.
    bridge
        The name of the bridge.
    server
        What tells servers of one kind apart, such as the address.
    """

    def __init__(self, database: Database, bridge: str, server: str) -> None:
        self.database, self.bridge, self.server = database, bridge, server

    def load(self) -> dict[Name, Remembered]:
        """Return everything that is remembered, in the order in which it was first sent."""
        with self.database.read() as session:
            rows = session.scalars(
                select(BridgeItemRow)
                .where(BridgeItemRow.bridge == self.bridge, BridgeItemRow.server == self.server)
                .order_by(BridgeItemRow.id)
            )
            return {(row.kind, row.key): _remembered(row) for row in rows}

    def store(self, rows: Iterable[Remembered]) -> None:
        """Store rows in the place of those of the same kind and key."""
        with self.database.write() as session:
            for one in rows:
                put(session, self.bridge, self.server, one)

    def drop(self, rows: Iterable[Remembered]) -> None:
        """Remove rows."""
        with self.database.write() as session:
            for one in rows:
                remove(session, self.bridge, self.server, one)


def _remembered(row: BridgeItemRow) -> Remembered:
    value = dict(row.value)
    path = str(value.pop(_PATH, ""))
    return Remembered(row.kind, row.key, value, row.state, row.remote, row.before, path)


def put(session: Session, bridge: str, server: str, one: Remembered) -> None:
    """Store a row in the place of the one of the same kind and key."""
    found = session.scalar(select(BridgeItemRow).where(*_is(bridge, server, one)))
    if found is None:
        found = BridgeItemRow(bridge=bridge, server=server, kind=one.kind, key=one.key, sent_at=now())
        session.add(found)
    found.value, found.remote = dict(one.value), dict(one.remote)
    if one.path:
        found.value[_PATH] = one.path
    found.state = one.state
    found.before = None if one.before is None else dict(one.before)


def remove(session: Session, bridge: str, server: str, one: Remembered) -> None:
    """Remove a row."""
    session.execute(delete(BridgeItemRow).where(*_is(bridge, server, one)))


def _is(bridge: str, server: str, one: Remembered) -> tuple[ColumnElement[bool], ...]:
    return (
        BridgeItemRow.bridge == bridge,
        BridgeItemRow.server == server,
        BridgeItemRow.kind == one.kind,
        BridgeItemRow.key == one.key,
    )
