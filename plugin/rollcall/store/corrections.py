"""The log of what a person said: written and read; `undoing`, `finding` and `carrying` do the rest.

Lines are added and never taken away; `photo_id` and `face_id` only say where a line holds at present. What a
face's or photo's lines amount to is derived into verdicts, boxes and tags, so that readers need not know of
the log.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rollcall import corrections, tagging
from rollcall.corrections import Correction, Logged
from rollcall.errors import CorrectionError
from rollcall.records import Box
from rollcall.settings import TagSettings
from rollcall.store import journal, results
from rollcall.store.photos import now
from rollcall.store.tables import Correction as Line
from rollcall.store.tables import Embedding, FaceRow, Photo, Prediction, TagRow, Verdict

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


# ---- Saying


def say(session: Session, said: Sequence[Correction], by: str, settings: TagSettings) -> Done:
    """Add corrections to the log, all in one go, and let them hold at once.

    Raises
    ------
    CorrectionError
        If one of them cannot be, or speaks of a face or photo that is not there; then none is added.
    """
    done = Done(batch=uuid.uuid4().hex)
    moment = next_moment(session)
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
            face = draw_face(session, photo.id, Box(*one.value["box"]))
            done.undescribed.add(face.id)
        elif face is not None:
            before = _before(session, face, one.kind)
        else:
            row = session.scalar(select(TagRow).where(TagRow.photo_id == photo.id, TagRow.name == one.value["tag"]))
            before = None if row is None else {"state": row.state, "source": row.source, "probability": row.probability}
        vector = None if face is None else session.get(Embedding, face.id, populate_existing=True)
        if vector is not None and vector.model_version == results.STALE:
            vector = None
        value = dict(one.value)
        uid = uuid.uuid4().hex
        if one.kind == "tag" and value["tag"] in groups:
            # The tag may have another name one day, in another language; what is meant stays the same.
            value["group"] = groups[value["tag"]]
        session.add(
            Line(
                uid=uid,
                batch=done.batch,
                made_at=moment,
                made_by=by,
                kind=one.kind,
                photo_id=photo.id,
                face_id=None if face is None else face.id,
                content_hash=photo.content_hash,
                path=photo.path,
                box=None if face is None else [face.x, face.y, face.width, face.height],
                embedding=None if vector is None else vector.vector,
                embedding_version=None if vector is None else vector.model_version,
                look=photo.look,
                face_uid=None if face is None else _face_uid(session, face.id) or uid,
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


def _face_uid(session: Session, face_id: int) -> str | None:
    """Return what the lines of a face have in common in every database; None if there are none yet."""
    return session.scalar(select(Line.face_uid).where(Line.face_id == face_id).order_by(Line.id).limit(1))


def next_moment(session: Session) -> str:
    """Return the time, never before the newest line's: a clock set back must not let the older word win."""
    return max(now(), session.scalar(select(func.max(Line.made_at))) or "")


def draw_face(session: Session, photo_id: int, box: Box) -> FaceRow:
    """Add a face where a person says there is one."""
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


def logged(session: Session, where: ColumnElement[bool]) -> list[Logged]:
    """Return a part of the log, oldest first."""
    rows = session.execute(select(Line.uid, Line.kind, Line.value).where(where).order_by(Line.made_at, Line.id))
    return [Logged(*row) for row in rows]


def _derive_face(session: Session, face: FaceRow) -> set[int]:
    """Write what all that was said of a face amounts to; return it if the networks have to look at it anew."""
    result = corrections.verdict(logged(session, Line.face_id == face.id))
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
    # Who says how old someone is says that there is a face, even if the detector does not see it, or not any more.
    vouched = said.age_low is not None or said.gender_given
    vouched = vouched and not result.drawn_away
    hidden = not face.present
    face.present = face.detected or box is not None or (vouched and _is_here(session, face))
    if box is not None:
        face.drawn = True
    elif face.drawn and not result.drawn_away:
        first = session.scalars(
            select(Line.value_before)
            .where(Line.face_id == face.id, Line.kind == "box")
            .order_by(Line.made_at, Line.id)
            .limit(1)
        ).first()
        box, face.drawn = (Box(*first["box"]) if first else before), False
    if box is None or max(abs(a - b) for a, b in zip(box, before, strict=True)) < 1e-6:
        return {face.id} if hidden and face.present else set()
    face.landmarks = [
        [box.x + (x - before.x) * box.width / before.width, box.y + (y - before.y) * box.height / before.height]
        for x, y in face.landmarks
    ]
    face.x, face.y, face.width, face.height = box
    # What was estimated was estimated of another place: it is looked at again.
    session.execute(update(Prediction).where(Prediction.face_id == face.id).values(model_version=results.STALE))
    session.execute(update(Embedding).where(Embedding.face_id == face.id).values(model_version=results.STALE))
    return {face.id}


def _is_here(session: Session, face: FaceRow) -> bool:
    """Say whether a face was last seen in the picture as it is now, and not only before it was edited."""
    return (
        session.scalar(
            select(Line.id)
            .join(Photo, Photo.id == face.photo_id)
            .where(Line.face_id == face.id, Line.content_hash == Photo.content_hash)
            .limit(1)
        )
        is not None
    )


def settle(session: Session, photo_id: int, settings: TagSettings) -> None:
    """Derive a photo's tags, groups and whether it is reviewed from what the log says now."""
    session.flush()
    of_photo = logged(session, Line.photo_id == photo_id)
    reviewed = bool(corrections.standing(of_photo))
    session.execute(update(Photo).where(Photo.id == photo_id).values(reviewed=reviewed))
    rows = {row.name: row for row in session.scalars(select(TagRow).where(TagRow.photo_id == photo_id))}
    before = {(row.name, row.source, row.state) for row in rows.values() if row.source != "auto"}
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
    session.flush()
    said = select(TagRow.name, TagRow.source, TagRow.state).where(TagRow.photo_id == photo_id, TagRow.source != "auto")
    if before != {tuple(row) for row in session.execute(said)}:
        journal.note(session, "tags_changed", photo_id)
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


def derive(session: Session, face_ids: Iterable[int], done: Done) -> None:
    """Write what all that was said of some faces amounts to."""
    for face_id in face_ids:
        face = session.get(FaceRow, face_id)
        if face is not None:
            done.undescribed |= _derive_face(session, face)
    session.flush()


# ---- Reading


def entries(session: Session, *, limit: int | None = None, before: int | None = None) -> list[Entry]:
    """Return the log, the newest line first, from below line `before` on."""
    gone = corrections.undone_by(logged(session, Line.kind.in_(("undo", "redo"))))
    rows: Select[Any] = select(Line).order_by(Line.id.desc())
    if before is not None:
        rows = rows.where(Line.id < before)
    if limit is not None:
        rows = rows.limit(limit)
    return [_entry(line, gone) for line in session.scalars(rows)]


def waiting(session: Session) -> list[Entry]:
    """Return the lines whose photo or face cannot be found at present, and those of photos whose file is missing.

    What was undone waits for nothing, and that something is no face needs no face.
    """
    missing = select(Photo.id).where(Photo.state == "missing")
    hidden = select(FaceRow.id).where(~FaceRow.present)
    rows = session.scalars(
        select(Line)
        .where(
            Line.kind.not_in(("undo", "redo")),
            or_(
                Line.photo_id.is_(None),
                Line.photo_id.in_(missing),
                faceless(),
                and_(Line.face_id.in_(hidden), Line.kind.not_in(("not_a_face", "ignore"))),
            ),
        )
        .order_by(Line.id)
    )
    gone = corrections.undone_by(logged(session, Line.kind.in_(("undo", "redo"))))
    return [_entry(line, gone) for line in rows if line.uid not in gone]


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


def faceless() -> ColumnElement[bool]:
    """Return the condition of lines whose face is not known at present."""
    return and_(Line.face_id.is_(None), Line.kind.in_(("age", "gender", "not_a_face", "ignore", "box")))
