"""What a person is asked next: the faces whose answer settles most.

The order is by expected gain: for each tag of the photo that is only suggested, the information (in bits) that
knowing one face brings about whether the photo shows such a person at all. A face is asked about once; what was
said, skipped for now, or is settled by other faces of the photo does not come again.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
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

#: So many suggested tags, the least certain ones, are weighed against each other at a time.
WEIGHED: Final = 3000
#: The answers that one key gives, by name: the youngest and the oldest age meant.
ANSWERS: Final[Mapping[str, tuple[int, int]]] = {
    "baby": (0, 2),
    "child": (3, 12),
    "teenager": (13, 19),
    "adult": (20, 59),
    "senior": (60, kinds.OLDEST),
}


@dataclass(frozen=True, slots=True)
class Question:
    """One face to be asked about, whether it is one of `group`."""

    photo: PhotoDetails
    face: FaceDetails
    group: str  # children, seniors, ...
    tag: str  # the tag of the photo that hangs on it
    probability: float  # that this face is one of the group
    gain: float  # bits

    def yes(self) -> Correction:
        """Return the correction that says so."""
        return kinds.age_group(self.face.face_id, self.group)

    def no(self) -> Correction | None:
        """Return the correction that says the face is none of the group; None where that leaves two ranges."""
        return none_of(self.face.face_id, self.group)


def none_of(face_id: int, name: str) -> Correction | None:
    """Return the correction that says a face is none of an age group; None where that leaves two ranges."""
    group = AGE_GROUPS[name]
    if group.low == 0:
        return kinds.age(face_id, group.high + 1, kinds.OLDEST)
    if group.high >= AGE_GROUPS["adults"].high:
        return kinds.age(face_id, 0, group.low - 1)
    return None


def entropy(p: float) -> float:
    """Return the bits that a yes or no of probability `p` holds."""
    return 0.0 if p <= 0.0 or p >= 1.0 else -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def gain(mine: float, others: Sequence[float]) -> float:
    """Return how many bits knowing one face brings about whether any face of a photo is of a group.

    `mine` is the face's probability of the group, `others` those of the photo's other faces.
    """
    rest = any_of(others)
    return entropy(1.0 - (1.0 - mine) * (1.0 - rest)) - (1.0 - mine) * entropy(rest)


def questions(
    session: Session, settings: TagSettings, *, limit: int = 20, skip: Collection[int] = ()
) -> list[Question]:
    """Return the next faces to ask about, the most telling first; `skip` names faces that are left out."""
    groups = {name: group for group, name in tag_rules(settings).names.items() if group in AGE_GROUPS}
    rows = session.execute(
        select(TagRow.photo_id, TagRow.name)
        .where(TagRow.state == TagState.SUGGESTED, TagRow.source == TagSource.AUTO, TagRow.name.in_(groups))
        .order_by(func.abs(TagRow.probability - 0.5), TagRow.photo_id)
        .limit(WEIGHED)
    ).all()
    wanted: dict[int, list[str]] = {}
    for photo_id, name in rows:
        wanted.setdefault(photo_id, []).append(name)
    found: dict[int, Question] = {}
    total: dict[int, float] = {}
    for photo in details.photos(session, list(wanted)):
        for name in wanted[photo.photo_id]:
            group = groups[name]
            chances = [face.groups[group] or 0.0 for face in photo.faces]
            for index, face in enumerate(photo.faces):
                if face.face_id in skip or face.age_source != "model":
                    continue
                bits = gain(chances[index], chances[:index] + chances[index + 1 :])
                total[face.face_id] = total.get(face.face_id, 0.0) + bits
                best = found.get(face.face_id)
                if best is None or bits > best.gain:
                    found[face.face_id] = Question(photo, face, group, name, chances[index], bits)
    # One answer gives the age, and with it settles every tag of the photo that hangs on the face.
    order = sorted(found.values(), key=lambda one: (-total[one.face.face_id], one.face.face_id))
    return order[:limit]


def left(session: Session, settings: TagSettings) -> int:
    """Return how many photos have a tag that waits for a person."""
    return int(
        session.scalar(
            select(func.count(func.distinct(TagRow.photo_id))).where(
                TagRow.state == TagState.SUGGESTED, TagRow.name.in_(tag_rules(settings).names.values())
            )
        )
        or 0
    )
