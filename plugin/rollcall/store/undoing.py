"""Undoing what was said, and letting it hold again: the log only grows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall import corrections
from rollcall.corrections import Logged
from rollcall.errors import CorrectionError
from rollcall.settings import TagSettings
from rollcall.store import journal
from rollcall.store.corrections import Done, derive, next_moment, settle
from rollcall.store.tables import Correction as Line
from rollcall.store.tables import Photo


def undo(session: Session, settings: TagSettings) -> Done:
    """Undo what was said last, all that was said in one go.

    Raises
    ------
    CorrectionError
        If nothing is left to be undone.
    """
    log = _whole_log(session)
    gone = corrections.undone_by(Logged(line.uid, line.kind, line.value) for line in log)
    last = next((line for line in reversed(log) if line.kind not in ("undo", "redo") and line.uid not in gone), None)
    if last is None:
        raise CorrectionError("there is nothing left to undo; `rollcall corrections list` shows what was said")
    return _flip(session, [line for line in log if line.batch == last.batch and line.uid not in gone], "undo", settings)


def redo(session: Session, settings: TagSettings) -> Done:
    """Let hold again what was undone last.

    Raises
    ------
    CorrectionError
        If nothing was undone since something was last said.
    """
    log = _whole_log(session)
    by_uid = {line.uid: line for line in log}
    # As in any editor: undone batches lie on a stack, and a new word clears it.
    stack: list[str] = []
    for line in log:
        target = by_uid.get(str(line.value.get("of"))) if line.kind in ("undo", "redo") else None
        if line.kind == "undo" and target is not None:
            if target.batch not in stack:
                stack.append(target.batch)
        elif line.kind == "redo" and target is not None:
            stack = [batch for batch in stack if batch != target.batch]
        elif line.kind not in ("undo", "redo"):
            stack.clear()
    if not stack:
        raise CorrectionError("there is nothing to redo: something was said since, or nothing was undone")
    gone = corrections.undone_by(Logged(line.uid, line.kind, line.value) for line in log)
    return _flip(session, [line for line in log if line.batch == stack[-1] and line.uid in gone], "redo", settings)


def restore(session: Session, to: int, settings: TagSettings) -> Done:
    """Let hold what held when line `to` of the log was the newest; 0: nothing. That, too, can be undone by another.

    Raises
    ------
    CorrectionError
        If the log has no such line.
    """
    log = _whole_log(session)
    if to != 0 and all(line.id != to for line in log):
        raise CorrectionError(f"the log has no line {to}; `rollcall corrections list` shows them")
    lines = {line.id: Logged(line.uid, line.kind, line.value) for line in log}
    wanted = {line.uid for line in corrections.standing(one for number, one in lines.items() if number <= to)}
    holds = {line.uid for line in corrections.standing(lines.values())}
    done = _flip(session, [line for line in log if line.uid in holds - wanted], "undo", settings)
    again = _flip(session, [line for line in log if line.uid in wanted - holds], "redo", settings)
    return Done(
        done.batch, done.count + again.count, done.photo_ids | again.photo_ids, done.undescribed | again.undescribed
    )


def _whole_log(session: Session) -> list[Line]:
    return list(session.scalars(select(Line).order_by(Line.made_at, Line.id)))


def _flip(session: Session, lines: Sequence[Line], kind: str, settings: TagSettings) -> Done:
    """Add to the log that lines do not hold any more, or hold again."""
    done = Done(batch=uuid.uuid4().hex, count=len(lines))
    moment = next_moment(session)
    for line in lines:
        session.add(
            Line(
                uid=uuid.uuid4().hex,
                batch=done.batch,
                made_at=moment,
                made_by=line.made_by,
                kind=kind,
                photo_id=line.photo_id,
                face_id=line.face_id,
                content_hash=line.content_hash,
                path=line.path,
                box=line.box,
                look=line.look,
                face_uid=line.face_uid,
                value={"of": line.uid},
            )
        )
        if line.photo_id is not None:
            done.photo_ids.add(line.photo_id)
            journal.note(session, "corrected", line.photo_id, line.face_id)
    session.flush()
    derive(session, {line.face_id for line in lines if line.face_id is not None}, done)
    for photo_id in done.photo_ids:
        if session.get(Photo, photo_id) is not None:
            settle(session, photo_id, settings)
    return done
