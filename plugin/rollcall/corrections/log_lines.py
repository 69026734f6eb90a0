"""Lines of the log as the projection reads them, and which of them are effective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from rollcall.storage.tables import CorrectionRow

#: The authors of lines that follow from what people did in other programs.
HOST_AUTHORS: Final = frozenset({"xmp"})
#: Kinds of lines that change whether other lines are effective.
UNDO_KINDS: Final = ("undo", "redo")


class LogLine(NamedTuple):
    """The columns of a line of the log that the projection needs."""

    uid: str
    kind: str
    value: Mapping[str, Any]
    made_by: str = ""
    made_at: str = ""


def effective(log: Iterable[LogLine]) -> list[LogLine]:
    """Return the corrections of a log (oldest first) that are not undone, in their order."""
    lines = list(log)
    undone = undone_uids(lines)
    return [line for line in lines if line.kind not in UNDO_KINDS and line.uid not in undone]


def undone_uids(log: Iterable[LogLine]) -> set[str]:
    """Return the uids of the lines of a log (oldest first) that are undone at its end."""
    undone: set[str] = set()
    for line in log:
        if line.kind == "undo":
            undone.add(line.value["of"])
        elif line.kind == "redo":
            undone.discard(line.value["of"])
    return undone


def log_lines(session: Session, where: ColumnElement[bool]) -> list[LogLine]:
    """Return the lines of the log that meet a condition, oldest first."""
    rows = session.execute(
        select(CorrectionRow.uid, CorrectionRow.kind, CorrectionRow.value, CorrectionRow.made_by, CorrectionRow.made_at)
        .where(where)
        .order_by(CorrectionRow.made_at, CorrectionRow.id)
    )
    return [LogLine(*row) for row in rows]


def logs_of_photos(session: Session, photo_ids: Sequence[int]) -> dict[int, list[LogLine]]:
    """Return the log of each of some photos, oldest first."""
    columns = (CorrectionRow.uid, CorrectionRow.kind, CorrectionRow.value, CorrectionRow.made_by, CorrectionRow.made_at)
    rows = session.execute(
        select(CorrectionRow.photo_id, *columns)
        .where(CorrectionRow.photo_id.in_(photo_ids))
        .order_by(CorrectionRow.made_at, CorrectionRow.id)
    ).all()
    found: dict[int, list[LogLine]] = {photo_id: [] for photo_id in photo_ids}
    for photo_id, *line in rows:
        found[photo_id].append(LogLine(*line))
    return found


def of_a_photo() -> ColumnElement[bool]:
    """Return the condition of lines that belong to a photo, which may have to be found; those of people do not."""
    return or_(
        CorrectionRow.photo_id.is_not(None), CorrectionRow.content_hash.is_not(None), CorrectionRow.path.is_not(None)
    )
