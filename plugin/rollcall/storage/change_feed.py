"""The change feed: committed changes, stored for hosts that poll the view v1_events."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from rollcall.storage.bulk import insert_rows
from rollcall.storage.library import now
from rollcall.storage.tables import EventRow


class ChangeKind(StrEnum):
    """The kinds of changes; their texts are part of the contract with hosts."""

    PHOTO_INDEXED = "photo_indexed"
    PHOTO_FAILED = "photo_failed"
    PHOTO_MOVED = "photo_moved"
    PHOTO_MISSING = "photo_missing"
    PHOTO_ERASED = "photo_forgotten"
    FACE_ERASED = "face_forgotten"
    EMBEDDINGS_ERASED = "embeddings_forgotten"
    TAGS_CHANGED = "tags_changed"
    REVIEW_NEEDED = "review_needed"
    CORRECTED = "corrected"
    PEOPLE_CHANGED = "people_changed"
    ALBUMS_CHANGED = "albums_changed"


_PENDING: Final = "rollcall changes"
#: How many of the newest changes are retained: a host that polls less often has to read everything again.
RETAINED: Final = 1_000_000


class Change(NamedTuple):
    """One change; `face_id` is None where it concerns the whole photo, `photo_id` where it concerns all photos."""

    kind: ChangeKind
    photo_id: int | None
    face_id: int | None


def record(session: Session, kind: ChangeKind, photo_id: int | None, face_id: int | None = None) -> None:
    """Record a change, once in a transaction; readers see it when the transaction is committed."""
    _pending(session).setdefault(Change(kind, photo_id, face_id), now())


def write(session: Session) -> list[Change]:
    """Write the changes that a session has recorded and return them in their order.

    Called at the end of a transaction: one insert for all costs a tenth of one for each.
    """
    pending = _pending(session)
    insert_rows(session, EventRow, [{"happened_at": at, **change._asdict()} for change, at in pending.items()])
    return list(pending)


def _pending(session: Session) -> dict[Change, str]:
    found: dict[Change, str] = session.info.setdefault(_PENDING, {})
    return found


def prune(session: Session, keep: int = RETAINED) -> None:
    """Delete all but the `keep` newest changes."""
    newest = session.scalar(select(func.max(EventRow.id))) or 0
    session.execute(delete(EventRow).where(EventRow.id <= newest - keep))
