"""Recompute the stored groups and automatic tags of photos from predictions and corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from rollcall.records import AttributeLabels, TagSource, TagState
from rollcall.settings import TagSettings
from rollcall.storage import change_feed, revisions
from rollcall.storage.bulk import insert_rows
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import chunks, now
from rollcall.storage.tables import FaceRow, PhotoGroupRow, PhotoRow, PredictionRow, TagRow, VerdictRow
from rollcall.tags import names
from rollcall.tags.rules import (
    FaceProbabilities,
    Tag,
    automatic_tags,
    group_probabilities,
    tag_rules,
    with_labels,
)

_PHOTOS: Final = PhotoRow.__table__
assert isinstance(_PHOTOS, Table)
_COUNT: Final = (
    update(_PHOTOS)
    .where(_PHOTOS.c.id == bindparam("of"))
    .values(face_count=bindparam("count"), revision=bindparam("by"))
)


def recompute(session: Session, photo_id: int, settings: TagSettings) -> None:
    """Recompute a photo's group probabilities, number of faces and automatic tags from its faces and corrections.

    Tags that a person or a host set, and tags that a person rejected, stay as they are.
    """
    recompute_all(session, [photo_id], settings)


def recompute_all(session: Session, photo_ids: Sequence[int], settings: TagSettings) -> None:
    """Do the same for several photos, in statements for many of them together."""
    session.flush()
    for part in chunks(list(dict.fromkeys(photo_ids))):
        _write(session, _probabilities(session, part), settings)


def add_new(session: Session, photos: Sequence[tuple[int, Sequence[Mapping[str, Any]]]], settings: TagSettings) -> None:
    """Write the groups and automatic tags of photos without rows yet, from the columns of their faces' predictions.

    Does what `recompute` does, in statements for all photos together; their numbers of faces are written by the caller.
    """
    groups: list[dict[str, Any]] = []
    tags: list[dict[str, Any]] = []
    for photo_id, predictions in photos:
        faces = [FaceProbabilities(*map(one.get, FaceProbabilities._fields)) for one in predictions]
        probabilities = group_probabilities(faces)
        groups += _group_rows(photo_id, probabilities)
        wanted = automatic_tags(probabilities, len(faces), tag_rules(settings))
        _record_changes(session, photo_id, {}, wanted)
        tags += [_tag_row(photo_id, tag) for tag in wanted]
    insert_rows(session, PhotoGroupRow, groups)
    insert_rows(session, TagRow, tags)


def effective_probabilities(session: Session, photo_id: int) -> list[FaceProbabilities]:
    """Return the probabilities of each visible face of a photo, with corrections in place of predictions."""
    return _probabilities(session, [photo_id])[photo_id]


def _probabilities(session: Session, photo_ids: Sequence[int]) -> dict[int, list[FaceProbabilities]]:
    """Return the same by photo."""
    predicted = [getattr(PredictionRow, name) for name in FaceProbabilities._fields]
    labels = (VerdictRow.age_low, VerdictRow.age_high, VerdictRow.gender_given, VerdictRow.gender)
    rows = session.execute(
        select(FaceRow.photo_id, VerdictRow.dismissed, *labels, *predicted)
        .select_from(FaceRow)
        .outerjoin(PredictionRow, PredictionRow.face_id == FaceRow.id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(FaceRow.photo_id.in_(photo_ids), FaceRow.present)
        .order_by(FaceRow.id)
    ).all()
    result: dict[int, list[FaceProbabilities]] = {photo_id: [] for photo_id in photo_ids}
    for photo_id, dismissed, low, high, given, gender, *predictions in rows:
        if not dismissed:
            face = FaceProbabilities(*predictions)
            result[photo_id].append(with_labels(face, AttributeLabels(low, high, bool(given), gender)))
    return result


def _write(session: Session, photos: Mapping[int, Sequence[FaceProbabilities]], settings: TagSettings) -> None:
    groups = {photo_id: group_probabilities(faces) for photo_id, faces in photos.items()}
    _write_counts(session, {photo_id: len(faces) for photo_id, faces in photos.items()})
    # None of these rows is ever an object of a session.
    gone = delete(PhotoGroupRow).where(PhotoGroupRow.photo_id.in_(list(photos)))
    session.execute(gone, execution_options={"synchronize_session": False})
    insert_rows(session, PhotoGroupRow, [row for key, found in groups.items() for row in _group_rows(key, found)])
    rules, of_people = tag_rules(settings), names.of_photos(session, list(photos), settings)
    _write_tags(
        session,
        {
            photo_id: automatic_tags(groups[photo_id], len(faces), rules) + of_people.get(photo_id, [])
            for photo_id, faces in photos.items()
        },
    )


def _write_counts(session: Session, faces: Mapping[int, int]) -> None:
    """Write the numbers of faces of photos, which makes a revision of them."""
    revision = revisions.take(session)
    session.connection().execute(
        _COUNT, [{"of": photo_id, "count": count, "by": revision} for photo_id, count in faces.items()]
    )
    for photo_id in faces:
        known = session.identity_map.get(identity_key(PhotoRow, photo_id))
        if known is not None:
            session.expire(known, ["face_count", "revision"])


def _group_rows(photo_id: int, groups: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    return [
        {"photo_id": photo_id, "name": name, "at_least": count, "probability": probability}
        for name, probabilities in groups.items()
        for count, probability in enumerate(probabilities, 1)
    ]


def _tag_row(photo_id: int, tag: Tag) -> dict[str, Any]:
    return {
        "photo_id": photo_id,
        "name": tag.name,
        "source": TagSource.AUTO,
        "probability": tag.probability,
        "state": tag.state,
        "created_at": now(),
    }


def _write_tags(session: Session, photos: Mapping[int, Sequence[Tag]]) -> None:
    """Make the automatic tags of photos the wanted ones; tags of people and hosts, and rejected ones, stay."""
    stored: dict[int, dict[str, TagRow]] = {photo_id: {} for photo_id in photos}
    for row in session.scalars(select(TagRow).where(TagRow.photo_id.in_(list(photos)))).all():
        stored[row.photo_id][row.name] = row
    added: list[dict[str, Any]] = []
    for photo_id, wanted in photos.items():
        rows = stored[photo_id]
        _record_changes(session, photo_id, rows, wanted)
        for tag in wanted:
            known = rows.pop(tag.name, None)
            if known is None:
                added.append(_tag_row(photo_id, tag))
            elif is_replaceable(known):
                known.probability, known.state = tag.probability, tag.state
    insert_rows(session, TagRow, added)
    for rows in stored.values():
        for row in rows.values():
            if is_replaceable(row):
                session.delete(row)


def is_replaceable(row: TagRow) -> bool:
    """Return whether Rollcall may change or delete a tag: it set the tag, and nobody rejected it."""
    return row.source == TagSource.AUTO and row.state != TagState.REJECTED


def _record_changes(session: Session, photo_id: int, stored: Mapping[str, TagRow], wanted: Sequence[Tag]) -> None:
    """Record in the change feed whether the tags change, and whether a new suggestion waits for review."""
    before = {(row.name, row.state) for row in stored.values() if row.source == TagSource.AUTO}
    after = {
        (tag.name, str(tag.state))
        for tag in wanted
        if tag.name not in stored or stored[tag.name].source == TagSource.AUTO
    }
    if before != after:
        change_feed.record(session, ChangeKind.TAGS_CHANGED, photo_id)
    if any(state == TagState.SUGGESTED for _, state in after - before):
        change_feed.record(session, ChangeKind.REVIEW_NEEDED, photo_id)
