"""Undo corrections and redo them, by lines that are added to the log."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.corrections.album_kinds import ALBUM_KINDS
from rollcall.corrections.albums import project_albums
from rollcall.corrections.log import CorrectionResult, entry_of, next_moment
from rollcall.corrections.log_lines import UNDO_KINDS, LogLine, effective, undone_uids
from rollcall.corrections.parting import mark_parted, put_back
from rollcall.corrections.people import project_people
from rollcall.corrections.person_kinds import PERSON_KINDS
from rollcall.corrections.projection import project_faces, project_photo
from rollcall.errors import ConflictError, NotFoundError
from rollcall.sentences import Sentence
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.tables import CorrectionRow, PhotoRow


def undo(
    session: Session,
    settings: TagSettings,
    *,
    by: str | None = None,
    origin: str | None = None,
    batches: Collection[str] | None = None,
) -> CorrectionResult:
    """Undo the newest batch of corrections that is effective.

    Parameters
    ----------
    by, origin, batches
        Whose, from where, and which: only those are undone; None: any.

    Raises
    ------
    ConflictError
        If nothing is left to be undone.
    """
    log = _whole_log(session)
    undone = undone_uids(map(_log_line, log))
    left = [row for row in log if row.kind not in UNDO_KINDS and row.uid not in undone]
    own = [
        row
        for row in left
        if by in (None, row.made_by) and origin in (None, row.origin) and (batches is None or row.batch in batches)
    ]
    if not left:
        raise ConflictError(Sentence("there is nothing left to undo; `rollcall corrections list` shows the log"))
    if not own:
        raise ConflictError(
            Sentence(
                "nothing of your own is left to undo here; `rollcall corrections list` shows the log, and `rollcall"
                " corrections undo --any` undoes the last correction, whoever made it"
            )
        )
    last = own[-1]
    return _flip(session, [row for row in log if row.batch == last.batch and row.uid not in undone], "undo", settings)


def redo(session: Session, settings: TagSettings) -> CorrectionResult:
    """Redo the batch that was undone last.

    Raises
    ------
    ConflictError
        If nothing was undone since the last correction.
    """
    log = _whole_log(session)
    by_uid = {row.uid: row for row in log}
    # As in any editor: undone batches lie on a stack, and a new correction clears it.
    stack: list[str] = []
    for row in log:
        target = by_uid.get(str(row.value.get("of"))) if row.kind in UNDO_KINDS else None
        if row.kind == "undo" and target is not None:
            if target.batch not in stack:
                stack.append(target.batch)
        elif row.kind == "redo" and target is not None:
            stack = [batch for batch in stack if batch != target.batch]
        elif row.kind not in UNDO_KINDS:
            stack.clear()
    if not stack:
        raise ConflictError(Sentence("there is nothing to redo: nothing was undone, or a correction was made since"))
    undone = undone_uids(map(_log_line, log))
    return _flip(session, [row for row in log if row.batch == stack[-1] and row.uid in undone], "redo", settings)


def restore(session: Session, to: int, settings: TagSettings) -> CorrectionResult:
    """Undo and redo corrections until those are effective that were when line `to` of the log was the newest.

    0 undoes all corrections. A restore can be undone by another one.

    Raises
    ------
    NotFoundError
        If the log has no such line.
    """
    log = _whole_log(session)
    if to != 0 and all(row.id != to for row in log):
        raise NotFoundError("line", to)
    lines = {row.id: _log_line(row) for row in log}
    wanted = {line.uid for line in effective(line for number, line in lines.items() if number <= to)}
    present = {line.uid for line in effective(lines.values())}
    result = _flip(session, [row for row in log if row.uid in present - wanted], "undo", settings)
    result.add(_flip(session, [row for row in log if row.uid in wanted - present], "redo", settings))
    return result


def undo_batches(session: Session, batches: Collection[str], settings: TagSettings) -> CorrectionResult:
    """Undo what is effective of some batches, wherever in the log they stand; later corrections stay."""
    log = _whole_log(session)
    undone = undone_uids(map(_log_line, log))
    rows = [row for row in log if row.batch in batches and row.kind not in UNDO_KINDS and row.uid not in undone]
    return _flip(session, rows, "undo", settings)


def _log_line(row: CorrectionRow) -> LogLine:
    return LogLine(row.uid, row.kind, row.value)


def _whole_log(session: Session) -> list[CorrectionRow]:
    return list(session.scalars(select(CorrectionRow).order_by(CorrectionRow.made_at, CorrectionRow.id)))


def _flip(session: Session, rows: Sequence[CorrectionRow], kind: str, settings: TagSettings) -> CorrectionResult:
    """Add a line of `kind` undo or redo to the log for each of some rows, as one batch."""
    result = CorrectionResult(batch=uuid.uuid4().hex, count=len(rows))
    result.entries = [entry_of(row, {row.uid} if kind == "undo" else set()) for row in rows]
    moment = next_moment(session)
    for row in rows:
        session.add(
            CorrectionRow(
                uid=uuid.uuid4().hex,
                batch=result.batch,
                made_at=moment,
                made_by=row.made_by,
                kind=kind,
                photo_id=row.photo_id,
                face_id=row.face_id,
                content_hash=row.content_hash,
                path=row.path,
                box=row.box,
                video_time=row.video_time,
                perceptual_hash=row.perceptual_hash,
                face_uid=row.face_uid,
                value={"of": row.uid},
            )
        )
        if row.photo_id is not None:
            result.photo_ids.add(row.photo_id)
            change_feed.record(session, ChangeKind.CORRECTED, row.photo_id, row.face_id)
    session.flush()
    if any(row.kind in PERSON_KINDS for row in rows):
        merges = [row for row in rows if row.kind == "person_merge"]
        project_people(session, merges_undone=bool(merges))
        for row in merges if kind == "undo" else ():
            mark_parted(session, str(row.value["person"]), rows)
    if any(row.kind in (*PERSON_KINDS, *ALBUM_KINDS) for row in rows):
        project_albums(session)
    result.undescribed |= project_faces(session, {row.face_id for row in rows if row.face_id is not None})
    if kind == "undo" and not any(row.kind == "person_merge" for row in rows):
        # The faces of people who were merged go to whom they fit.
        put_back(session, rows)
    for photo_id in result.photo_ids:
        if session.get(PhotoRow, photo_id) is not None:
            project_photo(session, photo_id, settings)
    return result
