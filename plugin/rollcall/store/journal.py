"""What happened, kept for hosts that ask from time to time: the view v1_events."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from rollcall.store.photos import now
from rollcall.store.tables import EventRow

Kind = Literal[
    "photo_indexed",
    "photo_failed",
    "photo_moved",
    "photo_missing",
    "photo_forgotten",
    "face_forgotten",
    "embeddings_forgotten",
    "tags_changed",
    "review_needed",
    "corrected",
]
_NOTED: Final = "rollcall events"
#: So many of the newest events are kept: a host that asks more rarely looks at everything anew.
KEPT: Final = 1_000_000


class Noted(NamedTuple):
    """One event."""

    kind: Kind
    photo_id: int | None
    face_id: int | None


def note(session: Session, kind: Kind, photo_id: int | None, face_id: int | None = None) -> None:
    """Add an event, once in a transaction; it is seen when the transaction that it tells of is committed."""
    noted: dict[Noted, None] = session.info.setdefault(_NOTED, {})
    one = Noted(kind, photo_id, face_id)
    if one not in noted:
        noted[one] = None
        session.execute(insert(EventRow).values(happened_at=now(), kind=kind, photo_id=photo_id, face_id=face_id))


def noted(session: Session) -> list[Noted]:
    """Return what a session has noted, in its order."""
    return list(session.info.get(_NOTED, ()))


def prune(session: Session, keep: int = KEPT) -> None:
    """Drop all but the newest events."""
    newest = session.scalar(select(func.max(EventRow.id))) or 0
    session.execute(delete(EventRow).where(EventRow.id <= newest - keep))
