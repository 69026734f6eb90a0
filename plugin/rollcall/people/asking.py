"""What could be asked about people: faces and groups of nobody that may be somebody, and faces that may not be.

Each is an open question, with the probabilities of all people; few of very many are ever asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.people.clusters import Faces
from rollcall.people.compared import Compared, Grid, places_in
from rollcall.people.linkage import UNKNOWN
from rollcall.people.posterior import CHECK, JOIN, People, probabilities, strangers, unit, widest
from rollcall.people.shapes import NO_GROUP, Part, Parts, Shape, Shapes, typical_first

#: The least probability that an answer changes who a face is: what is surer is not asked.
LEAST: Final = 0.02
#: Of whom else faces may be: how many are told, and their least probability.
ELSE: Final = 5
LEAST_ELSE: Final = 0.01
#: Rounds in which a person's faces are divided in two.
_ROUNDS: Final = 8
_BLOCK: Final = 4096
#: People whom faces of nobody are compared with, face by face: those with the nearest centres.
_CANDIDATES: Final = 8
#: People for whom faces of nobody have a lower score, by centres alone, are not compared face by face with them.
_HOPELESS: Final = -9.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody else whom the faces of a question may be."""

    person: int
    probability: float


@dataclass(frozen=True, slots=True)
class Question:
    """Whether some faces are a person, or else one of a few others."""

    person: int  # the number of whom they may be
    faces: tuple[int, ...]  # the faces that the answer settles: rows, or numbers; the most typical first
    probability: float  # that they are
    kind: Literal["join", "check"]  # of nobody so far, or of this person so far
    candidates: tuple[Candidate, ...] = ()  # whom else they may be, the likeliest first

    @property
    def worth(self) -> float:
        """How many faces the answer is expected to take from whom they are not, and to give to whom they are."""
        others = sum(one.probability for one in self.candidates)
        return (others + (self.probability if self.kind == "join" else 1.0 - self.probability)) * len(self.faces)


class Open(NamedTuple):
    """A question that could be asked."""

    kind: Literal["join", "check"]
    worth: float
    rows: NDArray[np.int64]  # the faces
    at: int  # the place of the person
    chances: NDArray[np.float32]  # (p,) of all people


class OpenQuestions(NamedTuple):
    """Questions of one kind that could be asked, as arrays."""

    kind: Literal["join", "check"]
    worths: NDArray[np.float64]  # (m,)
    faces: NDArray[np.int64]  # of all of them, one question after another
    starts: NDArray[np.int64]  # (m + 1,) where in these each begins; at last, where they end
    at: NDArray[np.int64]  # (m,) the places of the people
    chances: NDArray[np.float32]  # (m, p) of all people

    @property
    def firsts(self) -> NDArray[np.int64]:
        """Return a face of each, (m,), by which those that are worth the same are ordered."""
        return np.minimum.reduceat(self.faces, self.starts[:-1]) if len(self.at) else np.zeros(0, np.int64)

    def rows(self, place: int) -> NDArray[np.int64]:
        """Return the faces of one of them."""
        return self.faces[self.starts[place] : self.starts[place + 1]]

    def one(self, place: int) -> Open:
        """Return one of them."""
        return Open(self.kind, float(self.worths[place]), self.rows(place), int(self.at[place]), self.chances[place])


def open_questions(
    faces: Faces,
    person: NDArray[np.int64],
    stated: NDArray[np.bool_],
    people: People,
    shapes: Shapes,
    forbidden: Forbidden,
) -> list[OpenQuestions]:
    """Return all questions about people that could be asked; several may be about one face."""
    free = ~stated
    free[np.concatenate(people.rows)] = False
    parts = _of_nobody(faces, person, free, shapes)
    more = strangers(len(parts.starts))
    return [*_joins(faces, people, parts, more, shapes, forbidden), *_checks(people, stated, more, shapes)]


def _of_nobody(faces: Faces, person: NDArray[np.int64], free: NDArray[np.bool_], shapes: Shapes) -> Parts:
    """Return the faces and groups of nobody, which are `free` (n,); a face in no group is one of its own.

    A pan that was taken for a face is as similar to somebody's blurred profile as to anything: what linkage does not
    take for a person's face by itself is not worth anybody's time.
    """
    group = np.where(person == UNKNOWN, -2 - np.arange(len(person)), person)
    group[~free] = NO_GROUP
    rows = shapes.ordered(group)
    if not len(rows):
        return Parts(rows, rows, group)
    first = np.flatnonzero(np.diff(group[rows], prepend=NO_GROUP))
    sizes = np.diff(first, append=len(rows))
    clear = ~np.logical_and.reduceat(faces.weak[rows], first)
    kept = sizes[clear]
    return Parts(rows[np.repeat(clear, sizes)], np.cumsum(kept) - kept, group)


def _joins(
    faces: Faces, people: People, parts: Parts, more: float, shapes: Shapes, forbidden: Forbidden
) -> Iterator[OpenQuestions]:
    """Yield questions about the faces and groups of nobody: whether they are the likeliest person."""
    compared = shapes.compared(faces.vectors, parts, people)
    against, sizes = forbidden.pairs(people, parts), parts.ends - parts.starts
    for start in range(0, len(sizes), _BLOCK):
        stop = min(start + _BLOCK, len(sizes))
        scores = people.scores(JOIN, compared.cosines(start, stop), more)
        scores += JOIN.group * np.log(sizes[start:stop])[:, None]
        # The most similar faces add at most their weight.
        hopeful = np.flatnonzero(scores.max(axis=1) >= _HOPELESS)
        if not len(hopeful):
            continue
        chances = probabilities(_among_candidates(people, compared, start + hopeful, scores[hopeful], against))
        best = chances.argmax(axis=1)
        likely = np.take_along_axis(chances, best[:, None], axis=1)[:, 0]
        asked = np.flatnonzero(likely >= LEAST)
        of_asked = start + hopeful[asked]
        worths = (_of_others(chances[asked], best[asked]) + likely[asked]) * sizes[of_asked]
        ends = np.cumsum(sizes[of_asked])
        firsts = ends - sizes[of_asked]
        places = np.repeat(parts.starts[of_asked] - firsts, sizes[of_asked]) + np.arange(int(sizes[of_asked].sum()))
        starts = np.append(firsts, ends[-1:])
        yield OpenQuestions("join", worths, parts.rows[places], starts, best[asked], chances[asked])
    shapes.keep(faces.vectors, parts, compared)


class Forbidden:
    """Tells of whom a person, or a photo of both, says that faces are not they."""

    def __init__(self, faces: Faces, shapes: Shapes) -> None:
        self._faces, self._photos, self._answered = faces, shapes.photos(faces.photos), faces.answered

    def pairs(self, people: People, parts: Parts) -> NDArray[np.int64]:
        """Return which of k groups of faces are not a person: the group's place times all p people, plus theirs.

        They are ascending; some may be there more than once.
        """
        part, count = np.full(len(self._answered), -1, np.int64), len(people.numbers)
        part[parts.rows] = np.repeat(np.arange(len(parts.starts)), parts.ends - parts.starts)
        beside, by = self._photos.beside(np.concatenate(people.rows))
        of_part, place = part[beside], np.repeat(np.arange(count), people.sizes)[by]
        found = [of_part[of_part >= 0] * count + place[of_part >= 0]]
        of_number = {number: at for at, number in enumerate(people.numbers.tolist())}
        answers = [
            int(part[row]) * count + of_number[number]
            for row in np.flatnonzero(self._answered & (part >= 0)).tolist()
            for number in self._faces.rejected[row]
            if number in of_number
        ]
        return np.sort(np.concatenate([*found, np.array(answers, np.int64)]))

    def of_faces(
        self, people: People, person: NDArray[np.int64], rows: NDArray[np.int64], by: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return whom m faces are not: the number `by` (m,) of each times all p people, plus the places of theirs.

        `person` tells whom all faces are, (n,).
        """
        count = len(people.numbers)
        beside, of = self._photos.beside(rows)
        place = places_in(people.numbers, person[beside])
        found = by[of[place >= 0]] * count + place[place >= 0]
        answers = [
            (int(by[at]), number) for at in np.flatnonzero(self._answered[rows]) for number in self._not(rows[at])
        ]
        if not answers:
            return found
        codes, numbers = np.array(answers, np.int64).T
        place = places_in(people.numbers, numbers)
        return np.concatenate([found, codes[place >= 0] * count + place[place >= 0]])

    def _not(self, row: int) -> frozenset[int]:
        return self._faces.rejected[row]


def _among_candidates(
    people: People,
    compared: Compared,
    parts: NDArray[np.int64],
    scores: NDArray[np.float32],
    against: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return the scores (m, p) with the most similar faces in them, and minus infinity for who they cannot be.

    `parts` are the places of m groups, and `against` who is not whom, as of `Forbidden.pairs`.
    """
    found = np.full(scores.shape, -np.inf, np.float32)
    count = min(_CANDIDATES, scores.shape[1])
    near = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    row, place = np.nonzero(np.take_along_axis(scores, near, axis=1) >= _HOPELESS)
    place = near[row, place]
    allowed = places_in(against, parts[row] * scores.shape[1] + place) < 0
    row, place = row[allowed], place[allowed]
    found[row, place] = scores[row, place] + JOIN.nearest * compared.nearest(people, parts[row], place)
    return found


def _checks(people: People, stated: NDArray[np.bool_], more: float, shapes: Shapes) -> Iterator[OpenQuestions]:
    """Yield questions about the faces of people: the part that is unlike the others, and each unlike one."""
    free = [~stated[rows] for rows in people.rows]
    some = [at for at, one in enumerate(free) if len(one) >= 3 and one.any()]
    if not some:
        return
    found = [
        shapes.of_person(int(people.numbers[at]), people.rows[at], free[at], partial(_shape, people, at, free[at]))
        for at in some
    ]
    yield from _of_single_faces(people, some, free, found, more, shapes.of_faces(people))
    parts = [(at, part) for at, shape in zip(some, found, strict=True) for part in shape.parts]
    if not parts:
        return
    whose = np.array([at for at, _ in parts])
    sizes = np.array([len(part.rows) for _, part in parts])
    centres = np.stack([part.centre for _, part in parts])
    like = _Like(
        np.array([part.similar for _, part in parts]),
        np.array([part.length for _, part in parts]),
        people.sizes[whose] - sizes,
    )
    chances = _theirs(people, whose, centres @ people.centres.T, like, more, own=False)
    asked = np.flatnonzero(chances[np.arange(len(whose)), whose] <= 1.0 - LEAST)
    if len(asked):
        rows = [parts[one][1].rows for one in asked.tolist()]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[asked])])
        worths = _worths(chances[asked], whose[asked]) * sizes[asked]
        yield OpenQuestions("check", worths, np.concatenate(rows), starts, whose[asked], chances[asked])


def _of_single_faces(
    people: People,
    some: list[int],
    free: list[NDArray[np.bool_]],
    found: list[Shape],
    more: float,
    grid: Grid | None,
) -> Iterator[OpenQuestions]:
    """Yield questions about each face that is unlike the others of its person, of some people."""
    ends = np.cumsum(people.sizes)
    # Many people at a time, as most have few faces.
    portion, count = list[int](), 0
    for place, at in enumerate(some):
        portion.append(place)
        count += len(people.rows[at])
        if count < _BLOCK and place + 1 < len(some):
            continue
        places = [some[one] for one in portion]
        whose = np.repeat(places, people.sizes[places])
        if grid is None:
            cosines = np.concatenate([people.exact(one) for one in places]) @ people.centres.T
        else:
            cosines = np.concatenate([grid.cosines[ends[one] - people.sizes[one] : ends[one]] for one in places])
        shapes = [found[one] for one in portion]
        like = _Like(
            np.concatenate([shape.similar for shape in shapes]),
            np.concatenate([shape.lengths for shape in shapes]),
            people.sizes[whose] - 1,
        )
        chances = _theirs(people, whose, cosines, like, more)
        can_be_asked = np.concatenate([free[one] for one in places])
        asked = np.flatnonzero(can_be_asked & (chances[np.arange(len(whose)), whose] <= 1.0 - LEAST))
        if len(asked):
            rows = np.concatenate([people.rows[one] for one in places])[asked]
            worths = _worths(chances[asked], whose[asked])
            yield OpenQuestions("check", worths, rows, np.arange(len(rows) + 1), whose[asked], chances[asked])
        portion, count = [], 0


def _shape(people: People, at: int, free: NDArray[np.bool_]) -> Shape:
    vectors, rows = people.exact(at), people.rows[at]
    total = vectors.sum(axis=0)
    rest = total - vectors
    lengths = np.linalg.norm(rest, axis=1)
    similar = np.einsum("nd,nd->n", vectors, rest) / np.maximum(lengths, 1e-9)
    parts = []
    for part in (_apart(vectors, free, similar), _halves(vectors, free)):
        count = int(part.sum())
        if 2 <= count < len(rows):
            ours, others = vectors[part], vectors[~part].sum(axis=0)
            centre, length = unit(ours.sum(axis=0)), float(np.linalg.norm(others)) / (len(rows) - count)
            parts.append(Part(typical_first(ours, rows[part]), centre, float(centre @ unit(others)), length))
    return Shape(similar, lengths / (len(vectors) - 1), parts)


def _worths(chances: NDArray[np.float32], asked: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many of m faces an answer takes from whom they are not, and gives to whom they are, (m,)."""
    return _of_others(chances, asked) + (1.0 - chances[np.arange(len(asked)), asked].astype(np.float64))


def _of_others(chances: NDArray[np.float32], asked: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of the candidates together, (m,), by those of all people, (m, p), and who is asked for."""
    others = np.where(chances >= LEAST_ELSE, chances, 0.0)
    others[np.arange(len(others)), asked] = 0.0
    result = others.sum(axis=1, dtype=np.float64)
    many = np.flatnonzero(np.count_nonzero(others, axis=1) > ELSE)
    result[many] = np.partition(others[many], -ELSE, axis=1)[:, -ELSE:].sum(axis=1, dtype=np.float64)
    return np.asarray(result)


class _Like(NamedTuple):
    """How m faces or parts lie to the others of their person."""

    similar: NDArray[np.floating]  # (m,) to the centre of these
    lengths: NDArray[np.floating]  # (m,) of their mean
    sizes: NDArray[np.int64]  # (m,) how many they are


def _theirs(
    people: People,
    whose: NDArray[np.int64],
    cosines: NDArray[np.float32],
    like: _Like,
    more: float,
    own: bool = True,
) -> NDArray[np.float32]:
    """Return the probabilities of all people (m, p) for m faces or parts, by their similarity to a person's others.

    `whose` are the places of these people, (m,), `cosines` (m, p) those with the centres of all people. That they are
    theirs so far counts for single faces, not for a part that was chosen to be unlike the rest.
    """
    scores, ours = people.scores(CHECK, cosines, more), (np.arange(len(whose)), whose)
    scores[ours] += CHECK.cosine * (like.similar - cosines[ours])
    scores[ours] += CHECK.length * (like.lengths - people.lengths[whose])
    scores[ours] += CHECK.size * (np.log(like.sizes) - np.log(people.sizes[whose])) + CHECK.own * own
    return probabilities(scores)


def _apart(vectors: NDArray[np.float32], free: NDArray[np.bool_], similar: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which of a person's faces (n, d) are the part that is like the least similar one; never stated ones."""
    part = np.zeros(len(vectors), np.bool_)
    part[np.flatnonzero(free)[similar[free].argmin()]] = True
    return _settled(vectors, free, part)


def _halves(vectors: NDArray[np.float32], free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of a person's faces (n, d) lie on one side of where they spread the most; none if both are stated.

    Two people of many faces each who were taken for one are told apart so.
    """
    everything = np.ones(len(vectors), np.bool_)
    spread = vectors - vectors.mean(axis=0)
    part = _settled(vectors, everything, spread @ widest(spread) > 0)
    if part[~free].any():
        part = ~part
    return part & ~part[~free].any()


def _settled(vectors: NDArray[np.float32], free: NDArray[np.bool_], part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a part, of the free ones, of faces that are each nearer to its mean than to that of the others."""
    for _ in range(_ROUNDS):
        if part.all() or not part.any():
            break
        ours, others = unit(vectors[~part].sum(axis=0)), unit(vectors[part].sum(axis=0))
        now = free & (vectors @ others > vectors @ ours)
        if (now == part).all() or not now.any() or now.all():
            break
        part = now
    return part
