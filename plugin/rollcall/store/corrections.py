"""The log of what a person said: written, undone, found again, carried to another database.

Lines are added and never taken away; `photo_id` and `face_id` only say where a line holds at present. What a
face's or photo's lines amount to is derived into verdicts, boxes and tags, so that readers need not know of
the log.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rollcall import corrections, matching, tagging
from rollcall.corrections import Correction, Logged
from rollcall.errors import CorrectionError
from rollcall.records import Box
from rollcall.settings import TagSettings
from rollcall.store import journal, results
from rollcall.store.photos import chunks, now
from rollcall.store.tables import Correction as Line
from rollcall.store.tables import Embedding, FaceRow, Photo, Prediction, TagRow, Verdict

#: What the first line of an exported log says of itself.
FORMAT: Final = "rollcall-corrections-1"
#: In a file that was both renamed and written anew, faces this alike at the same place are the same.
ALIKE_ELSEWHERE: Final = 0.85
OVERLAP_ELSEWHERE: Final = 0.7
#: Where eyes, nose and mouth usually are in a face's box: until the networks have looked at a drawn one.
_TYPICAL: Final = ((0.31, 0.4), (0.69, 0.4), (0.5, 0.6), (0.35, 0.79), (0.65, 0.79))


@dataclass
class Done:
    """What a change of the log did."""

    batch: str = ""
    count: int = 0  # corrections said, undone or redone
    photo_ids: set[int] = field(default_factory=set)
    # Faces whose box is new: what the networks say of them has still to be found out.
    undescribed: set[int] = field(default_factory=set)
    face_ids: list[int | None] = field(default_factory=list)  # of each correction: a drawn face's number is new


class Entry(NamedTuple):
    """One line of the log, for people and hosts."""

    id: int
    uid: str
    batch: str
    made_at: str
    made_by: str
    kind: str
    photo_id: int | None
    face_id: int | None
    value: Mapping[str, Any]
    value_before: Mapping[str, Any] | None
    undone: bool
    path: str | None


class Imported(NamedTuple):
    """What became of an imported log."""

    added: int
    known: int  # lines that the log had already
    waiting: int  # lines whose photo or face is not in the database (yet); they are kept


# ---- Saying


def say(session: Session, said: Sequence[Correction], by: str, settings: TagSettings) -> Done:
    """Add corrections to the log, all in one go, and let them hold at once.

    Raises
    ------
    CorrectionError
        If one of them cannot be, or speaks of a face or photo that is not there; then none is added.
    """
    done = Done(batch=uuid.uuid4().hex)
    moment = _next_moment(session)
    groups = {name: group for group, name in tagging.rules(settings).names.items()}
    for one in map(corrections.checked, said):
        drawn = one.kind == "box" and bool(one.value.get("drawn"))
        face = None if one.face_id is None else session.get(FaceRow, one.face_id)
        if one.face_id is not None and face is None:
            raise CorrectionError(f"there is no face {one.face_id}; `rollcall search --json` shows the faces' numbers")
        photo = session.get(Photo, face.photo_id if face is not None else one.photo_id)
        if photo is None:
            raise CorrectionError(f"there is no photo {one.photo_id}; `rollcall search --json` shows their numbers")
        before: dict[str, Any] | None = None
        if drawn:
            face = _drawn_face(session, photo.id, Box(*one.value["box"]))
        elif face is not None:
            before = _before(session, face, one.kind)
        else:
            row = session.scalar(select(TagRow).where(TagRow.photo_id == photo.id, TagRow.name == one.value["tag"]))
            before = None if row is None else {"state": row.state, "source": row.source, "probability": row.probability}
        vector = None if face is None else session.scalar(select(Embedding.vector).where(Embedding.face_id == face.id))
        value = dict(one.value)
        if one.kind == "tag" and value["tag"] in groups:
            # The tag may have another name one day, in another language; what is meant stays the same.
            value["group"] = groups[value["tag"]]
        session.add(
            Line(
                uid=uuid.uuid4().hex,
                batch=done.batch,
                made_at=moment,
                made_by=by,
                kind=one.kind,
                photo_id=photo.id,
                face_id=None if face is None else face.id,
                content_hash=photo.content_hash,
                path=photo.path,
                box=None if face is None else [face.x, face.y, face.width, face.height],
                embedding=vector,
                value=value,
                value_before=before,
            )
        )
        session.flush()
        if face is not None:
            # At once, and not at the end: the next one may speak of the same face, and finds it as it is now.
            done.undescribed |= _derive_face(session, face)
        done.face_ids.append(None if face is None else face.id)
        done.photo_ids.add(photo.id)
        done.count += 1
        journal.note(session, "corrected", photo.id, None if face is None else face.id)
    for photo_id in done.photo_ids:
        settle(session, photo_id, settings)
    return done


def _next_moment(session: Session) -> str:
    """Return the time, never before the newest line's: a clock set back must not let the older word win."""
    return max(now(), session.scalar(select(func.max(Line.made_at))) or "")


def _drawn_face(session: Session, photo_id: int, box: Box) -> FaceRow:
    face = FaceRow(
        photo_id=photo_id,
        x=box.x,
        y=box.y,
        width=box.width,
        height=box.height,
        landmarks=[[box.x + box.width * a, box.y + box.height * b] for a, b in _TYPICAL],
        score=0.0,
        sharpness=0.0,
        detected=False,
        present=True,
        drawn=True,
    )
    session.add(face)
    session.flush()
    return face


def _before(session: Session, face: FaceRow, kind: str) -> dict[str, Any]:
    """Return what was shown of a face before it is corrected."""
    verdict, guess = session.get(Verdict, face.id), session.get(Prediction, face.id)
    if kind == "age":
        if verdict is not None and verdict.age_low is not None:
            return {"low": verdict.age_low, "high": verdict.age_high, "source": "user"}
        return {"age": None if guess is None else guess.age, "source": "model"}
    if kind == "gender":
        if verdict is not None and verdict.gender_given:
            return {"label": verdict.gender, "source": "user"}
        return {"p_female": None if guess is None else guess.p_female, "source": "model"}
    if kind == "box":
        return {"box": [face.x, face.y, face.width, face.height], "drawn": face.drawn}
    return {"said": bool(verdict is not None and verdict.dismissed)}


# ---- What the log amounts to


def _log(session: Session, where: ColumnElement[bool]) -> list[Logged]:
    rows = session.execute(select(Line.uid, Line.kind, Line.value).where(where).order_by(Line.made_at, Line.id))
    return [Logged(*row) for row in rows]


def _derive_face(session: Session, face: FaceRow) -> set[int]:
    """Write what all that was said of a face amounts to; return it if its box changed."""
    result = corrections.verdict(_log(session, Line.face_id == face.id))
    session.execute(delete(Verdict).where(Verdict.face_id == face.id))
    said = result.said
    if result.dismissed or said.age_low is not None or said.gender_given:
        session.execute(
            insert(Verdict).values(
                face_id=face.id,
                age_low=said.age_low,
                age_high=said.age_high,
                gender=said.gender,
                gender_given=said.gender_given,
                dismissed=result.dismissed,
            )
        )
    before = Box(face.x, face.y, face.width, face.height)
    box = result.box
    if box is not None:
        face.drawn, face.present = True, True
    elif result.drawn_away:
        # It was found by hand only; if the detector has found it since, it stays.
        face.present = face.detected
    elif face.drawn:
        first = session.scalars(
            select(Line.value_before)
            .where(Line.face_id == face.id, Line.kind == "box")
            .order_by(Line.made_at, Line.id)
            .limit(1)
        ).first()
        box, face.drawn = (Box(*first["box"]) if first else before), False
    if box is None or max(abs(a - b) for a, b in zip(box, before, strict=True)) < 1e-6:
        return set()
    face.landmarks = [
        [box.x + (x - before.x) * box.width / before.width, box.y + (y - before.y) * box.height / before.height]
        for x, y in face.landmarks
    ]
    face.x, face.y, face.width, face.height = box
    # What was estimated was estimated of another place: it is looked at again.
    session.execute(update(Prediction).where(Prediction.face_id == face.id).values(model_version=results.STALE))
    session.execute(update(Embedding).where(Embedding.face_id == face.id).values(model_version=results.STALE))
    return {face.id}


def settle(session: Session, photo_id: int, settings: TagSettings) -> None:
    """Derive a photo's tags, groups and whether it is reviewed from what the log says now."""
    session.flush()
    of_photo = _log(session, Line.photo_id == photo_id)
    reviewed = bool(corrections.standing(of_photo))
    session.execute(update(Photo).where(Photo.id == photo_id).values(reviewed=reviewed))
    rows = {row.name: row for row in session.scalars(select(TagRow).where(TagRow.photo_id == photo_id))}
    for name, state in corrections.tag_states(of_photo, tagging.rules(settings).names).items():
        row = rows.get(name)
        if state is None:
            if row is not None and row.source == "user":
                session.delete(row)
                session.flush()
                _give_back(session, photo_id, name)
            continue
        if row is None:
            row = TagRow(photo_id=photo_id, name=name, created_at=now(), probability=None)
            session.add(row)
        row.source, row.state = "user", state
    results.refresh(session, photo_id, settings)


def _give_back(session: Session, photo_id: int, name: str) -> None:
    """Set a tag again as the host had set it, before a person spoke of it."""
    lines = session.execute(
        select(Line.value, Line.value_before)
        .where(Line.photo_id == photo_id, Line.kind == "tag")
        .order_by(Line.made_at, Line.id)
    )
    before = next((before for value, before in lines if value["tag"] == name), None)
    if before is not None and before.get("source") == "host":
        session.add(TagRow(photo_id=photo_id, name=name, source="host", state=before["state"], created_at=now()))


# ---- Undoing


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
    moment = _next_moment(session)
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
                value={"of": line.uid},
            )
        )
        if line.photo_id is not None:
            done.photo_ids.add(line.photo_id)
            journal.note(session, "corrected", line.photo_id, line.face_id)
    session.flush()
    _derive(session, {line.face_id for line in lines if line.face_id is not None}, done)
    for photo_id in done.photo_ids:
        if session.get(Photo, photo_id) is not None:
            settle(session, photo_id, settings)
    return done


def _derive(session: Session, face_ids: Iterable[int], done: Done) -> None:
    for face_id in face_ids:
        face = session.get(FaceRow, face_id)
        if face is not None:
            done.undescribed |= _derive_face(session, face)
    session.flush()


# ---- Finding again


def attach(session: Session, photo_id: int) -> Done:
    """Give a photo that was just stored the lines that wait for it: those of its content, and of its lost faces."""
    content_hash = session.scalar(select(Photo.content_hash).where(Photo.id == photo_id))
    waiting = session.scalars(
        select(Line)
        .where(
            or_(
                and_(Line.photo_id.is_(None), Line.content_hash == content_hash),
                and_(Line.photo_id == photo_id, Line.face_id.is_(None), Line.kind != "tag"),
            )
        )
        .order_by(Line.made_at, Line.id)
    )
    return _attach(session, list(waiting), photo_id, same_picture=True)


def _attach(session: Session, lines: Sequence[Line], photo_id: int, same_picture: bool) -> Done:
    """Give lines to a photo, and to those of its faces that they speak of; what fits no face waits on."""
    done = Done()
    if not lines:
        return done
    rows = session.execute(
        select(FaceRow, Embedding.vector)
        .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo_id)
        .order_by(FaceRow.id)
    ).all()
    faces = {face.id: face for face, _ in rows}
    vectors = {face.id: results.unpack(vector) for face, vector in rows if vector is not None}
    # All the places that a face had: what was said before it was moved by hand speaks of the first one.
    places = {face.id: [Box(face.x, face.y, face.width, face.height)] for face, _ in rows}
    for line in lines:
        if line.kind in ("undo", "redo"):
            target = session.scalar(select(Line).where(Line.uid == line.value["of"]))
            if target is None or target.photo_id != photo_id:
                continue
            if (line.photo_id, line.face_id) != (photo_id, target.face_id):
                line.photo_id, line.face_id = photo_id, target.face_id
                done.count += 1
            continue
        if line.kind != "tag":
            box = None if line.box is None else Box(*line.box)
            vector = None if line.embedding is None else results.unpack(line.embedding)
            face_id = _which(box, vector, places, vectors, same_picture)
            if face_id is None and line.kind == "box" and line.value.get("drawn"):
                face = _drawn_face(session, photo_id, Box(*line.value["box"]))
                face_id, faces[face.id], places[face.id] = face.id, face, []
                done.undescribed.add(face.id)
            if face_id is None:
                if same_picture:
                    line.photo_id = photo_id  # its face is lost, the photo is not
                continue
            if line.kind == "box" and line.value:
                places[face_id].append(Box(*line.value["box"]))
            line.face_id = face_id
        line.photo_id = photo_id
        done.count += 1
    session.flush()
    if done.count:
        done.photo_ids.add(photo_id)
    _derive(session, {line.face_id for line in lines if line.face_id is not None}, done)
    return done


def _which(
    box: Box | None,
    vector: NDArray[np.float32] | None,
    places: Mapping[int, Sequence[Box]],
    vectors: Mapping[int, NDArray[np.float32]],
    same_picture: bool,
) -> int | None:
    """Return the face that is meant: by its place, in another picture only together with its looks."""
    best: tuple[float, int] | None = None
    for face_id, boxes in places.items():
        other = vectors.get(face_id)
        comparable = vector is not None and other is not None and vector.shape == other.shape
        alike = float(vector @ other) if comparable and vector is not None and other is not None else None
        overlap = max((matching.overlap(box, one) for one in boxes), default=0.0) if box is not None else 0.0
        if same_picture:
            fits = overlap >= matching.SAME_PLACE
        else:
            fits = (alike is not None and alike >= matching.SAME_PERSON) or (
                alike is None and overlap >= OVERLAP_ELSEWHERE
            )
        score = overlap + (alike or 0.0)
        if fits and (best is None or score > best[0]):
            best = (score, face_id)
    return None if best is None else best[1]


def find_lost(session: Session, settings: TagSettings, since: str = "") -> Done:
    """Look for the photos of lines that wait, and of photos that are gone: by path, then by their faces.

    To be called when a scan is over, so that a file that was only renamed is not mistaken for another. Faces
    are looked for in photos that were indexed at `since` or later.
    """
    done = Done()
    # By path: the file was edited or written anew by a program that Rollcall did not see at work.
    rows = session.execute(
        select(Line, Photo.id)
        .join(Photo, Photo.path == Line.path)
        .where(Line.photo_id.is_(None), Photo.state == "indexed")
        .order_by(Line.made_at, Line.id)
    ).all()
    by_photo: dict[int, list[Line]] = {}
    for line, photo_id in rows:
        by_photo.setdefault(photo_id, []).append(line)
    for photo_id, lines in by_photo.items():
        _add(done, _attach(session, [line for line in lines if line.photo_id is None], photo_id, same_picture=False))
    _add(done, _find_faces(session, since))
    for photo_id in done.photo_ids:
        settle(session, photo_id, settings)
    return done


def _find_faces(session: Session, since: str) -> Done:
    """Look for the faces of lines whose photo is gone, or not known, among the faces of new photos."""
    done = Done()
    gone = select(Photo.id).where(Photo.state == "missing", Photo.reviewed)
    lines = list(
        session.scalars(
            select(Line).where(or_(Line.photo_id.is_(None), Line.photo_id.in_(gone))).order_by(Line.made_at, Line.id)
        )
    )
    wanted = [line for line in lines if line.embedding is not None and line.box is not None]
    if not wanted:
        return done
    found = session.execute(
        select(FaceRow, Embedding.vector)
        .join(Embedding, Embedding.face_id == FaceRow.id)
        .join(Photo, Photo.id == FaceRow.photo_id)
        .where(Photo.state == "indexed", ~Photo.reviewed, Photo.indexed_at >= since)
    ).all()
    if not found:
        return done
    vectors = np.stack([results.unpack(vector) for _, vector in found])
    votes: dict[str, list[int]] = {}
    for line in wanted:
        vector = results.unpack(line.embedding or b"")
        if vector.shape != vectors.shape[1:]:
            continue
        alike = vectors @ vector
        for index in np.flatnonzero(alike >= ALIKE_ELSEWHERE)[np.argsort(-alike[alike >= ALIKE_ELSEWHERE])]:
            face = found[int(index)][0]
            place = Box(face.x, face.y, face.width, face.height)
            if matching.overlap(Box(*(line.box or [])), place) >= OVERLAP_ELSEWHERE:
                votes.setdefault(_source(line), []).append(face.photo_id)
                break
    taken: set[int] = set()
    for source, photo_ids in votes.items():
        photo_id = max(set(photo_ids), key=photo_ids.count)
        if photo_id in taken:
            continue
        taken.add(photo_id)
        moved = [line for line in lines if _source(line) == source]
        done.photo_ids |= {line.photo_id for line in moved if line.photo_id is not None}
        faces = {line.face_id for line in moved if line.face_id is not None}
        for line in moved:
            line.photo_id, line.face_id = None, None
        session.flush()
        _add(done, _attach(session, moved, photo_id, same_picture=True))
        _derive(session, faces, done)
    return done


def _source(line: Line) -> str:
    """Return a name for the picture that a line was said of."""
    return f"photo {line.photo_id}" if line.photo_id is not None else f"file {line.content_hash} {line.path}"


def _add(done: Done, more: Done) -> None:
    done.count += more.count
    done.photo_ids |= more.photo_ids
    done.undescribed |= more.undescribed


# ---- Reading


def entries(session: Session, *, limit: int | None = None, before: int | None = None) -> list[Entry]:
    """Return the log, the newest line first, from below line `before` on."""
    gone = corrections.undone_by(_log(session, Line.kind.in_(("undo", "redo"))))
    rows: Select[Any] = select(Line).order_by(Line.id.desc())
    if before is not None:
        rows = rows.where(Line.id < before)
    if limit is not None:
        rows = rows.limit(limit)
    return [_entry(line, gone) for line in session.scalars(rows)]


def waiting(session: Session) -> list[Entry]:
    """Return the lines whose photo or face is not known at present, and those of photos whose file is missing."""
    missing = select(Photo.id).where(Photo.state == "missing")
    rows = session.scalars(
        select(Line)
        .where(
            Line.kind.not_in(("undo", "redo")),
            or_(Line.photo_id.is_(None), Line.photo_id.in_(missing), _faceless()),
        )
        .order_by(Line.id)
    )
    gone = corrections.undone_by(_log(session, Line.kind.in_(("undo", "redo"))))
    return [_entry(line, gone) for line in rows]


def _entry(line: Line, gone: set[str]) -> Entry:
    return Entry(
        line.id,
        line.uid,
        line.batch,
        line.made_at,
        line.made_by,
        line.kind,
        line.photo_id,
        line.face_id,
        line.value,
        line.value_before,
        line.uid in gone,
        line.path,
    )


# ---- Carrying to another database


def export(session: Session) -> Iterator[dict[str, Any]]:
    """Yield the log as plain values, oldest first, each with what its photo and face are found again by."""
    rows = session.execute(
        select(Line, Photo.content_hash, Photo.path)
        .outerjoin(Photo, Photo.id == Line.photo_id)
        .order_by(Line.made_at, Line.id),
        execution_options={"yield_per": 1000},
    )
    for line, content_hash, path in rows:
        yield {
            "uid": line.uid,
            "batch": line.batch,
            "made_at": line.made_at,
            "made_by": line.made_by,
            "kind": line.kind,
            "value": line.value,
            "value_before": line.value_before,
            # As the file is now: it may have been edited since.
            "content_hash": content_hash or line.content_hash,
            "path": path or line.path,
            "box": line.box,
            "embedding": None if line.embedding is None else base64.b64encode(line.embedding).decode(),
        }


def import_(session: Session, lines: Iterable[Mapping[str, Any]], settings: TagSettings) -> Imported:
    """Add an exported log to this one; lines that it has already are left as they are.

    Raises
    ------
    CorrectionError
        If a line is none; the message tells its number, counted from 1.
    """
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_row(line))
        except (CorrectionError, KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise CorrectionError(f"correction {number} of the file is none ({error}); nothing was imported") from error
    known: set[str] = set()
    for part in chunks(rows):
        known |= set(session.scalars(select(Line.uid).where(Line.uid.in_([row["uid"] for row in part]))))
    new = list({row["uid"]: row for row in rows if row["uid"] not in known}.values())
    for chunk in chunks(new):
        session.execute(insert(Line), list(chunk))
    hashes = sorted({row["content_hash"] for row in new if row["content_hash"]})
    photo_ids: dict[str, int] = {}
    for part_ in chunks(hashes):
        found = session.execute(
            select(Photo.content_hash, Photo.id)
            .where(Photo.content_hash.in_(part_))
            .order_by(Photo.state == "indexed", Photo.id.desc())
        )
        photo_ids |= {str(content_hash): photo_id for content_hash, photo_id in found}
    for photo_id in photo_ids.values():
        _add_settled(session, photo_id, settings)
    find_lost(session, settings)
    left = 0
    for part in chunks([row["uid"] for row in new]):
        lost = or_(Line.photo_id.is_(None), _faceless())
        left += session.scalar(select(func.count()).select_from(Line).where(Line.uid.in_(part), lost)) or 0
    return Imported(len(new), len(rows) - len(new), left)


def _faceless() -> ColumnElement[bool]:
    return and_(Line.face_id.is_(None), Line.kind.in_(("age", "gender", "not_a_face", "ignore", "box")))


def _add_settled(session: Session, photo_id: int, settings: TagSettings) -> None:
    if attach(session, photo_id).count:
        settle(session, photo_id, settings)


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an exported line, checked."""
    kind, value = str(line["kind"]), dict(line["value"])
    if kind in ("undo", "redo"):
        str(value["of"])
    else:
        # Whatever numbers the other database had: what is said has to make sense, of some face or photo.
        of_photo = kind == "tag" or bool(value.get("drawn"))
        corrections.checked(Correction(kind, value, None if of_photo else 0, 0 if of_photo else None))  # type: ignore[arg-type]
    box = line.get("box")
    return {
        "uid": str(line["uid"]),
        "batch": str(line["batch"]),
        "made_at": str(line["made_at"]),
        "made_by": str(line["made_by"]),
        "kind": kind,
        "value": value,
        "value_before": line.get("value_before"),
        "content_hash": line.get("content_hash"),
        "path": line.get("path"),
        "box": None if box is None else [float(part) for part in box],
        "embedding": None if line.get("embedding") is None else base64.b64decode(line["embedding"], validate=True),
    }
