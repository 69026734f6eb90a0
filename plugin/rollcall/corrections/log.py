"""The log of corrections: written and read. Lines are added; only an erasure removes them.

`photo_id` and `face_id` of a line are its photo and face at present. `undo`, `reattach` and `transfer` work on the
log; `projection` writes the effective corrections beside the predictions, so that readers need not know the log.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select
from sqlalchemy.orm import Session

from rollcall.corrections.album_kinds import ALBUM_KINDS
from rollcall.corrections.albums import project_albums
from rollcall.corrections.before import Known
from rollcall.corrections.kinds import FACE_KINDS, BoxCorrection, Correction, stored_kind
from rollcall.corrections.log_lines import UNDO_KINDS, log_lines, of_a_photo, undone_uids
from rollcall.corrections.parting import divided_people, faces_before
from rollcall.corrections.people import project_people
from rollcall.corrections.person_kinds import PERSON_KINDS, NotPerson, PersonMerge
from rollcall.corrections.projection import project_face, project_photos
from rollcall.errors import NotFoundError
from rollcall.records import Box, PhotoState
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import chunks, now
from rollcall.storage.tables import CorrectionRow, EmbeddingRow, FaceRow, PhotoRow
from rollcall.tags.rules import tag_rules

#: The mean positions of eyes, nose and mouth in a face's box, until the networks have analysed a drawn face.
_TYPICAL_LANDMARKS: Final = ((0.31, 0.4), (0.69, 0.4), (0.5, 0.6), (0.35, 0.79), (0.65, 0.79))


@dataclass
class CorrectionResult:
    """The effect of a change of the log."""

    batch: str = ""
    count: int = 0  # corrections recorded, undone or redone
    photo_ids: set[int] = field(default_factory=set)
    # Faces whose box is new: the networks have still to analyse them.
    undescribed: set[int] = field(default_factory=set)
    # The face of each correction, None for a photo's; of a drawn face the number that it got.
    face_ids: list[int | None] = field(default_factory=list)
    # Of an undo or redo: the lines that were undone or redone.
    entries: list[LogEntry] = field(default_factory=list)

    def add(self, more: CorrectionResult) -> None:
        """Add the effect of another change."""
        self.count += more.count
        self.photo_ids |= more.photo_ids
        self.entries += more.entries
        self.undescribed |= more.undescribed


class LogEntry(NamedTuple):
    """One line of the log, for people and hosts."""

    id: int  # grows with each line
    uid: str  # the same in every database that the line is imported into
    batch: str  # the same for corrections that are undone together
    made_at: str  # UTC, ISO 8601
    made_by: str
    kind: str  # a kind of corrections; "undo" or "redo"
    photo_id: int | None  # None while the line waits for its photo
    face_id: int | None  # None of a photo, and while the line waits for its face
    value: Mapping[str, Any]  # as `rollcall.corrections.kinds` stores it; empty: withdrawn
    value_before: Mapping[str, Any] | None
    undone: bool
    path: str | None  # of the photo when it was last seen, below its root
    of_line: int | None = None  # of an undo or redo: the number of the line that it undid or redid


# ---- Writing


def record(
    session: Session, given: Sequence[Correction], by: str, settings: TagSettings, origin: str | None = None
) -> CorrectionResult:
    """Add corrections to the log as one batch; they are effective at once.

    `by` names who made them, and `origin` the tab, program or process they came from.

    Raises
    ------
    NotFoundError
        If one of them names a face or photo that is not there; then none is added.
    """
    result = CorrectionResult(batch=uuid.uuid4().hex)
    moment = next_moment(session)
    groups = {name: group for group, name in tag_rules(settings).names.items()}
    about_people = about_albums = False
    with_faces: set[int] = set()
    known = Known(session, given)
    lines: list[dict[str, Any]] = []
    divided = divided_people(given)
    for number, correction in enumerate(given):
        known.load(number)
        face, photo = _target(session, correction)
        before = None
        if photo is None:
            about_albums = about_albums or stored_kind(correction) in ALBUM_KINDS
            about_people = about_people or stored_kind(correction) in PERSON_KINDS
            if isinstance(correction, PersonMerge):
                before = faces_before(session, correction.other)
        elif isinstance(correction, BoxCorrection) and correction.drawn:
            box = correction.box
            when = _moment(photo, correction.video_time)
            face = draw_face(session, photo.id, Box(box.x, box.y, box.width, box.height), video_time=when)
            result.undescribed.add(face.id)
        else:
            before = known.value_before(correction, face)
            if isinstance(correction, NotPerson) and correction.person in divided:
                divided.discard(correction.person)
                before = {**(before or {}), "faces": faces_before(session, correction.person)["faces"]}
        line = _line(session, correction, face, photo, result.batch, moment, by, before, groups)
        lines.append({**line, "origin": origin})
        if face is not None:
            # At once, not at the end: the next correction may be of the same face and reads its present state.
            add_lines(session, lines)
            result.undescribed |= project_face(session, face)
            with_faces.add(face.photo_id)
        result.face_ids.append(None if face is None else face.id)
        result.count += 1
        if photo is not None:
            result.photo_ids.add(photo.id)
            change_feed.record(session, ChangeKind.CORRECTED, photo.id, None if face is None else face.id)
    add_lines(session, lines)
    if about_people:
        project_people(session)
    if about_albums or about_people:
        # An album's query names people, who may be called otherwise now.
        project_albums(session)
    project_photos(session, sorted(result.photo_ids), settings, with_faces=with_faces)
    return result


def _moment(photo: PhotoRow, given: float | None) -> float | None:
    """Return when a new face is seen in a video: as given, else in the frame that stands for it; None in a photo."""
    if photo.duration is None:
        return None
    return photo.poster_time if given is None else min(given, photo.duration)


def _target(session: Session, correction: Correction) -> tuple[FaceRow | None, PhotoRow | None]:
    """Return the face, if any, and the photo that a correction is of; one of a person or an album is of neither."""
    if stored_kind(correction) in (*PERSON_KINDS, *ALBUM_KINDS):
        return None, None
    if correction.face_id is not None:
        face = session.get(FaceRow, correction.face_id)
        if face is None:
            raise NotFoundError("face", correction.face_id)
        return face, session.get_one(PhotoRow, face.photo_id)
    photo = session.get(PhotoRow, correction.photo_id)
    if photo is None:
        raise NotFoundError("photo", str(correction.photo_id))
    return None, photo


def _line(
    session: Session,
    correction: Correction,
    face: FaceRow | None,
    photo: PhotoRow | None,
    batch: str,
    moment: str,
    by: str,
    before: dict[str, Any] | None,
    groups: Mapping[str, str],
) -> dict[str, Any]:
    """Return a line of the log with everything that `reattach` needs of its photo and face."""
    embedding = None if face is None else session.get(EmbeddingRow, face.id, populate_existing=True)
    if embedding is not None and embedding.stale:
        embedding = None
    value = dict(correction.value())
    uid = uuid.uuid4().hex
    if value.get("tag") in groups:
        # An automatic tag may be renamed or translated later; its group stays the same.
        value["group"] = groups[value["tag"]]
    return {
        "uid": uid,
        "batch": batch,
        "made_at": moment,
        "made_by": by,
        "kind": stored_kind(correction),
        "photo_id": None if photo is None else photo.id,
        "face_id": None if face is None else face.id,
        "content_hash": None if photo is None else photo.content_hash,
        "path": None if photo is None else photo.path,
        "box": None if face is None else [face.x, face.y, face.width, face.height],
        "video_time": None if face is None else face.video_time,
        "embedding": None if embedding is None else embedding.vector,
        "embedding_version": None if embedding is None else embedding.model_version,
        "perceptual_hash": None if photo is None else photo.perceptual_hash,
        "face_uid": None if face is None else _face_uid(session, face.id) or uid,
        "value": value,
        "value_before": before,
    }


def add_lines(session: Session, lines: list[dict[str, Any]]) -> None:
    """Write lines of the log, all with the same columns, in their order, and empty the list."""
    if lines:
        session.flush()
        session.execute(insert(CorrectionRow), lines)
        lines.clear()


def _face_uid(session: Session, face_id: int) -> str | None:
    """Return the uid that the lines of a face share in every database; None if there are no lines yet."""
    return session.scalar(
        select(CorrectionRow.face_uid).where(CorrectionRow.face_id == face_id).order_by(CorrectionRow.id).limit(1)
    )


def next_moment(session: Session) -> str:
    """Return the time, at least the newest line's: when the clock was set back, the newer line must still win."""
    return max(now(), session.scalar(select(func.max(CorrectionRow.made_at))) or "")


def draw_face(
    session: Session, photo_id: int, box: Box, *, by_host: bool = False, video_time: float | None = None
) -> FaceRow:
    """Add a face that a person drew, or another program marked; `box` is in fractions of the upright picture.

    `video_time` is where in a video that picture is, in seconds.
    """
    face = FaceRow(
        photo_id=photo_id,
        x=box.x,
        y=box.y,
        width=box.width,
        height=box.height,
        landmarks=[[box.x + box.width * a, box.y + box.height * b] for a, b in _TYPICAL_LANDMARKS],
        score=0.0,
        sharpness=0.0,
        detected=False,
        present=True,
        drawn=not by_host,
        given_by_host=by_host,
        video_time=video_time,
    )
    session.add(face)
    session.flush()
    return face


# ---- Reading


def entries(session: Session, *, limit: int | None = None, before: int | None = None) -> list[LogEntry]:
    """Return the log, the newest line first; with `before` only lines older than that number."""
    undone = undone_uids(log_lines(session, CorrectionRow.kind.in_(UNDO_KINDS)))
    rows: Select[Any] = select(CorrectionRow).order_by(CorrectionRow.id.desc())
    if before is not None:
        rows = rows.where(CorrectionRow.id < before)
    if limit is not None:
        rows = rows.limit(limit)
    found = list(session.scalars(rows))
    uids = sorted({str(row.value["of"]) for row in found if row.kind in UNDO_KINDS})
    numbers: dict[str, int] = {}
    for part in chunks(uids):
        known = session.execute(select(CorrectionRow.uid, CorrectionRow.id).where(CorrectionRow.uid.in_(part)))
        numbers |= {row[0]: row[1] for row in known}
    return [
        entry_of(row, undone)._replace(of_line=numbers.get(str(row.value["of"])) if row.kind in UNDO_KINDS else None)
        for row in found
    ]


def waiting(session: Session) -> list[LogEntry]:
    """Return the lines whose photo or face cannot be found at present, and those of missing photos.

    Undone lines are left out, and so are dismissals of faces that are hidden anyway.
    """
    missing = select(PhotoRow.id).where(PhotoRow.state == PhotoState.MISSING)
    hidden = select(FaceRow.id).where(~FaceRow.present)
    rows = session.scalars(
        select(CorrectionRow)
        .where(
            CorrectionRow.kind.not_in(UNDO_KINDS),
            or_(
                and_(CorrectionRow.photo_id.is_(None), of_a_photo()),
                CorrectionRow.photo_id.in_(missing),
                without_face(),
                and_(CorrectionRow.face_id.in_(hidden), CorrectionRow.kind.not_in(("not_a_face", "ignore"))),
            ),
        )
        .order_by(CorrectionRow.id)
    )
    undone = undone_uids(log_lines(session, CorrectionRow.kind.in_(UNDO_KINDS)))
    return [entry_of(row, undone) for row in rows if row.uid not in undone]


def entry_of(row: CorrectionRow, undone: set[str]) -> LogEntry:
    """Return a row of the log, given the uids of the lines that are undone."""
    return LogEntry(
        row.id,
        row.uid,
        row.batch,
        row.made_at,
        row.made_by,
        row.kind,
        row.photo_id,
        row.face_id,
        row.value,
        row.value_before,
        row.uid in undone,
        row.path,
    )


def without_face() -> ColumnElement[bool]:
    """Return the condition of lines whose face is not known at present."""
    return and_(CorrectionRow.face_id.is_(None), CorrectionRow.kind.in_(FACE_KINDS))
