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
    _of(session).setdefault(Noted(kind, photo_id, face_id), now())


def write(session: Session) -> list[Noted]:
    """Write what a session has noted, at its end: all at once costs a tenth of one by one. Return it, in its order."""
    noted = _of(session)
    if noted:
        session.execute(
            insert(EventRow.__table__),  # type: ignore[arg-type]
            [{"happened_at": at, **one._asdict()} for one, at in noted.items()],
        )
    return list(noted)


def _of(session: Session) -> dict[Noted, str]:
    found: dict[Noted, str] = session.info.setdefault(_NOTED, {})
    return found


def prune(session: Session, keep: int = KEPT) -> None:
    """Drop all but the newest events."""
    newest = session.scalar(select(func.max(EventRow.id))) or 0
    session.execute(delete(EventRow).where(EventRow.id <= newest - keep))
