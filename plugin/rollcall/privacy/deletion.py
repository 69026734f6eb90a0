"""Delete the rows of an erasure and set tombstones. `privacy.erasure` then removes their bytes from all files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from rollcall.ages import AGE_GROUPS
from rollcall.corrections.log_lines import UNDO_KINDS
from rollcall.corrections.projection import project_photo
from rollcall.media import paths
from rollcall.privacy import tombstones
from rollcall.records import SAME_FACE_IOU, SAME_MOMENT, Box
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import Place, chunks, now, photo_ids_under
from rollcall.storage.tables import (
    Base,
    CorrectionRow,
    EmbeddingRow,
    FaceRow,
    MetaRow,
    PhotoRow,
    PredictionRow,
    RootRow,
    TagRow,
)
from rollcall.tags import projection

#: The key in `meta` that exists from the time something is deleted until no file holds its bytes.
_SCRUB_DUE: Final = "scrub"
_COUNTED: Final = (
    ("photos", PhotoRow),
    ("faces", FaceRow),
    ("estimates", PredictionRow),
    ("embeddings", EmbeddingRow),
    ("corrections", CorrectionRow),
    ("tags", TagRow),
)


def row_counts(session: Session) -> dict[str, int]:
    """Return the number of rows of each kind; embeddings in the log of corrections count as embeddings."""
    found = {name: session.scalar(select(func.count()).select_from(table)) or 0 for name, table in _COUNTED}
    in_log = select(func.count()).select_from(CorrectionRow).where(CorrectionRow.embedding.is_not(None))
    found["embeddings"] += session.scalar(in_log) or 0
    for name, column in (("ages", PredictionRow.age_distribution), ("genders", PredictionRow.p_female)):
        found[name] = session.scalar(select(func.count(column))) or 0
    return found


def is_scrub_due(session: Session) -> bool:
    """Return whether rows were deleted whose bytes files may still hold."""
    return session.scalar(select(MetaRow.value).where(MetaRow.key == _SCRUB_DUE)) is not None


def set_scrub_due(session: Session, due: bool) -> None:
    """Store whether rows were deleted whose bytes files may still hold; if this run is killed, the next scrubs them."""
    session.execute(delete(MetaRow).where(MetaRow.key == _SCRUB_DUE))
    if due:
        session.add(MetaRow(key=_SCRUB_DUE, value=now()))
    session.flush()


# ---- Photos


def delete_photos(session: Session, photo_ids: Sequence[int], *, tombstone: bool, keep_log: bool = False) -> None:
    """Delete photos with everything that belongs to them.

    Parameters
    ----------
    tombstone
        Set tombstones, so that the same content is not stored again.
    keep_log
        Leave the corrections in the log, without embeddings, to wait for the photos. Otherwise they are deleted, too.
    """
    for part in chunks(list(photo_ids)):
        rows = session.execute(
            select(PhotoRow.id, PhotoRow.path, PhotoRow.size, PhotoRow.mtime_ns, PhotoRow.content_hash, RootRow.path)
            .join(RootRow, RootRow.id == PhotoRow.root_id)
            .where(PhotoRow.id.in_(part))
        ).all()
        hashes = [row[4] for row in rows if row[4] is not None]
        # Lines that wait for a photo of this content are of it too.
        of_photos = or_(
            CorrectionRow.photo_id.in_(part),
            and_(CorrectionRow.photo_id.is_(None), CorrectionRow.content_hash.in_(hashes)),
        )
        if keep_log:
            session.execute(
                update(CorrectionRow)
                .where(of_photos)
                .values(photo_id=None, face_id=None, embedding=None, embedding_version=None, perceptual_hash=None)
            )
        else:
            session.execute(delete(CorrectionRow).where(of_photos))
        session.execute(delete(PhotoRow).where(PhotoRow.id.in_(part)))
        if tombstone:
            for _, path, size, mtime_ns, content_hash, root in rows:
                tombstones.add_photo(session, f"{root.rstrip('/')}/{path}", size, mtime_ns, content_hash)
        for photo_id, *_ in rows:
            change_feed.record(session, ChangeKind.PHOTO_ERASED, photo_id)
    if not keep_log:
        delete_orphans(session)
    session.expire_all()


def delete_folder(session: Session, place: Place) -> None:
    """Delete all photos of a folder and set a tombstone for it; a root is deleted as well."""
    delete_photos(session, session.scalars(photo_ids_under(place)).all(), tombstone=False)
    waiting = and_(CorrectionRow.photo_id.is_(None), _below(place.prefix))
    # Lines that wait for a file of this path may be of another root's file: they stay, without biometric data.
    # Their paths are relative to a root.
    session.execute(
        update(CorrectionRow).where(waiting).values(embedding=None, embedding_version=None, perceptual_hash=None)
    )
    tombstones.add_folder(session, paths.to_text(str(place.folder)))
    if not place.prefix:
        session.execute(delete(RootRow).where(RootRow.id == place.root_id))
    session.flush()


def remove_root(session: Session, place: Place) -> int:
    """Delete a root with what is known of its photos, and return how many there were.

    That is no erasure: no tombstone is set, and the corrections wait in the log for the photos to come back.
    """
    photo_ids = session.scalars(photo_ids_under(place._replace(prefix=""))).all()
    delete_photos(session, photo_ids, tombstone=False, keep_log=True)
    session.execute(delete(RootRow).where(RootRow.id == place.root_id))
    session.flush()
    return len(photo_ids)


def _below(prefix: str) -> ColumnElement[bool]:
    """Return the condition of lines whose path, relative to a root, is `prefix` or lies below it."""
    path = CorrectionRow.path
    return or_(path == prefix, and_(path >= prefix + "/", path < prefix + "0")) if prefix else path.is_not(None)


# ---- Single faces


def delete_faces(session: Session, face_ids: Iterable[int], settings: TagSettings) -> None:
    """Delete faces with their corrections, in copies of their photos too, and set tombstones for them."""
    for face_id in sorted(set(face_ids)):
        face = session.get(FaceRow, face_id)
        if face is not None:
            _delete_face(session, face, settings)
    delete_orphans(session)


def _delete_face(session: Session, face: FaceRow, settings: TagSettings) -> None:
    face_id, photo = face.id, session.get_one(PhotoRow, face.photo_id)
    boxes, face_time = _boxes(session, face), face.video_time
    copies = [photo.id]
    if photo.content_hash is not None:
        copies = list(session.scalars(select(PhotoRow.id).where(PhotoRow.content_hash == photo.content_hash)))
    gone = [face_id]
    for row in session.scalars(select(FaceRow).where(FaceRow.photo_id.in_(copies), FaceRow.id != face_id)):
        box = Box(row.x, row.y, row.width, row.height)
        # Another face of the same photo stays, however near; one of a copy is the same face.
        same_time = face_time is None or row.video_time is None or abs(row.video_time - face_time) <= SAME_MOMENT
        if row.photo_id != photo.id and same_time and any(box.iou(one) >= SAME_FACE_IOU for one in boxes):
            gone.append(row.id)
    _delete_lines(session, gone, copies, photo.content_hash, boxes)
    session.execute(delete(FaceRow).where(FaceRow.id.in_(gone)))
    for box in boxes:
        tombstones.add_face(session, photo.id, photo.content_hash, box, face_time)
    session.flush()
    session.expire_all()
    for photo_id in copies:
        project_photo(session, photo_id, settings)
    change_feed.record(session, ChangeKind.FACE_ERASED, photo.id, face_id)
    for photo_id in copies:
        if photo_id != photo.id:
            change_feed.record(session, ChangeKind.FACE_ERASED, photo_id)


def _boxes(session: Session, face: FaceRow) -> list[Box]:
    """Return the box of a face, and those in which the detector finds it if a person moved it."""
    found = [Box(face.x, face.y, face.width, face.height)]
    lines = session.execute(
        select(CorrectionRow.box, CorrectionRow.value_before).where(CorrectionRow.face_id == face.id)
    )
    for box, before in lines:
        for one in (box, (before or {}).get("box")):
            if one and all(Box(*one).iou(known) < 0.9 for known in found):
                found.append(Box(*one))
    return found


def _delete_lines(
    session: Session, face_ids: Sequence[int], photo_ids: Sequence[int], content_hash: str | None, boxes: Sequence[Box]
) -> None:
    """Delete the corrections of faces, and those that wait for a face at one of their boxes."""
    found = session.scalars(select(CorrectionRow.face_uid).where(CorrectionRow.face_id.in_(face_ids)))
    uids = {uid for uid in found if uid is not None}
    waiting = and_(CorrectionRow.photo_id.is_(None), CorrectionRow.content_hash == content_hash)
    lost = select(CorrectionRow).where(
        CorrectionRow.face_id.is_(None),
        CorrectionRow.box.is_not(None),
        or_(CorrectionRow.photo_id.in_(photo_ids), waiting),
    )
    same_place = [
        line.id
        for line in session.scalars(lost)
        if line.box is not None and any(Box(*line.box).iou(box) >= SAME_FACE_IOU for box in boxes)
    ]
    session.execute(
        delete(CorrectionRow).where(
            or_(
                CorrectionRow.face_id.in_(face_ids),
                CorrectionRow.face_uid.in_(uids),
                CorrectionRow.id.in_(same_place),
            )
        )
    )


def delete_orphans(session: Session) -> None:
    """Delete the undo and redo lines of corrections that were deleted."""
    rows = session.execute(
        select(CorrectionRow.id, CorrectionRow.value).where(CorrectionRow.kind.in_(UNDO_KINDS))
    ).all()
    uids = sorted({str(value["of"]) for _, value in rows})
    known: set[str] = set()
    for part in chunks(uids):
        known |= set(session.scalars(select(CorrectionRow.uid).where(CorrectionRow.uid.in_(part))))
    for orphans in chunks([number for number, value in rows if value["of"] not in known]):
        session.execute(delete(CorrectionRow).where(CorrectionRow.id.in_(orphans)))


# ---- One kind of estimate, or everything


def delete_embeddings(session: Session) -> None:
    """Delete all identity embeddings, also those in the log of corrections."""
    session.execute(delete(EmbeddingRow))
    session.execute(update(CorrectionRow).values(embedding=None, embedding_version=None))
    change_feed.record(session, ChangeKind.EMBEDDINGS_ERASED, None)


def delete_ages(session: Session, settings: TagSettings) -> None:
    """Delete all predictions of ages; corrections of ages stay."""
    nulls: dict[str, Any] = {
        column.name: None
        for column in PredictionRow.__table__.columns
        if "age" in column.name.split("_") or column.name in {f"p_{name}" for name in AGE_GROUPS}
    }
    _delete_predictions(session, nulls, "age", settings)


def delete_genders(session: Session, settings: TagSettings) -> None:
    """Delete all predictions of genders; corrections of genders stay."""
    _delete_predictions(session, {"p_female": None, "network_p_female": None}, "gender", settings)


def _delete_predictions(session: Session, nulls: dict[str, Any], kind: str, settings: TagSettings) -> None:
    """Set columns of all predictions to null, and remove them from the log's lines of a kind."""
    touched = session.scalars(
        select(FaceRow.photo_id).join(PredictionRow, PredictionRow.face_id == FaceRow.id).distinct()
    ).all()
    session.execute(update(PredictionRow).values(**nulls))
    session.execute(delete(PredictionRow).where(PredictionRow.age.is_(None), PredictionRow.p_female.is_(None)))
    for line in session.scalars(select(CorrectionRow).where(CorrectionRow.kind == kind)):
        if line.value_before and line.value_before.get("source") == "model":
            line.value_before = None
    session.flush()
    session.expire_all()
    for photo_id in touched:
        projection.recompute(session, photo_id, settings)


def delete_everything(session: Session) -> None:
    """Delete all rows of all tables but `meta`; numbers are not used again, so that hosts' cursors stay valid."""
    for table in reversed(Base.metadata.sorted_tables):
        if table is not MetaRow.__table__:
            session.execute(table.delete())
    session.expire_all()
    change_feed.record(session, ChangeKind.PHOTO_ERASED, None)
