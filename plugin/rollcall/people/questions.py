"""Which questions about people are worth asking: an answer to each settles the most faces, as far as one can tell.

After names were typed, two kinds of mistakes are left: faces and groups of nobody that are somebody with a name, and
faces that were taken for somebody whom they are not. Both are asked for, by the number of faces that the answer
settles times the probability that it changes who they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.people import assign, reading
from rollcall.people.asking import Candidate, Forbidden, Question, open_questions
from rollcall.people.clusters import Faces
from rollcall.people.kept import KeptFaces
from rollcall.people.linkage import UNKNOWN
from rollcall.people.posterior import People
from rollcall.people.shapes import Shapes
from rollcall.storage.tables import PersonNameRow, PersonRow

__all__ = ["Candidate", "Question", "in_rows", "of_library", "questions"]


def questions(
    faces: Faces,
    person: NDArray[np.int64],
    stated: NDArray[np.bool_],
    named: Collection[int],
) -> list[Question]:
    """Return what to ask about the people with a name, what is worth the most first; each face is in one question.

    Small, blurred and unsure faces of nobody are not asked about by themselves.

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
    shapes = Shapes()
    theirs = np.isin(person, np.fromiter(named, np.int64, len(named)))
    return list(_chosen(faces, np.where(theirs, person, UNKNOWN), person, stated, shapes, Forbidden(faces, shapes)))


def _chosen(
    faces: Faces,
    named: NDArray[np.int64],
    person: NDArray[np.int64],
    stated: NDArray[np.bool_],
    shapes: Shapes,
    forbidden: Forbidden,
) -> Iterator[Question]:
    """Yield what to ask, what is worth the most first; few of very many questions are made.

    The people of all faces are given, (n,), and those of the `named`, which are UNKNOWN for the other faces.
    """
    order = np.flatnonzero(named != UNKNOWN)
    if not len(order):
        return
    order = order[np.argsort(named[order], kind="stable")]
    numbers, first = np.unique(named[order], return_index=True)
    people = People(faces.vectors, dict(zip(numbers.tolist(), np.split(order, first[1:]), strict=True)))
    found = open_questions(faces, person, stated, people, shapes, forbidden)
    # A face is asked about once: by the question that settles the most.
    worths, faces_of = np.array([one.worth for one in found]), np.array([one.rows[0] for one in found], np.int64)
    asked: set[int] = set()
    for place in np.lexsort((faces_of, -worths)).tolist():
        one = found[place]
        rows = one.rows.tolist()
        if asked.isdisjoint(rows):
            asked.update(rows)
            yield one.question(faces, people)


def in_rows(asked: Sequence[Question], most: int) -> list[Question]:
    """Return questions where those about one face each stand in rows: up to `most` of a person, and of one kind.

    A row is answered face by face, so its worth, by which it is ordered, is that of them all. Its probability is that
    of the first face. In a row of several faces nobody else is told whom they may be: each may be another one.
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
            if len(some) == 1:
                found.append((some[0].worth, some[0]))
                continue
            alone = [replace(one, candidates=()) for one in some]
            row = replace(alone[0], faces=tuple(one.faces[0] for one in some))
            found.append((sum(one.worth for one in alone), row))
    found.sort(key=lambda one: (-one[0], one[1].faces[0]))
    return [row for _, row in found]


def of_library(session: Session, limit: int, kept: KeptFaces | None = None) -> list[Question]:
    """Return what to ask about the people of a library, what is worth the most first, by numbers of faces.

    Nobody is asked for who is hidden, or was not born yet. All faces of the library are read, apart from those that
    are `kept` since the last call.
    """
    statement = select(PersonNameRow.person_id).join(PersonRow, PersonRow.id == PersonNameRow.person_id)
    named = set(session.scalars(statement.where(~PersonRow.hidden)))
    read = reading.read_faces if kept is None else kept.read
    library = read(session) if named else None
    if library is None or not len(library):
        return []
    faces, shapes = library.faces, Shapes() if kept is None else kept.shapes
    theirs = np.where(np.isin(library.person, list(named)), library.person, UNKNOWN)
    born = assign.earliest_photos(library, theirs)
    forbidden = Forbidden(faces, shapes)

    def early(rows: Sequence[int], person: int) -> bool:
        return bool((library.taken[list(rows)] < born.get(person, -np.inf)).any())

    def may_be(rows: Sequence[int], person: int) -> bool:
        return not early(rows, person) and not forbidden.one(person, library.person, rows)

    found = _chosen(faces, theirs, library.person, library.stated, shapes, forbidden)
    possible = (one for one in found if one.kind == "check" or not early(one.faces, one.person))
    return [
        replace(
            one,
            faces=tuple(library.face_ids[list(one.faces)].tolist()),
            candidates=tuple(other for other in one.candidates if may_be(one.faces, other.person)),
        )
        for one in islice(possible, limit)
    ]
