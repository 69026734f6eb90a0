"""Which questions about people are worth asking: an answer to each settles the most faces, as far as one can tell.

After names were typed, two kinds of mistakes are left: faces and groups of nobody that are somebody with a name, and
faces that were taken for somebody whom they are not. Both are asked for, by the number of faces that the answer
settles times the probability that it changes who they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.people import assign, reading
from rollcall.people.asking import Candidate, Forbidden, Open, Question, open_questions
from rollcall.people.clusters import Faces
from rollcall.people.kept import KeptFaces
from rollcall.people.linkage import UNKNOWN
from rollcall.people.posterior import People
from rollcall.people.shapes import Shapes
from rollcall.people.telling import Teller, as_questions
from rollcall.storage.tables import PersonNameRow, PersonRow

#: From here on a face is likelier the person than not.
LIKELY: Final = 0.5
#: Everybody with a name who is not hidden.
_SHOWN: Final = (
    select(PersonNameRow.person_id).join(PersonRow, PersonRow.id == PersonNameRow.person_id).where(~PersonRow.hidden)
)

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
    theirs = np.where(np.isin(person, np.fromiter(named, np.int64, len(named))), person, UNKNOWN)
    people = _people(faces, theirs, shapes)
    if people is None:
        return []
    found = list(_chosen(faces, people, person, stated, shapes, Forbidden(faces, shapes)))
    return as_questions(found, people) if found else []


def _people(faces: Faces, named: NDArray[np.int64], shapes: Shapes) -> People | None:
    """Return the people with faces of those who are given for all faces, (n,), else UNKNOWN; None without any."""
    order = np.flatnonzero(named != UNKNOWN)
    if not len(order):
        return None
    order = order[np.argsort(named[order], kind="stable")]
    numbers, first = np.unique(named[order], return_index=True)
    return shapes.people(faces.vectors, dict(zip(numbers.tolist(), np.split(order, first[1:]), strict=True)))


def _chosen(
    faces: Faces,
    people: People,
    person: NDArray[np.int64],
    stated: NDArray[np.bool_],
    shapes: Shapes,
    forbidden: Forbidden,
) -> Iterator[Open]:
    """Yield what to ask, what is worth the most first, their most typical faces first; whose all faces are is given.

    Few of very many questions are made.
    """
    found = open_questions(faces, person, stated, people, shapes, forbidden)
    if not found:
        return
    begin = [0, *accumulate(len(some.at) for some in found)]
    worths = np.concatenate([some.worths for some in found])
    faces_of = np.concatenate([some.firsts for some in found])
    order = np.lexsort((faces_of, -worths))
    kind = np.searchsorted(begin, order, side="right") - 1
    # A face is asked about once: by the question that settles the most.
    asked = np.zeros(len(person), np.bool_)
    for place, of in zip(order.tolist(), kind.tolist(), strict=True):
        rows = found[of].rows(place - begin[of])
        if asked[rows].any():
            continue
        asked[rows] = True
        one = found[of].one(place - begin[of])
        if one.kind == "join" and len(rows) > 1:
            one = one._replace(rows=shapes.shown(faces.vectors, int(person[rows[0]]), rows))
        yield one


def in_rows(asked: Sequence[Question], most: int) -> list[Question]:
    """Return questions where those about one face each stand in rows: up to `most` of a person, and of one kind.

    Of a row all are likely the person, or none: one answer is given for all of it, where nobody looks at each.
    A row is answered face by face, so its worth, by which it is ordered, is that of them all. Its probability is that
    of the first face. In a row of several faces nobody else is told whom they may be: each may be another one.
    """
    rows: dict[tuple[int, str, bool], list[Question]] = {}
    found: list[tuple[float, Question]] = []
    for one in asked:
        if len(one.faces) > 1:
            found.append((one.worth, one))
        else:
            rows.setdefault((one.person, one.kind, one.probability >= LIKELY), []).append(one)
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
    named = set(session.connection().execute(_SHOWN).scalars())
    read = reading.read_faces if kept is None else kept.read
    library = read(session) if named else None
    if library is None or not len(library):
        return []
    faces, shapes = library.faces, Shapes() if kept is None else kept.shapes
    theirs = np.where(np.isin(library.person, list(named)), library.person, UNKNOWN)
    people = _people(faces, theirs, shapes)
    if people is None:
        return []
    born = assign.earliest_photos(library, theirs, shapes.earliest_photo)
    forbidden = Forbidden(faces, shapes)
    teller = Teller(library, people, forbidden, born)
    found = _chosen(faces, people, library.person, library.stated, shapes, forbidden)
    result = list[Question]()
    while len(result) < limit and (some := list(islice(found, limit - len(result)))):
        result += teller.questions(some)
    return result
