"""Project the log of corrections onto rows: verdicts, boxes, tags, and whether a photo is reviewed.

Readers of the views need not know the log: the effective corrections are written beside the predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.album_kinds import ALBUM_PHOTO
from rollcall.corrections.albums import project_album_photo
from rollcall.corrections.log_lines import LogLine, effective, log_lines
from rollcall.corrections.people import project_face_person
from rollcall.corrections.people_log import stated_person
from rollcall.records import AttributeLabels, Box, TagSource
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.estimates import mark_stale
from rollcall.storage.library import now
from rollcall.storage.tables import CorrectionRow, FaceRow, PhotoRow, TagRow, VerdictRow
from rollcall.tags.projection import recompute
from rollcall.tags.rules import tag_rules


class FaceState(NamedTuple):
    """The effective corrections of a face."""

    labels: AttributeLabels
    dismissed: bool
    box: Box | None  # as a person drew or moved it
    drawing_undone: bool  # the face was drawn by hand, and that was undone
    is_somebody: bool  # a person said who it is


def face_state(log: Sequence[LogLine]) -> FaceState:
    """Return the effective corrections of the log of one face (oldest first)."""
    lines = effective(log)
    newest = {line.kind: line.value for line in lines}
    person, _ = stated_person(lines)
    years, label, box = newest.get("age") or {}, newest.get("gender") or {}, newest.get("box") or {}
    dismissed = any(newest.get(kind) for kind in ("not_a_face", "ignore"))
    drawn = any(line.kind == "box" and line.value.get("drawn") for line in log)
    return FaceState(
        AttributeLabels(years.get("low"), years.get("high"), "label" in label, label.get("label")),
        dismissed,
        Box(*box["box"]) if box else None,
        drawn and not box,
        person is not None and person.kind == "person",
    )


def tag_states(log: Sequence[LogLine], names: Mapping[str, str]) -> dict[str, str | None]:
    """Return the state of every tag in the log of a photo (oldest first); None: it is not corrected any more.

    `names` are the present names of the automatic tags by group: a correction of a tag that was renamed is effective
    under its new name, too.
    """

    def name(line: LogLine) -> str:
        return str(names.get(line.value.get("group", ""), line.value["tag"]))

    result: dict[str, str | None] = {name(line): None for line in log if line.kind == "tag"}
    for line in effective(log):
        if line.kind == "tag":
            result[name(line)] = line.value.get("state")
    return result


# ---- Faces


def project_faces(session: Session, face_ids: Iterable[int]) -> set[int]:
    """Project the corrections of some faces; return those whose estimates have to be made again."""
    stale: set[int] = set()
    for face_id in face_ids:
        face = session.get(FaceRow, face_id)
        if face is not None:
            stale |= project_face(session, face)
    session.flush()
    return stale


def project_face(session: Session, face: FaceRow) -> set[int]:
    """Project the corrections of one face; return its number if its estimates have to be made again."""
    state = face_state(log_lines(session, CorrectionRow.face_id == face.id))
    _write_verdict(session, face.id, state)
    project_face_person(session, face.id)
    was_hidden = not face.present
    seen = face.detected or face.given_by_host
    face.present = seen or state.box is not None or _is_confirmed(session, face, state)
    before = Box(face.x, face.y, face.width, face.height)
    box = _effective_box(session, face, state, before)
    if box is None or max(abs(a - b) for a, b in zip(box, before, strict=True)) < 1e-6:
        return {face.id} if was_hidden and face.present else set()
    face.landmarks = [
        [box.x + (x - before.x) * box.width / before.width, box.y + (y - before.y) * box.height / before.height]
        for x, y in face.landmarks
    ]
    face.x, face.y, face.width, face.height = box
    mark_stale(session, face.id)
    return {face.id}


def _write_verdict(session: Session, face_id: int, state: FaceState) -> None:
    """Replace the row of a face's effective corrections; a face without any has no row."""
    labels = state.labels
    derived = session.execute(
        select(VerdictRow.age_low, VerdictRow.age_high).where(VerdictRow.face_id == face_id, VerdictRow.age_derived)
    ).first()
    if labels.age_low is None and derived is not None:
        # Grouping derives it again when the person or their birth date changes.
        labels = labels._replace(age_low=derived[0], age_high=derived[1])
    session.execute(delete(VerdictRow).where(VerdictRow.face_id == face_id))
    if state.dismissed or labels.age_low is not None or labels.gender_given:
        session.execute(
            insert(VerdictRow).values(
                face_id=face_id,
                age_low=labels.age_low,
                age_high=labels.age_high,
                gender=labels.gender,
                gender_given=labels.gender_given,
                dismissed=state.dismissed,
                age_derived=state.labels.age_low is None and labels.age_low is not None,
            )
        )


def _is_confirmed(session: Session, face: FaceRow, state: FaceState) -> bool:
    """Return whether a correction of age, gender or person confirms a face that the detector does not find."""
    labelled = state.labels.age_low is not None or state.labels.gender_given or state.is_somebody
    return labelled and not state.drawing_undone and _is_of_this_content(session, face)


def _is_of_this_content(session: Session, face: FaceRow) -> bool:
    """Return whether a face was last seen in the picture as it is now, not only before it was edited."""
    found = session.scalar(
        select(CorrectionRow.id)
        .join(PhotoRow, PhotoRow.id == face.photo_id)
        .where(CorrectionRow.face_id == face.id, CorrectionRow.content_hash == PhotoRow.content_hash)
        .limit(1)
    )
    return found is not None


def _effective_box(session: Session, face: FaceRow, state: FaceState, before: Box) -> Box | None:
    """Return the box that the corrections give a face, and set its column `drawn`; None: the box does not change."""
    if state.box is not None:
        face.drawn = True
        return state.box
    if not face.drawn or state.drawing_undone:
        return None
    # A move by hand was undone: the face goes back to where it was before the first move.
    face.drawn = False
    first = session.scalars(
        select(CorrectionRow.value_before)
        .where(CorrectionRow.face_id == face.id, CorrectionRow.kind == "box")
        .order_by(CorrectionRow.made_at, CorrectionRow.id)
        .limit(1)
    ).first()
    return Box(*first["box"]) if first else before


# ---- Photos


def project_photo(session: Session, photo_id: int, settings: TagSettings, *, faces: bool = True) -> None:
    """Project the corrections of a photo: its tags, its groups, its albums, and whether it is reviewed.

    `faces`: whether any of its faces may have changed; without, groups and automatic tags stay as they are.
    """
    session.flush()
    log = log_lines(session, CorrectionRow.photo_id == photo_id)
    # Who puts a photo into an album has not looked whether its faces are right.
    reviewed = any(line.kind != ALBUM_PHOTO for line in effective(log))
    project_album_photo(session, photo_id, log)
    session.execute(update(PhotoRow).where(PhotoRow.id == photo_id).values(reviewed=reviewed))
    before = _manual_tags(session, photo_id)
    states = tag_states(log, tag_rules(settings).names)
    for name, state in states.items():
        _project_tag(session, photo_id, name, state)
    session.flush()
    if before != _manual_tags(session, photo_id):
        change_feed.record(session, ChangeKind.TAGS_CHANGED, photo_id)
    # A tag that is corrected no more may be an automatic one again.
    if faces or None in states.values():
        recompute(session, photo_id, settings)


def _manual_tags(session: Session, photo_id: int) -> set[tuple[Any, ...]]:
    """Return the tags that people and hosts set."""
    rows = session.execute(
        select(TagRow.name, TagRow.source, TagRow.state).where(
            TagRow.photo_id == photo_id, TagRow.source != TagSource.AUTO
        )
    )
    return {tuple(row) for row in rows}


def _project_tag(session: Session, photo_id: int, name: str, state: str | None) -> None:
    """Set a tag as a person corrected it; with no state, as it was before the corrections."""
    row = session.scalar(select(TagRow).where(TagRow.photo_id == photo_id, TagRow.name == name))
    if state is not None:
        if row is None:
            row = TagRow(photo_id=photo_id, name=name, created_at=now(), probability=None)
            session.add(row)
        row.source, row.state = TagSource.USER, state
    elif row is not None and row.source == TagSource.USER:
        session.delete(row)
        session.flush()
        _restore_host_tag(session, photo_id, name)


def _restore_host_tag(session: Session, photo_id: int, name: str) -> None:
    """Set a tag again as the host had set it before a person corrected it."""
    lines = session.execute(
        select(CorrectionRow.value, CorrectionRow.value_before)
        .where(CorrectionRow.photo_id == photo_id, CorrectionRow.kind == "tag")
        .order_by(CorrectionRow.made_at, CorrectionRow.id)
    )
    before = next((before for value, before in lines if value["tag"] == name), None)
    if before is not None and before.get("source") == TagSource.HOST:
        session.add(
            TagRow(photo_id=photo_id, name=name, source=TagSource.HOST, state=before["state"], created_at=now())
        )
