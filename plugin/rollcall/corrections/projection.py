"""Project the log of corrections onto rows: verdicts, boxes, tags, and whether a photo is reviewed.

Readers of the views need not know the log: the effective corrections are written beside the predictions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.album_kinds import ALBUM_PHOTO
from rollcall.corrections.albums import project_album_photos
from rollcall.corrections.log_lines import LogLine, effective, log_lines, logs_of_photos
from rollcall.corrections.people import project_face_person
from rollcall.corrections.people_log import stated_person
from rollcall.records import AttributeLabels, Box, TagSource
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.bulk import insert_rows
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.estimates import mark_stale
from rollcall.storage.library import chunks, now
from rollcall.storage.tables import CorrectionRow, FaceRow, PhotoRow, TagRow, VerdictRow
from rollcall.tags.projection import recompute_all
from rollcall.tags.rules import tag_rules, with_slashes


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
        return with_slashes(str(names.get(line.value.get("group", ""), line.value["tag"])))

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
    project_photos(session, [photo_id], settings, with_faces={photo_id} if faces else ())


def project_photos(
    session: Session, photo_ids: Iterable[int], settings: TagSettings, *, with_faces: Collection[int]
) -> None:
    """Do the same for several photos, in statements for many together; `with_faces` are those whose faces may."""
    session.flush()
    names = tag_rules(settings).names
    for part in chunks(list(dict.fromkeys(photo_ids))):
        logs = logs_of_photos(session, part)
        project_album_photos(session, logs)
        _write_reviewed(session, logs)
        states = {photo_id: tag_states(log, names) for photo_id, log in logs.items()}
        _project_tags(session, {photo_id: found for photo_id, found in states.items() if found})
        session.flush()
        # A tag that is corrected no more may be an automatic one again.
        again = [one for one in part if one in with_faces or None in states[one].values()]
        recompute_all(session, again, settings)


def _write_reviewed(session: Session, logs: Mapping[int, Sequence[LogLine]]) -> None:
    # Who puts a photo into an album has not looked whether its faces are right.
    reviewed = {key for key, log in logs.items() if any(line.kind != ALBUM_PHOTO for line in effective(log))}
    stored = session.execute(select(PhotoRow.id, PhotoRow.reviewed).where(PhotoRow.id.in_(list(logs)))).all()
    for value in (True, False):
        changed = [key for key, before in stored if (key in reviewed) is value and bool(before) is not value]
        if changed:
            session.execute(update(PhotoRow).where(PhotoRow.id.in_(changed)).values(reviewed=value))


def _project_tags(session: Session, states: Mapping[int, Mapping[str, str | None]]) -> None:
    """Set tags as people corrected them, by photo; those with no state, as they were before the corrections."""
    stored: dict[int, dict[str, TagRow]] = {photo_id: {} for photo_id in states}
    # Of two forms of a name that with '/' is the last one, and stays.
    rows_of = select(TagRow).where(TagRow.photo_id.in_(list(states)))
    for row in sorted(session.scalars(rows_of).all(), key=lambda one: "|" not in one.name):
        stored[row.photo_id][with_slashes(row.name)] = row
    hosts = _host_tags(session, [photo_id for photo_id, found in states.items() if None in found.values()])
    added: list[dict[str, Any]] = []
    gone: list[int] = []
    for photo_id, of_photo in states.items():
        rows = stored[photo_id]
        before = {name: (row.source, row.state) for name, row in rows.items() if row.source != TagSource.AUTO}
        after = dict(before)
        for name, state in of_photo.items():
            known = rows.get(name)
            if state is not None and known is not None:
                known.name, known.source, known.state = name, TagSource.USER, state
                after[name] = (known.source, known.state)
            elif state is not None:
                after[name] = (TagSource.USER, state)
                added.append(_tag_row(photo_id, name, *after[name]))
            elif known is not None and known.source == TagSource.USER:
                gone.append(known.id)
                del after[name]
                if (photo_id, name) in hosts:
                    after[name] = (TagSource.HOST, hosts[photo_id, name])
                    added.append(_tag_row(photo_id, name, *after[name]))
        if before != after:
            change_feed.record(session, ChangeKind.TAGS_CHANGED, photo_id)
    for part in chunks(gone):
        session.execute(delete(TagRow).where(TagRow.id.in_(part)))
    insert_rows(session, TagRow, added)


def _tag_row(photo_id: int, name: str, source: str, state: str) -> dict[str, Any]:
    values = {"photo_id": photo_id, "name": name, "source": source, "state": state}
    return {**values, "probability": None, "created_at": now()}


def _host_tags(session: Session, photo_ids: Sequence[int]) -> dict[tuple[int, str], str]:
    """Return the states of the tags that a host had set before a person corrected them first, by photo and name."""
    if not photo_ids:
        return {}
    lines = session.execute(
        select(CorrectionRow.photo_id, CorrectionRow.value, CorrectionRow.value_before)
        .where(CorrectionRow.photo_id.in_(photo_ids), CorrectionRow.kind == "tag")
        .order_by(CorrectionRow.made_at, CorrectionRow.id)
    ).all()
    first: dict[tuple[int, str], Mapping[str, Any] | None] = {}
    for photo_id, value, before in lines:
        first.setdefault((photo_id, with_slashes(value["tag"])), before)
    return {key: before["state"] for key, before in first.items() if before and before.get("source") == TagSource.HOST}
