"""Recompute the stored groups and automatic tags of photos from predictions and corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from rollcall.records import AttributeLabels, TagSource, TagState
from rollcall.settings import TagSettings
from rollcall.storage import change_feed, revisions
from rollcall.storage.bulk import insert_rows
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import now
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


def recompute(session: Session, photo_id: int, settings: TagSettings) -> None:
    """Recompute a photo's group probabilities, number of faces and automatic tags from its faces and corrections.

    Tags that a person or a host set, and tags that a person rejected, stay as they are.
    """
    session.flush()
    _write(session, photo_id, effective_probabilities(session, photo_id), settings)


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
    rows = session.execute(
        select(PredictionRow, VerdictRow)
        .select_from(FaceRow)
        .outerjoin(PredictionRow, PredictionRow.face_id == FaceRow.id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo_id, FaceRow.present)
        .order_by(FaceRow.id)
    )
    result = []
    for prediction, verdict in rows:
        if verdict is not None and verdict.dismissed:
            continue
        face = FaceProbabilities(**{name: getattr(prediction, name, None) for name in FaceProbabilities._fields})
        labels = AttributeLabels()
        if verdict is not None:
            labels = AttributeLabels(verdict.age_low, verdict.age_high, verdict.gender_given, verdict.gender)
        result.append(with_labels(face, labels))
    return result


def _write(session: Session, photo_id: int, faces: Sequence[FaceProbabilities], settings: TagSettings) -> None:
    groups = group_probabilities(faces)
    values = {"face_count": len(faces), "revision": revisions.take(session)}
    session.execute(update(PhotoRow).where(PhotoRow.id == photo_id).values(**values))
    session.execute(delete(PhotoGroupRow).where(PhotoGroupRow.photo_id == photo_id))
    insert_rows(session, PhotoGroupRow, _group_rows(photo_id, groups))
    wanted = automatic_tags(groups, len(faces), tag_rules(settings))
    _write_tags(session, photo_id, wanted + names.of_photos(session, [photo_id], settings).get(photo_id, []))


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


def _write_tags(session: Session, photo_id: int, wanted: Sequence[Tag]) -> None:
    """Make a photo's automatic tags the wanted ones; tags of people and hosts, and rejected ones, stay."""
    stored = {row.name: row for row in session.scalars(select(TagRow).where(TagRow.photo_id == photo_id))}
    _record_changes(session, photo_id, stored, wanted)
    added = []
    for tag in wanted:
        row = stored.pop(tag.name, None)
        if row is None:
            added.append(_tag_row(photo_id, tag))
        elif is_replaceable(row):
            row.probability, row.state = tag.probability, tag.state
    insert_rows(session, TagRow, added)
    for row in stored.values():
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
