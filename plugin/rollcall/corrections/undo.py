"""Undo corrections and redo them, by lines that are added to the log."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from rollcall.corrections.album_kinds import ALBUM_KINDS
from rollcall.corrections.albums import project_albums
from rollcall.corrections.log import CorrectionResult, add_lines, entry_of, next_moment
from rollcall.corrections.log_lines import UNDO_KINDS, LogLine, effective, undone_uids
from rollcall.corrections.parting import mark_parted, put_back
from rollcall.corrections.people import project_people, recall_number
from rollcall.corrections.person_kinds import PERSON_KINDS
from rollcall.corrections.projection import project_faces, project_photos
from rollcall.errors import ConflictError, NotFoundError
from rollcall.sentences import Sentence
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import chunks
from rollcall.storage.tables import CorrectionRow, PhotoRow

#: Lines of the log that are read at a time.
_AT_ONCE: Final = 200


def undo(
    session: Session,
    settings: TagSettings,
    *,
    by: str | None = None,
    origin: str | None = None,
    batches: Collection[str] | None = None,
    undone_from: str | None = None,
) -> CorrectionResult:
    """Undo the newest batch of corrections that is effective.

    Parameters
    ----------
    by, origin, batches
        Whose, from where, and which: only those are undone; None: any.
    undone_from
        Where this undoing comes from, for `redo`.

    Raises
    ------
    ConflictError
        If nothing is left to be undone.
    """
    undone = _undone(session)
    batch = _newest(session, undone, by, origin, batches)
    if batch is not None:
        rows = [row for row in _of_batches(session, [batch]) if row.uid not in undone]
        return _flip(session, rows, "undo", settings, undone_from)
    if _newest(session, undone) is None:
        raise ConflictError(Sentence("there is nothing left to undo; `rollcall corrections list` shows the log"))
    raise ConflictError(
        Sentence(
            "nothing of your own is left to undo here; `rollcall corrections list` shows the log, and `rollcall"
            " corrections undo --any` undoes the last correction, whoever made it"
        )
    )


def redo(session: Session, settings: TagSettings, *, origin: str | None = None) -> CorrectionResult:
    """Redo the batch that was undone last: from `origin`, whatever was done elsewhere since; None: from anywhere.

    Raises
    ------
    ConflictError
        If nothing was undone since the last correction.
    """
    flips = _flips(session)
    own = [CorrectionRow.origin == origin] if origin is not None else []
    newest = session.execute(
        select(CorrectionRow.made_at, CorrectionRow.id)
        .where(CorrectionRow.kind.not_in(UNDO_KINDS), *own)
        .order_by(CorrectionRow.made_at.desc(), CorrectionRow.id.desc())
        .limit(1)
    ).first()
    # As in any editor: undone batches lie on a stack, and a new correction clears it.
    since = [
        flip
        for flip in flips
        if origin in (None, flip.origin) and (newest is None or (flip.made_at, flip.id) > tuple(newest))
    ]
    batch_of: dict[str, str] = {}
    for part in chunks(list({flip.of for flip in since})):
        known = session.execute(select(CorrectionRow.uid, CorrectionRow.batch).where(CorrectionRow.uid.in_(part)))
        batch_of |= {str(uid): str(batch) for uid, batch in known.all()}
    stack: list[str] = []
    for flip in since:
        batch = batch_of.get(flip.of)
        if batch is not None and flip.kind == "redo":
            stack = [one for one in stack if one != batch]
        elif batch is not None and batch not in stack:
            stack.append(batch)
    undone = undone_uids(map(_Flip.line, flips))
    for batch in reversed(stack):
        # What was done again elsewhere meanwhile is passed over.
        if rows := [row for row in _of_batches(session, [batch], flips_too=True) if row.uid in undone]:
            return _flip(session, rows, "redo", settings, origin)
    raise ConflictError(Sentence("there is nothing to redo: nothing was undone, or a correction was made since"))


def restore(session: Session, to: int, settings: TagSettings) -> CorrectionResult:
    """Undo and redo corrections until those are effective that were when line `to` of the log was the newest.

    0 undoes all corrections. A restore can be undone by another one.

    Raises
    ------
    NotFoundError
        If the log has no such line.
    """
    if to != 0 and session.scalar(select(CorrectionRow.id).where(CorrectionRow.id == to)) is None:
        raise NotFoundError("line", to)
    rows = session.execute(
        select(CorrectionRow.id, CorrectionRow.uid, CorrectionRow.kind).order_by(
            CorrectionRow.made_at, CorrectionRow.id
        )
    ).all()
    of = {flip.id: flip.of for flip in _flips(session)}
    lines = {number: LogLine(uid, kind, {"of": of.get(number)}) for number, uid, kind in rows}
    wanted = {line.uid for line in effective(line for number, line in lines.items() if number <= to)}
    present = {line.uid for line in effective(lines.values())}
    result = _flip(session, _of_uids(session, present - wanted), "undo", settings)
    result.add(_flip(session, _of_uids(session, wanted - present), "redo", settings))
    return result


def undo_batches(session: Session, batches: Collection[str], settings: TagSettings) -> CorrectionResult:
    """Undo what is effective of some batches, wherever in the log they stand; later corrections stay."""
    undone = _undone(session)
    rows = [row for row in _of_batches(session, sorted(batches)) if row.uid not in undone]
    return _flip(session, rows, "undo", settings)


# ---- Reading the log: what is long is left in the database


class _Flip(NamedTuple):
    """A line of the log that undoes or redoes another one."""

    id: int
    made_at: str
    kind: str
    of: str  # the uid of that line
    origin: str | None

    def line(self) -> LogLine:
        return LogLine("", self.kind, {"of": self.of})


def _flips(session: Session) -> list[_Flip]:
    """Return the lines that undo and redo, oldest first."""
    columns = (CorrectionRow.id, CorrectionRow.made_at, CorrectionRow.kind, CorrectionRow.value, CorrectionRow.origin)
    rows = session.execute(select(*columns).where(CorrectionRow.kind.in_(UNDO_KINDS)).order_by(*columns[1::-1])).all()
    return [_Flip(number, made_at, kind, str(value["of"]), origin) for number, made_at, kind, value, origin in rows]


def _undone(session: Session) -> set[str]:
    return undone_uids(map(_Flip.line, _flips(session)))


def _newest(
    session: Session,
    undone: Collection[str],
    by: str | None = None,
    origin: str | None = None,
    batches: Collection[str] | None = None,
) -> str | None:
    """Return the batch of the newest line that is effective, of some author, from somewhere or of some batches."""
    wanted: list[ColumnElement[bool]] = [CorrectionRow.kind.not_in(UNDO_KINDS)]
    if by is not None:
        wanted.append(CorrectionRow.made_by == by)
    if origin is not None:
        wanted.append(CorrectionRow.origin == origin)
    rows = session.execute(
        select(CorrectionRow.uid, CorrectionRow.batch)
        .where(*wanted)
        .order_by(CorrectionRow.made_at.desc(), CorrectionRow.id.desc())
        .execution_options(yield_per=_AT_ONCE)
    )
    with closing(rows):
        for uid, batch in rows:
            if uid not in undone and (batches is None or batch in batches):
                return str(batch)
    return None


def _of_batches(session: Session, batches: Sequence[str], *, flips_too: bool = False) -> list[CorrectionRow]:
    """Return the lines of some batches, oldest first, without those that undo and redo unless asked for."""
    rows: list[CorrectionRow] = []
    for part in chunks(batches):
        rows += session.scalars(select(CorrectionRow).where(CorrectionRow.batch.in_(part)))
    return sorted((row for row in rows if flips_too or row.kind not in UNDO_KINDS), key=_age)


def _of_uids(session: Session, uids: Collection[str]) -> list[CorrectionRow]:
    """Return some lines, oldest first."""
    rows: list[CorrectionRow] = []
    for part in chunks(sorted(uids)):
        rows += session.scalars(select(CorrectionRow).where(CorrectionRow.uid.in_(part)))
    return sorted(rows, key=_age)


def _age(row: CorrectionRow) -> tuple[str, int]:
    return row.made_at, row.id


def _flip(
    session: Session, rows: Sequence[CorrectionRow], kind: str, settings: TagSettings, origin: str | None = None
) -> CorrectionResult:
    """Add a line of `kind` undo or redo to the log for each of some rows, as one batch that comes from `origin`."""
    result = CorrectionResult(batch=uuid.uuid4().hex, count=len(rows))
    result.entries = [entry_of(row, {row.uid} if kind == "undo" else set()) for row in rows]
    moment = next_moment(session)
    lines: list[dict[str, Any]] = []
    for row in rows:
        lines.append(
            {
                "uid": uuid.uuid4().hex,
                "batch": result.batch,
                "made_at": moment,
                "made_by": row.made_by,
                "kind": kind,
                "photo_id": row.photo_id,
                "face_id": row.face_id,
                "content_hash": row.content_hash,
                "path": row.path,
                "box": row.box,
                "video_time": row.video_time,
                "perceptual_hash": row.perceptual_hash,
                "face_uid": row.face_uid,
                "value": {"of": row.uid},
                "origin": origin,
            }
        )
        if row.photo_id is not None:
            result.photo_ids.add(row.photo_id)
            change_feed.record(session, ChangeKind.CORRECTED, row.photo_id, row.face_id)
    add_lines(session, lines)
    if any(row.kind in PERSON_KINDS for row in rows):
        merges = [row for row in rows if row.kind == "person_merge"]
        for row in merges if kind == "undo" else ():
            recall_number(session, str(row.value["other"]), (row.value_before or {}).get("number"))
        project_people(session, merges_undone=bool(merges))
        for row in merges if kind == "undo" else ():
            mark_parted(session, str(row.value["person"]), rows)
    if any(row.kind in (*PERSON_KINDS, *ALBUM_KINDS) for row in rows):
        project_albums(session)
    result.undescribed |= project_faces(session, {row.face_id for row in rows if row.face_id is not None})
    if kind == "undo" and not any(row.kind == "person_merge" for row in rows):
        # The faces of people who were merged go to whom they fit.
        put_back(session, rows)
    there: list[int] = []
    for part in chunks(sorted(result.photo_ids)):
        there += session.scalars(select(PhotoRow.id).where(PhotoRow.id.in_(part)))
    project_photos(session, there, settings, with_faces=there)
    return result
