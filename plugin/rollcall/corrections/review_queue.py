"""The review queue: the faces to ask a person about next, by expected information gain.

The gain of a face is summed over the suggested tags of its photo. For one tag it is the mutual information, in bits,
of whether the face belongs to the tag's group and whether any face of the photo does. A face leaves the queue when it
is corrected or skipped, or when a correction of another face decides the tag.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollcall.ages import AGE_GROUPS, any_of
from rollcall.corrections import kinds
from rollcall.corrections.kinds import Correction
from rollcall.records import TagSource, TagState
from rollcall.search import details
from rollcall.search.details import FaceDetails, PhotoDetails
from rollcall.settings import TagSettings
from rollcall.storage.tables import TagRow
from rollcall.tags.rules import tag_rules

#: How many suggested tags, the least certain ones, are ranked at a time.
RANKED_TAGS: Final = 3000
#: The answers of one key, by name: the lowest and the highest age, in completed years.
ANSWERS: Final[Mapping[str, tuple[int, int]]] = {
    "baby": (0, 2),
    "child": (3, 12),
    "teenager": (13, 19),
    "adult": (20, 59),
    "senior": (60, kinds.OLDEST),
}


@dataclass(frozen=True, slots=True)
class Question:
    """The question whether a face belongs to a group."""

    photo: PhotoDetails
    face: FaceDetails
    group: str  # children, seniors, ...
    tag: str  # the suggested tag of the photo
    probability: float  # that this face belongs to the group
    gain: float  # expected information about the tag, in bits

    def yes(self) -> Correction:
        """Return the correction of the answer yes."""
        return kinds.age_group(self.face.face_id, self.group)

    def no(self) -> Correction | None:
        """Return the correction of the answer no; None where that leaves two ranges of ages."""
        return none_of(self.face.face_id, self.group)


def none_of(face_id: int, name: str) -> Correction | None:
    """Return the correction that a face does not belong to an age group; None where that leaves two ranges of ages."""
    group = AGE_GROUPS[name]
    if group.low == 0:
        return kinds.age(face_id, group.high + 1, kinds.OLDEST)
    if group.high >= AGE_GROUPS["adults"].high:
        return kinds.age(face_id, 0, group.low - 1)
    return None


def entropy(p: float) -> float:
    """Return the entropy of an event of probability `p`, in bits."""
    return 0.0 if p <= 0.0 or p >= 1.0 else -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def gain(mine: float, others: Sequence[float]) -> float:
    """Return the expected information about whether any face of a photo belongs to a group, in bits.

    The information comes from an answer for one face. `mine` is its probability of the group, `others` are those of the
    photo's other faces.
    """
    rest = any_of(others)
    return entropy(1.0 - (1.0 - mine) * (1.0 - rest)) - (1.0 - mine) * entropy(rest)


def questions(
    session: Session, settings: TagSettings, *, limit: int = 20, skip: Collection[int] = ()
) -> list[Question]:
    """Return the next faces to ask about, the highest total gain first; the faces in `skip` are left out."""
    groups = {name: group for group, name in tag_rules(settings).names.items() if group in AGE_GROUPS}
    rows = session.execute(
        select(TagRow.photo_id, TagRow.name)
        .where(TagRow.state == TagState.SUGGESTED, TagRow.source == TagSource.AUTO, TagRow.name.in_(groups))
        .order_by(func.abs(TagRow.probability - 0.5), TagRow.photo_id)
        .limit(RANKED_TAGS)
    ).all()
    wanted: dict[int, list[str]] = {}
    for photo_id, name in rows:
        wanted.setdefault(photo_id, []).append(name)
    found: dict[int, Question] = {}
    total: dict[int, float] = {}
    for photo in details.photos(session, list(wanted), brief=True):
        for name in wanted[photo.photo_id]:
            group = groups[name]
            probabilities = [face.groups[group] or 0.0 for face in photo.faces]
            for index, face in enumerate(photo.faces):
                if face.face_id in skip or face.age_source != "model":
                    continue
                bits = gain(probabilities[index], probabilities[:index] + probabilities[index + 1 :])
                total[face.face_id] = total.get(face.face_id, 0.0) + bits
                best = found.get(face.face_id)
                if best is None or bits > best.gain:
                    found[face.face_id] = Question(photo, face, group, name, probabilities[index], bits)
    # One answer gives the age, and so decides about the face for every tag of the photo: the gains add up.
    order = sorted(found.values(), key=lambda one: (-total[one.face.face_id], one.face.face_id))
    # With all that the page shows of them, which of every photo would take longer than to rank it.
    photos = {one.photo_id: one for one in details.photos(session, [one.photo.photo_id for one in order[:limit]])}
    return [_whole(one, photos[one.photo.photo_id]) for one in order[:limit]]


def _whole(question: Question, photo: PhotoDetails) -> Question:
    face = next(one for one in photo.faces if one.face_id == question.face.face_id)
    return replace(question, photo=photo, face=face)


def count_photos(session: Session, settings: TagSettings) -> int:
    """Return how many photos have a suggested tag."""
    return int(
        session.scalar(
            select(func.count(func.distinct(TagRow.photo_id))).where(
                TagRow.state == TagState.SUGGESTED, TagRow.name.in_(tag_rules(settings).names.values())
            )
        )
        or 0
    )
