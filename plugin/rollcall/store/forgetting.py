"""Taking out of the tables what is to be forgotten, and keeping it from coming back.

Rows are deleted here; that nothing of them is left in files is `rollcall.forget`'s work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rollcall import names
from rollcall.matching import SAME_PLACE, overlap
from rollcall.records import Box
from rollcall.settings import TagSettings
from rollcall.store import journal, results
from rollcall.store.corrections import settle
from rollcall.store.photos import Place, chunks, now, under
from rollcall.store.tables import (
    Base,
    Embedding,
    FaceRow,
    Forgotten,
    Meta,
    Photo,
    Prediction,
    Root,
    TagRow,
)
from rollcall.store.tables import Correction as Line

#: Stands in `meta` from the moment something is deleted until no file holds it any more.
_DUE: Final = "scrub"
_COUNTED: Final = (
    ("photos", Photo),
    ("faces", FaceRow),
    ("estimates", Prediction),
    ("embeddings", Embedding),
    ("corrections", Line),
    ("tags", TagRow),
)


def census(session: Session) -> dict[str, int]:
    """Return how many rows there are of each kind; embeddings in the log count as embeddings."""
    found = {name: session.scalar(select(func.count()).select_from(table)) or 0 for name, table in _COUNTED}
    in_log = select(func.count()).select_from(Line).where(Line.embedding.is_not(None))
    found["embeddings"] += session.scalar(in_log) or 0
    return found


def is_due(session: Session) -> bool:
    """Say whether something was deleted that files may still hold."""
    return session.scalar(select(Meta.value).where(Meta.key == _DUE)) is not None


def set_due(session: Session, due: bool) -> None:
    """Remember whether something was deleted that files may still hold; a kill in between loses nothing."""
    session.execute(delete(Meta).where(Meta.key == _DUE))
    if due:
        session.add(Meta(key=_DUE, value=now()))
    session.flush()


# ---- Photos


def photos(session: Session, photo_ids: Sequence[int], *, keep_away: bool, keep_log: bool = False) -> None:
    """Delete photos with all that hangs on them.

    With `keep_away` their content is not stored again. With `keep_log` what a person said of them stays in the log,
    without embeddings, and waits for them; otherwise it goes too.
    """
    for part in chunks(list(photo_ids)):
        rows = session.execute(
            select(Photo.id, Photo.path, Photo.size, Photo.mtime_ns, Photo.content_hash, Root.path)
            .join(Root, Root.id == Photo.root_id)
            .where(Photo.id.in_(part))
        ).all()
        hashes = [row[4] for row in rows if row[4] is not None]
        # Lines that wait for a photo of this content, and have not found it, speak of it too.
        of_photos = or_(Line.photo_id.in_(part), and_(Line.photo_id.is_(None), Line.content_hash.in_(hashes)))
        if keep_log:
            session.execute(
                update(Line)
                .where(of_photos)
                .values(photo_id=None, face_id=None, embedding=None, embedding_version=None, look=None)
            )
        else:
            session.execute(delete(Line).where(of_photos))
        session.execute(delete(Photo).where(Photo.id.in_(part)))
        if keep_away:
            for _, path, size, mtime_ns, content_hash, root in rows:
                keep_photo_away(session, f"{root.rstrip('/')}/{path}", size, mtime_ns, content_hash)
        for photo_id, *_ in rows:
            journal.note(session, "photo_forgotten", photo_id)
    if not keep_log:
        _drop_orphans(session)
    session.expire_all()


def keep_photo_away(session: Session, path: str, size: int, mtime_ns: int, content_hash: str | None) -> None:
    """Remember a file that is not to be stored again, wherever it lies."""
    session.execute(delete(Forgotten).where(Forgotten.kind == "photo", Forgotten.path == path))
    session.execute(
        insert(Forgotten).values(
            made_at=now(), kind="photo", path=path, size=size, mtime_ns=mtime_ns, content_hash=content_hash
        )
    )


def folder(session: Session, place: Place) -> None:
    """Delete all photos of a folder and keep the folder away; if it is a root, the root goes."""
    photos(session, session.scalars(under(place)).all(), keep_away=False)
    waiting = and_(Line.photo_id.is_(None), _below(place.prefix))
    # What waits for a file of this path may be of another root's: it stays, but not what faces look like.
    session.execute(update(Line).where(waiting).values(embedding=None, embedding_version=None, look=None))
    path = names.to_text(str(place.folder))
    inside = path.rstrip("/") + "/"
    session.execute(
        delete(Forgotten).where(or_(Forgotten.path == path, Forgotten.path.startswith(inside, autoescape=True)))
    )
    session.add(Forgotten(made_at=now(), kind="folder", path=path))
    if not place.prefix:
        session.execute(delete(Root).where(Root.id == place.root_id))
    session.flush()


def _below(prefix: str) -> ColumnElement[bool]:
    if not prefix:
        return Line.path.is_not(None)
    return or_(Line.path == prefix, and_(Line.path >= prefix + "/", Line.path < prefix + "0"))


# ---- Single faces


def faces(session: Session, face_ids: Iterable[int], settings: TagSettings) -> None:
    """Delete faces with what was said of them, in copies of their photos too, and keep them from coming back."""
    wanted = set(face_ids)
    for face_id in sorted(wanted):
        face = session.get(FaceRow, face_id)
        if face is None:
            continue
        photo = session.get_one(Photo, face.photo_id)
        boxes = _places(session, face)
        copies = [photo.id]
        if photo.content_hash is not None:
            copies = list(session.scalars(select(Photo.id).where(Photo.content_hash == photo.content_hash)))
        gone = [face_id]
        for row in session.scalars(select(FaceRow).where(FaceRow.photo_id.in_(copies), FaceRow.id != face_id)):
            box = Box(row.x, row.y, row.width, row.height)
            # Another face of the same photo stays, however near; one of a copy is the same face.
            if row.photo_id != photo.id and any(overlap(box, one) >= SAME_PLACE for one in boxes):
                gone.append(row.id)
        _drop_lines(session, gone, copies, photo.content_hash, boxes)
        session.execute(delete(FaceRow).where(FaceRow.id.in_(gone)))
        for box in boxes:
            session.add(
                Forgotten(made_at=now(), kind="face", content_hash=photo.content_hash, photo_id=photo.id, box=list(box))
            )
        session.flush()
        session.expire_all()
        for photo_id in copies:
            results.refresh(session, photo_id, settings)
            settle(session, photo_id, settings)
        journal.note(session, "face_forgotten", photo.id, face_id)
        for photo_id in copies:
            if photo_id != photo.id:
                journal.note(session, "face_forgotten", photo_id)
    _drop_orphans(session)


def _places(session: Session, face: FaceRow) -> list[Box]:
    """Return where a face is, and where the detector sees it if a person moved it."""
    found = [Box(face.x, face.y, face.width, face.height)]
    for box, before in session.execute(select(Line.box, Line.value_before).where(Line.face_id == face.id)):
        for one in (box, (before or {}).get("box")):
            if one and all(overlap(Box(*one), known) < 0.9 for known in found):
                found.append(Box(*one))
    return found


def _drop_lines(
    session: Session, face_ids: Sequence[int], photo_ids: Sequence[int], content_hash: str | None, boxes: Sequence[Box]
) -> None:
    """Delete what was said of faces, also where the log has not found them again."""
    uids = {uid for uid in session.scalars(select(Line.face_uid).where(Line.face_id.in_(face_ids))) if uid is not None}
    lost = select(Line).where(
        Line.face_id.is_(None),
        Line.box.is_not(None),
        or_(Line.photo_id.in_(photo_ids), and_(Line.photo_id.is_(None), Line.content_hash == content_hash)),
    )
    doomed = [
        line.id
        for line in session.scalars(lost)
        if line.box is not None and any(overlap(Box(*line.box), box) >= SAME_PLACE for box in boxes)
    ]
    session.execute(delete(Line).where(or_(Line.face_id.in_(face_ids), Line.face_uid.in_(uids), Line.id.in_(doomed))))


def _drop_orphans(session: Session) -> None:
    """Delete the undoings and redoings of lines that are gone."""
    rows = session.execute(select(Line.id, Line.value).where(Line.kind.in_(("undo", "redo")))).all()
    uids = sorted({str(value["of"]) for _, value in rows})
    known: set[str] = set()
    for part in chunks(uids):
        known |= set(session.scalars(select(Line.uid).where(Line.uid.in_(part))))
    for orphans in chunks([number for number, value in rows if value["of"] not in known]):
        session.execute(delete(Line).where(Line.id.in_(orphans)))


# ---- One kind of estimate, or everything


def embeddings(session: Session) -> None:
    """Delete all identity embeddings, those in the log of corrections too."""
    session.execute(delete(Embedding))
    session.execute(update(Line).values(embedding=None, embedding_version=None))
    journal.note(session, "embeddings_forgotten", None)


def ages(session: Session, settings: TagSettings) -> None:
    """Delete all estimates of ages; what a person said stays."""
    nothing: dict[str, Any] = {
        column.name: None
        for column in Prediction.__table__.columns
        if "age" in column.name.split("_") or column.name in {f"p_{name}" for name in results.GROUPS}
    }
    _drop_estimates(session, nothing, "age", settings)


def genders(session: Session, settings: TagSettings) -> None:
    """Delete all estimates of genders; what a person said stays."""
    _drop_estimates(session, {"p_female": None, "network_p_female": None}, "gender", settings)


def _drop_estimates(session: Session, nothing: dict[str, Any], kind: str, settings: TagSettings) -> None:
    touched = session.scalars(
        select(FaceRow.photo_id).join(Prediction, Prediction.face_id == FaceRow.id).distinct()
    ).all()
    session.execute(update(Prediction).values(**nothing))
    session.execute(delete(Prediction).where(Prediction.age.is_(None), Prediction.p_female.is_(None)))
    for line in session.scalars(select(Line).where(Line.kind == kind)):
        if line.value_before and line.value_before.get("source") == "model":
            line.value_before = None
    session.flush()
    session.expire_all()
    for photo_id in touched:
        results.refresh(session, photo_id, settings)


def everything(session: Session) -> None:
    """Delete all rows of all tables but `meta`; numbers are not given anew, so that hosts' cursors stay right."""
    for table in reversed(Base.metadata.sorted_tables):
        if table is not Meta.__table__:
            session.execute(table.delete())
    session.expire_all()
    journal.note(session, "photo_forgotten", None)
