"""Which questions about people are worth asking: an answer to each settles the most faces, as far as one can tell.

After names were typed, two kinds of mistakes are left: faces and groups of nobody that are somebody with a name, and
faces that were taken for somebody whom they are not. Both are asked for, by the number of faces that the answer
settles times the probability that it changes who they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.people import assign, reading
from rollcall.people.clusters import Faces
from rollcall.people.linkage import UNKNOWN
from rollcall.storage.tables import PersonNameRow, PersonRow

#: Of faces of nobody: the cosine with the centre of a named person's faces at which half of those are this person,
#: among few strangers, and how fast that changes. Chosen on training people by `benchmarks/simulated_user.py`.
JOIN_MIDPOINT: Final = 0.3
JOIN_STEEPNESS: Final = 30.0
#: What each natural logarithm of more faces of nobody than `FEW` adds to it: there are more strangers among them.
MORE: Final = 0.025
FEW: Final = 50
#: The same of a part of a person's faces: the cosine of its centre with that of the others.
CHECK_MIDPOINT: Final = 0.3
CHECK_STEEPNESS: Final = 20.0
#: The least probability that an answer changes who a face is: what is surer is not asked.
LEAST: Final = 0.02
#: Rounds in which a person's faces are divided in two.
_ROUNDS: Final = 8
_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Question:
    """Whether some faces are a person."""

    person: int  # the number of whom they may be
    faces: tuple[int, ...]  # the faces that the answer settles: rows, or numbers; the most typical first
    probability: float  # that they are
    kind: Literal["join", "check"]  # of nobody so far, or of this person so far

    @property
    def worth(self) -> float:
        """How many faces the answer is expected to give to somebody else."""
        changes = self.probability if self.kind == "join" else 1.0 - self.probability
        return changes * len(self.faces)


def questions(
    faces: Faces, person: NDArray[np.int64], stated: NDArray[np.bool_], named: Collection[int]
) -> list[Question]:
    """Return what to ask about the people with a name, what is worth the most first; each face is in one question.

    Parameters
    ----------
    faces
        The n faces of the library.
    person
        (n,) whom each is taken for, UNKNOWN for nobody.
    stated
        (n,) whether a person said so.
    named
        The people who are asked for.
    """
    theirs = np.isin(person, np.fromiter(named, np.int64, len(named)))
    if not theirs.any():
        return []
    order = np.flatnonzero(theirs)
    order = order[np.argsort(person[order], kind="stable")]
    people, first = np.unique(person[order], return_index=True)
    members = dict(zip(people.tolist(), np.split(order, first[1:]), strict=True))
    found = [*_joins(faces, person, theirs, stated, members)]
    for them, rows in members.items():
        found += _checks(faces, them, rows, stated)
    # A face is asked about once: by the question that settles the most.
    found.sort(key=lambda one: (-one.worth, one.faces[0]))
    asked: set[int] = set()
    chosen = []
    for one in found:
        if asked.isdisjoint(one.faces):
            asked.update(one.faces)
            chosen.append(one)
    return chosen


def of_library(session: Session, limit: int) -> list[Question]:
    """Return what to ask about the people of a library, what is worth the most first, by numbers of faces.

    Nobody is asked for who is hidden, or was not born yet. All faces of the library are read.
    """
    statement = select(PersonNameRow.person_id).join(PersonRow, PersonRow.id == PersonNameRow.person_id)
    named = set(session.scalars(statement.where(~PersonRow.hidden)))
    library = reading.read_faces(session) if named else None
    if library is None or not len(library):
        return []
    found = questions(library.faces, library.person, library.stated, named)
    meant = library.person.copy()
    for one in found:
        meant[list(one.faces)] = one.person
    early = assign.too_early(library, meant)
    possible = (one for one in found if one.kind == "check" or not early[list(one.faces)].any())
    return [replace(one, faces=tuple(library.face_ids[list(one.faces)].tolist())) for one in islice(possible, limit)]


def _joins(
    faces: Faces,
    person: NDArray[np.int64],
    theirs: NDArray[np.bool_],
    stated: NDArray[np.bool_],
    members: dict[int, NDArray[np.int64]],
) -> Iterator[Question]:
    """Yield questions about the faces and groups of nobody: whether they are the most similar person."""
    free = np.flatnonzero(~theirs & ~stated)
    if not len(free):
        return
    people = np.array(list(members))
    centres = np.stack([_centre(faces, rows) for rows in members.values()])
    # Faces in no group are groups of one.
    _, group = np.unique(np.where(person[free] == UNKNOWN, -2 - free, person[free]), return_inverse=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(free[order], np.flatnonzero(np.diff(group[order])) + 1)
    midpoint = JOIN_MIDPOINT + MORE * np.log(max(len(parts) / FEW, 1.0))
    for start in range(0, len(parts), _BLOCK):
        some = parts[start : start + _BLOCK]
        similar = np.stack([_centre(faces, rows) for rows in some]) @ centres.T
        chances = _logistic(JOIN_STEEPNESS * (similar - midpoint))
        for rows, chance in zip(some, chances, strict=True):
            for at in np.argsort(-chance, kind="stable").tolist():
                if chance[at] < LEAST:
                    break
                if not _forbidden(faces, rows, int(people[at]), members[int(people[at])]):
                    yield Question(int(people[at]), _typical_first(faces, rows), float(chance[at]), "join")
                    break


def _checks(faces: Faces, them: int, rows: NDArray[np.int64], stated: NDArray[np.bool_]) -> Iterator[Question]:
    """Yield questions about the faces of a person: the part that is unlike the others, and each unlike one."""
    asked = rows[~stated[rows]]
    if len(rows) < 3 or not len(asked):
        return
    vectors = np.asarray(faces.vectors[rows], np.float32)
    total = vectors.sum(axis=0)
    rest = total - vectors
    similar = np.einsum("nd,nd->n", vectors, rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9))
    free = ~stated[rows]
    chances = _logistic(CHECK_STEEPNESS * (similar[free] - CHECK_MIDPOINT))
    for face, chance in zip(rows[free].tolist(), chances.tolist(), strict=True):
        if chance <= 1.0 - LEAST:
            yield Question(them, (face,), chance, "check")
    part = _divided(vectors, free, similar)
    if 2 <= part.sum() < len(rows):
        apart = _unit(vectors[part].sum(axis=0)) @ _unit(vectors[~part].sum(axis=0))
        chance = float(_logistic(CHECK_STEEPNESS * (apart - CHECK_MIDPOINT)))
        if chance <= 1.0 - LEAST:
            yield Question(them, _typical_first(faces, rows[part]), chance, "check")


def _divided(vectors: NDArray[np.float32], free: NDArray[np.bool_], similar: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which of a person's faces (n, d) are the part that is unlike the others; never stated ones."""
    far = np.flatnonzero(free)[similar[free].argmin()]
    part = np.zeros(len(vectors), np.bool_)
    part[far] = True
    for _ in range(_ROUNDS):
        ours, others = _unit(vectors[~part].sum(axis=0)), _unit(vectors[part].sum(axis=0))
        now = free & (vectors @ others > vectors @ ours)
        if (now == part).all() or not now.any() or now.all():
            break
        part = now
    return part


def _forbidden(faces: Faces, rows: NDArray[np.int64], them: int, members: NDArray[np.int64]) -> bool:
    """Return whether a person, or a photo of both, says that faces are not somebody."""
    if any(them in faces.rejected[row] for row in rows.tolist()):
        return True
    return bool(np.isin(faces.photos[rows], faces.photos[members]).any())


def _typical_first(faces: Faces, rows: NDArray[np.int64]) -> tuple[int, ...]:
    order = np.argsort(-(np.asarray(faces.vectors[rows], np.float32) @ _centre(faces, rows)), kind="stable")
    return tuple(rows[order].tolist())


def _centre(faces: Faces, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return _unit(np.asarray(faces.vectors[rows], np.float32).sum(axis=0))


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def _logistic(value: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(value, np.float64))))
