"""What the views showed before a correction, and the rows that corrections are of: read for many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.corrections.kinds import Correction, TagCorrection, Withdrawal, stored_kind
from rollcall.corrections.person_kinds import FACE_PERSON_KINDS
from rollcall.storage.tables import FacePersonRow, FaceRow, PersonRow, PhotoRow, PredictionRow, TagRow, VerdictRow

#: Corrections whose rows are read together.
_AT_ONCE: Final = 200


class Known:
    """Photos, faces and tags that some corrections are of, which are recorded in their order."""

    def __init__(self, session: Session, given: Sequence[Correction]) -> None:
        self._session, self._given = session, given
        # A session holds what it read only for as long as somebody else does.
        self._held: list[object] = []
        self._tags: dict[tuple[int, str], dict[str, Any]] = {}

    def load(self, number: int) -> None:
        """Read what the corrections from one on are of, unless that was done with an earlier one."""
        if number % _AT_ONCE:
            return
        some = self._given[number : number + _AT_ONCE]
        face_ids = {face_id for one in some if (face_id := getattr(one, "face_id", None)) is not None}
        photo_ids = {photo_id for one in some if (photo_id := getattr(one, "photo_id", None)) is not None}
        faces = self._session.scalars(select(FaceRow).where(FaceRow.id.in_(face_ids))).all() if face_ids else []
        photo_ids |= {face.photo_id for face in faces}
        photos = self._session.scalars(select(PhotoRow).where(PhotoRow.id.in_(photo_ids))).all() if photo_ids else []
        self._held = [*faces, *photos]
        self._tags = self._read_tags([one for one in some if isinstance(one, TagCorrection | Withdrawal)])

    def _read_tags(self, given: Sequence[TagCorrection | Withdrawal]) -> dict[tuple[int, str], dict[str, Any]]:
        photo_ids = {one.photo_id for one in given if one.photo_id is not None}
        if not photo_ids:
            return {}
        columns = (TagRow.photo_id, TagRow.name, TagRow.state, TagRow.source, TagRow.probability)
        wanted = select(*columns).where(TagRow.photo_id.in_(photo_ids), TagRow.name.in_({one.name for one in given}))
        return {
            (photo_id, name): {"state": state, "source": source, "probability": probability}
            for photo_id, name, state, source, probability in self._session.execute(wanted).all()
        }

    def value_before(self, correction: Correction, face: FaceRow | None) -> dict[str, Any] | None:
        """Return what the views showed before a correction of a face, or without one of a photo; None: nothing."""
        if face is not None:
            return face_value_before(self._session, face, stored_kind(correction))
        if isinstance(correction, TagCorrection | Withdrawal) and correction.photo_id is not None:
            # Tags are projected after the last correction.
            return self._tags.get((correction.photo_id, correction.name))
        return None


def face_value_before(session: Session, face: FaceRow, kind: str) -> dict[str, Any]:
    """Return what the views show of a face that a kind of corrections changes."""
    if kind == "box":
        return {"box": [face.x, face.y, face.width, face.height], "drawn": face.drawn}
    if kind in FACE_PERSON_KINDS:
        found = session.execute(
            select(PersonRow.uid, FacePersonRow.state)
            .join(FacePersonRow, FacePersonRow.person_id == PersonRow.id)
            .where(FacePersonRow.face_id == face.id)
        ).first()
        return {} if found is None else {"person": found[0], "state": found[1]}
    verdict, prediction = session.get(VerdictRow, face.id), session.get(PredictionRow, face.id)
    if kind == "age":
        if verdict is not None and verdict.age_low is not None:
            return {"low": verdict.age_low, "high": verdict.age_high, "source": "user"}
        return {"age": None if prediction is None else prediction.age, "source": "model"}
    if kind == "gender":
        if verdict is not None and verdict.gender_given:
            return {"label": verdict.gender, "source": "user"}
        return {"p_female": None if prediction is None else prediction.p_female, "source": "model"}
    return {"said": bool(verdict is not None and verdict.dismissed)}
