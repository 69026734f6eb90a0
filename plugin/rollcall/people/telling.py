"""Questions about people as they are told: whether faces are somebody, or else one of a few others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.people.asking import ELSE, LEAST_ELSE, Candidate, Forbidden, Open, Question
from rollcall.people.posterior import People
from rollcall.people.reading import LibraryFaces

_NOTHING: Final = np.zeros(0, np.int64)


def as_questions(
    some: Sequence[Open],
    people: People,
    face_ids: NDArray[np.int64] | None = None,
    barred: NDArray[np.int64] = _NOTHING,
) -> list[Question]:
    """Return questions with whom else the faces may be, the likeliest first; by the faces' numbers, or their rows.

    `barred` are the others who are not told after all: the place of the question times all p people, plus theirs.
    """
    count = len(people.numbers)
    chances, at = np.stack([one.chances for one in some]), np.array([one.at for one in some])
    everyone = np.arange(len(some))
    likely = chances[everyone, at].tolist()
    chances[everyone, at] = 0.0
    question, place = np.nonzero(chances >= LEAST_ELSE)
    order = np.lexsort((place, -chances[question, place], question))
    question, place = question[order], place[order]
    rank = np.arange(len(question)) - np.searchsorted(question, question)
    kept = (rank < ELSE) & ~np.isin(question * count + place, barred)
    question, place = question[kept], place[kept]
    others = [*map(Candidate, people.numbers[place].tolist(), chances[question, place].tolist())]
    ends = np.searchsorted(question, everyone, side="right").tolist()
    rows = np.concatenate([one.rows for one in some])
    faces = iter((rows if face_ids is None else face_ids[rows]).tolist())
    return [
        Question(person, tuple(islice(faces, len(one.rows))), probability, one.kind, tuple(others[start:end]))
        for one, person, probability, start, end in zip(
            some, people.numbers[at].tolist(), likely, [0, *ends], ends, strict=False
        )
    ]


class Teller:
    """Makes questions about the faces of a library, by their numbers.

    Parameters
    ----------
    library, people
        All faces, and the people who are asked for.
    forbidden
        Whom faces are not.
    born
        In years, when photos can begin that show somebody, by person.
    """

    def __init__(self, library: LibraryFaces, people: People, forbidden: Forbidden, born: Mapping[int, float]) -> None:
        self._library, self._people, self._forbidden = library, people, forbidden
        self._born = np.array([born.get(number, -np.inf) for number in people.numbers.tolist()])

    def questions(self, some: Sequence[Open]) -> list[Question]:
        """Return questions, without those that ask whether faces of nobody are somebody who was not born yet."""
        early = self._earliest(some)[:, None] < self._born
        possible = [place for place, one in enumerate(some) if one.kind == "check" or not early[place, one.at]]
        if not possible:
            return []
        some, early = [some[place] for place in possible], early[possible]
        checks = [(place, one.rows) for place, one in enumerate(some) if one.kind == "check"]
        barred = [np.flatnonzero(early)]
        if checks:
            # A face of nobody has no chance to be whom it cannot be.
            by = np.repeat([place for place, _ in checks], [len(rows) for _, rows in checks])
            rows = np.concatenate([rows for _, rows in checks])
            barred.append(self._forbidden.of_faces(self._people, self._library.person, rows, by))
        return as_questions(some, self._people, self._library.face_ids, np.concatenate(barred))

    def _earliest(self, some: Sequence[Open]) -> NDArray[np.float64]:
        """Return when the first photo of the faces of m questions was taken, (m,); NaN, before nothing, if unknown."""
        starts = np.cumsum([0, *(len(one.rows) for one in some[:-1])])
        return np.fmin.reduceat(self._library.taken[np.concatenate([one.rows for one in some])], starts)
