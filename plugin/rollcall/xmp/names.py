"""Who faces are, as far as sidecars are concerned: names that may be written, and names that other programs give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.storage.tables import FacePersonRow, PersonNameRow, PersonRow


class FaceName(NamedTuple):
    """Who a face is."""

    person_id: int
    names: tuple[str, ...]  # the first one is shown; none of an unnamed group
    state: str  # confirmed, proposed, automatic
    probability: float
    source: str  # user, host, auto
    hidden: bool  # the person is left out of lists

    @property
    def confirmed(self) -> bool:
        """Whether a person said so, here or in another program."""
        return self.state == "confirmed"

    def is_called(self, name: str) -> bool:
        """Return whether the person has a name, whatever its case."""
        return name.casefold() in (one.casefold() for one in self.names)


def of_faces(session: Session, face_ids: Sequence[int]) -> dict[int, FaceName]:
    """Return who some faces are, by their numbers; faces of nobody are left out."""
    rows = session.execute(
        select(FacePersonRow, PersonRow.hidden)
        .join(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .where(FacePersonRow.face_id.in_(face_ids))
    ).all()
    names: dict[int, list[str]] = {}
    for person_id, name in session.execute(
        select(PersonNameRow.person_id, PersonNameRow.name)
        .where(PersonNameRow.person_id.in_({row.person_id for row, _ in rows}))
        .order_by(PersonNameRow.person_id, PersonNameRow.position)
    ):
        names.setdefault(person_id, []).append(name)
    return {
        row.face_id: FaceName(
            row.person_id, tuple(names.get(row.person_id, ())), row.state, row.probability, row.source, hidden
        )
        for row, hidden in rows
        if row.person_id is not None
    }
