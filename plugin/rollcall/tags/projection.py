"""Recompute the stored groups and automatic tags of photos from predictions and corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from rollcall.records import AttributeLabels, TagSource, TagState
from rollcall.settings import TagSettings
from rollcall.storage import change_feed, revisions
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
    _write(session, photo_id, effective_probabilities(session, photo_id), settings, new=False)


def compute_new(
    session: Session, photo_id: int, predictions: Sequence[Mapping[str, Any]], settings: TagSettings
) -> None:
    """Do the same as `recompute` for a photo without rows yet, from the columns of its faces' predictions."""
    faces = [FaceProbabilities(**{name: one.get(name) for name in FaceProbabilities._fields}) for one in predictions]
    _write(session, photo_id, faces, settings, new=True)


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


def _write(
    session: Session, photo_id: int, faces: Sequence[FaceProbabilities], settings: TagSettings, *, new: bool
) -> None:
    groups = group_probabilities(faces)
    values = {"face_count": len(faces), "revision": revisions.take(session)}
    session.execute(update(PhotoRow).where(PhotoRow.id == photo_id).values(**values))
    if not new:
        session.execute(delete(PhotoGroupRow).where(PhotoGroupRow.photo_id == photo_id))
    if groups:
        session.execute(
            insert(PhotoGroupRow.__table__),  # type: ignore[arg-type]
            [
                {"photo_id": photo_id, "name": name, "at_least": count, "probability": probability}
                for name, probabilities in groups.items()
                for count, probability in enumerate(probabilities, 1)
            ],
        )
    wanted = automatic_tags(groups, len(faces), tag_rules(settings))
    if not new:
        wanted += names.of_photos(session, [photo_id], settings).get(photo_id, [])
    if wanted or not new:
        _write_tags(session, photo_id, wanted, new=new)


def _write_tags(session: Session, photo_id: int, wanted: Sequence[Tag], *, new: bool) -> None:
    """Make a photo's automatic tags the wanted ones; tags of people and hosts, and rejected ones, stay."""
    rows = [] if new else session.scalars(select(TagRow).where(TagRow.photo_id == photo_id)).all()
    stored = {row.name: row for row in rows}
    _record_changes(session, photo_id, stored, wanted)
    added = []
    for tag in wanted:
        row = stored.pop(tag.name, None)
        if row is None:
            added.append(
                {
                    "photo_id": photo_id,
                    "name": tag.name,
                    "source": TagSource.AUTO,
                    "probability": tag.probability,
                    "state": tag.state,
                    "created_at": now(),
                }
            )
        elif is_replaceable(row):
            row.probability, row.state = tag.probability, tag.state
    if added:
        session.execute(insert(TagRow.__table__), added)  # type: ignore[arg-type]
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
