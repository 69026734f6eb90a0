"""Which questions about people are worth asking: an answer to each settles the most faces, as far as one can tell.

After names were typed, two kinds of mistakes are left: faces and groups of nobody that are somebody with a name, and
faces that were taken for somebody whom they are not. Both are asked for, by the number of faces that the answer
settles times the probability that it changes who they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.people import assign, reading
from rollcall.people.clusters import Faces
from rollcall.people.linkage import UNKNOWN
from rollcall.storage.tables import PersonNameRow, PersonRow

#: A logistic model of whether a face of nobody is a person with a name: the weight of its cosine with the centre of the
#: person's faces, that of the length of their mean (faces that are unlike each other are a centre further away from
#: everyone), that of each natural logarithm of more faces of nobody than `FEW` (there are more strangers among them),
#: and a constant. Fitted on training people and strangers of LFW after 61 names were typed.
JOIN: Final = (23.5, -8.4, -0.86, -1.8)
FEW: Final = 50
#: What each natural logarithm of the faces of a group takes: linkage had more to go by, and has not joined it.
OF_GROUP: Final = 0.5
#: The same of whether a face, or part, of a person is rightly theirs: the cosine with the centre of the others.
CHECK: Final = (18.5, -5.0, -0.45, -2.0)
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
    more = strangers(
        len(np.unique(np.where(person[~theirs] == UNKNOWN, -2 - np.flatnonzero(~theirs), person[~theirs])))
    )
    for them, rows in members.items():
        found += _checks(faces, them, rows, stated, more)
    # A face is asked about once: by the question that settles the most.
    found.sort(key=lambda one: (-one.worth, one.faces[0]))
    asked: set[int] = set()
    chosen = []
    for one in found:
        if asked.isdisjoint(one.faces):
            asked.update(one.faces)
            chosen.append(one)
    return chosen


def in_rows(asked: Sequence[Question], most: int) -> list[Question]:
    """Return questions where those about one face each stand in rows: up to `most` of a person, and of one kind.

    A row is answered face by face, so its worth, by which it is ordered, is that of them all. Its probability is that
    of the first face.
    """
    rows: dict[tuple[int, str], list[Question]] = {}
    found: list[tuple[float, Question]] = []
    for one in asked:
        if len(one.faces) > 1:
            found.append((one.worth, one))
        else:
            rows.setdefault((one.person, one.kind), []).append(one)
    for singles in rows.values():
        for start in range(0, len(singles), most):
            some = singles[start : start + most]
            row = replace(some[0], faces=tuple(one.faces[0] for one in some))
            found.append((sum(one.worth for one in some), row))
    found.sort(key=lambda one: (-one[0], one[1].faces[0]))
    return [row for _, row in found]


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
    centres, lengths = _centres(faces, members.values())
    # Faces in no group are groups of one.
    _, group = np.unique(np.where(person[free] == UNKNOWN, -2 - free, person[free]), return_inverse=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(free[order], np.flatnonzero(np.diff(group[order])) + 1)
    more = strangers(len(parts))
    for start in range(0, len(parts), _BLOCK):
        some = parts[start : start + _BLOCK]
        similar = np.stack([_centre(faces, rows) for rows in some]) @ centres.T
        sizes = np.log([len(rows) for rows in some])[:, None]
        chances = _chance(JOIN, similar, lengths, more, -OF_GROUP * sizes)
        for rows, chance in zip(some, chances, strict=True):
            for at in np.argsort(-chance, kind="stable").tolist():
                if chance[at] < LEAST:
                    break
                if not _forbidden(faces, rows, int(people[at]), members[int(people[at])]):
                    yield Question(int(people[at]), _typical_first(faces, rows), float(chance[at]), "join")
                    break


def _checks(
    faces: Faces, them: int, rows: NDArray[np.int64], stated: NDArray[np.bool_], more: float
) -> Iterator[Question]:
    """Yield questions about the faces of a person: the part that is unlike the others, and each unlike one."""
    asked = rows[~stated[rows]]
    if len(rows) < 3 or not len(asked):
        return
    vectors = np.asarray(faces.vectors[rows], np.float32)
    total = vectors.sum(axis=0)
    rest = total - vectors
    similar = np.einsum("nd,nd->n", vectors, rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9))
    free = ~stated[rows]
    length = float(np.linalg.norm(total)) / len(rows)
    chances = _chance(CHECK, similar[free], length, more)
    for face, chance in zip(rows[free].tolist(), chances.tolist(), strict=True):
        if chance <= 1.0 - LEAST:
            yield Question(them, (face,), chance, "check")
    part = _divided(vectors, free, similar)
    if 2 <= part.sum() < len(rows):
        apart = _unit(vectors[part].sum(axis=0)) @ _unit(vectors[~part].sum(axis=0))
        chance = float(_chance(CHECK, apart, length, more))
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


def _centres(faces: Faces, members: Iterable[NDArray[np.int64]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centres of some people, (p, d), and the lengths of the means of their faces, (p,)."""
    means = np.stack([np.asarray(faces.vectors[rows], np.float32).mean(axis=0) for rows in members])
    lengths = np.linalg.norm(means, axis=1)
    return means / np.maximum(lengths[:, None], 1e-9), lengths


def strangers(parts: int) -> float:
    """Return what the number of faces and groups of nobody counts in the models."""
    return float(np.log(max(parts / FEW, 1.0)))


def _chance(
    weights: tuple[float, float, float, float], similar: Any, length: Any, more: float, beside: Any = 0.0
) -> NDArray[np.float64]:
    """Return the probability that faces are a person, by one of the models."""
    value = weights[0] * np.asarray(similar, np.float64) + weights[1] * length + weights[2] * more + weights[3] + beside
    return np.asarray(1.0 / (1.0 + np.exp(-value)))
