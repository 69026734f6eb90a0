"""Read the few faces that a new one is compared with: in few statements, as there is little else to do for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, bindparam, exists, select, union_all
from sqlalchemy.orm import Session

from rollcall.model_version import weights_of
from rollcall.people import reading
from rollcall.people.reading import LibraryFaces
from rollcall.people.stated_births import birth_of
from rollcall.search import nuisance
from rollcall.storage.library import chunks
from rollcall.storage.tables import EmbeddingRow, FacePersonRow, FaceRow, PersonRejectionRow, PersonRow

#: People that a new face is compared with, and their faces that are looked at.
CANDIDATES: Final = 2
_MEMBERS: Final = 24
#: Where the person's number stands in rows of `reading.comparable`.
_PERSON: Final = 14
#: No person's number, and what a face is not of whom nobody said anything.
_NOBODY: Final = -1
_NONE: Final[frozenset[int]] = frozenset()


class Surroundings(NamedTuple):
    """New faces, and what is read to compare them with: only embeddings of the network that made most of theirs."""

    session: Session
    vectors: dict[int, NDArray[np.float16]]  # as queries, of the new faces that can be compared, in order of number
    weights: str  # of the network

    @classmethod
    def of(cls, session: Session, face_ids: Sequence[int]) -> Surroundings:
        """Return those of some new faces."""
        connection = session.connection()
        values = [{"ids": part} for part in chunks(list(face_ids))]
        rows = [row for one in values for row in connection.execute(_embeddings(), one).all()]
        counts = Counter(weights_of(version) for _, version, _ in rows)
        weights = max(counts, key=lambda name: (counts[name], name), default="")
        found = {number: vector for number, version, vector in rows if weights_of(version) == weights}
        return cls(session, {one: nuisance.query(found[one], weights) for one in sorted(found)}, weights)

    def faces(self, face_ids: Sequence[int]) -> LibraryFaces:
        """Return a few faces by their numbers."""
        return self._read(_by_number(), {"ids": list(face_ids)})

    def members(self, person_ids: Sequence[int]) -> LibraryFaces:
        """Return some faces of one or two people: confirmed ones first."""
        one, other = person_ids if len(person_ids) == CANDIDATES else (*person_ids, _NOBODY)
        return self._read(_of_two(), {"one": one, "other": other})

    def _read(self, statement: Select[Any], values: Mapping[str, Any]) -> LibraryFaces:
        rows = self.session.connection().execute(statement, values).all()
        wanted = {version for version in {row[2] for row in rows} if weights_of(version) == self.weights}
        rows = [row for row in rows if row[2] in wanted]
        # Few faces were ever rejected: to be told so costs less than to ask.
        rejected = None if any(row[-1] for row in rows) else [_NONE] * len(rows)
        births = {row[_PERSON]: birth_of(row[-2]) for row in rows if row[-2] is not None}
        columns, vectors = reading.columns_of(rows), reading.vectors_in(rows)
        return reading.built(self.session, [columns], vectors, births, rejected)


# Statements are made once: to put them together takes longer than to run them.
@cache
def _embeddings() -> Select[int, str, bytes]:
    columns = (FaceRow.id, EmbeddingRow.model_version, EmbeddingRow.vector)
    return reading.comparable().with_only_columns(*columns).where(_among())


def _among() -> Any:
    return FaceRow.id.in_(bindparam("ids", expanding=True))


@cache
def _with_words() -> Select[Any]:
    rejected = exists().where(PersonRejectionRow.face_id == FaceRow.id)
    return reading.comparable().add_columns(PersonRow.birth_date, rejected)


@cache
def _by_number() -> Select[Any]:
    return _with_words().where(_among())


@cache
def _of_two() -> Select[Any]:
    some = [
        select(FacePersonRow.face_id)
        .where(FacePersonRow.person_id == bindparam(name))
        .order_by(FacePersonRow.state, FacePersonRow.face_id)
        .limit(_MEMBERS)
        .subquery()
        for name in ("one", "other")
    ]
    return _with_words().where(FaceRow.id.in_(union_all(*(select(one.c.face_id) for one in some))))
