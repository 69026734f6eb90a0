"""What could be asked about people: faces and groups of nobody that may be somebody, and faces that may not be.

Each is an open question, with the probabilities of all people; few of very many are ever asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.people.clusters import Faces
from rollcall.people.linkage import UNKNOWN
from rollcall.people.posterior import CHECK, JOIN, People, probabilities, strangers, unit, widest
from rollcall.people.shapes import Parts, Shape, Shapes

#: The least probability that an answer changes who a face is: what is surer is not asked.
LEAST: Final = 0.02
#: Of whom else faces may be: how many are told, and their least probability.
ELSE: Final = 5
_LEAST_ELSE: Final = 0.01
#: Of faces that are of somebody, or in no group that is asked about: less than any number of a group.
_NO_GROUP: Final = np.iinfo(np.int64).min
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
    chances: NDArray[np.float64]  # (p,) of all people

    def question(self, faces: Faces, people: People) -> Question:
        """Return it to be asked."""
        rows, likely = _typical_first(faces, self.rows), float(self.chances[self.at])
        others = _candidates(people, self.chances, self.at)
        return Question(int(people.numbers[self.at]), rows, likely, self.kind, others)


def open_questions(
    faces: Faces,
    person: NDArray[np.int64],
    stated: NDArray[np.bool_],
    people: People,
    shapes: Shapes,
    forbidden: Forbidden,
) -> list[Open]:
    """Return all questions about people that could be asked; several may be about one face."""
    shapes.forget(people.numbers)
    free = ~stated
    for rows in people.rows:
        free[rows] = False
    parts = _of_nobody(faces, person, free)
    more = strangers(len(parts.starts))
    found = [*_joins(faces, people, parts, more, shapes, forbidden)]
    for at in range(len(people.numbers)):
        found += _checks(faces, people, at, stated, more, shapes)
    return found


def _of_nobody(faces: Faces, person: NDArray[np.int64], free: NDArray[np.bool_]) -> Parts:
    """Return the faces and groups of nobody, which are `free` (n,); a face in no group is one of its own.

    A pan that was taken for a face is as similar to somebody's blurred profile as to anything: what linkage does not
    take for a person's face by itself is not worth anybody's time.
    """
    group = np.where(person == UNKNOWN, -2 - np.arange(len(person)), person)
    group[~free] = _NO_GROUP
    rows = np.flatnonzero(free)
    if not len(rows):
        return Parts(rows, rows, group)
    rows = rows[np.argsort(group[rows], kind="stable")]
    first = np.flatnonzero(np.diff(group[rows], prepend=_NO_GROUP))
    sizes = np.diff(first, append=len(rows))
    clear = ~np.logical_and.reduceat(faces.weak[rows], first)
    kept = sizes[clear]
    return Parts(rows[np.repeat(clear, sizes)], np.cumsum(kept) - kept, group)


def _joins(
    faces: Faces, people: People, parts: Parts, more: float, shapes: Shapes, forbidden: Forbidden
) -> Iterator[Open]:
    """Yield questions about the faces and groups of nobody: whether they are the likeliest person."""
    ends = parts.ends
    of_all = shapes.centres(faces.vectors, parts)
    for at in range(0, len(parts.starts), _BLOCK):
        starts, until = parts.starts[at : at + _BLOCK], ends[at : at + _BLOCK]
        centres = of_all[at : at + _BLOCK]
        scores = people.scores(JOIN, centres @ people.centres.T, more)
        scores += JOIN.group * np.log(until - starts)[:, None]
        # The most similar faces add at most their weight.
        hopeful = np.flatnonzero(scores.max(axis=1) >= _HOPELESS)
        some = [parts.rows[starts[one] : until[one]] for one in hopeful.tolist()]
        if not some:
            continue
        chances = probabilities(_among_candidates(forbidden, people, some, centres[hopeful], scores[hopeful]))
        best = chances.argmax(axis=1)
        likely = np.take_along_axis(chances, best[:, None], axis=1)[:, 0]
        worths = _of_others(chances, best) + likely
        for one in np.flatnonzero(likely >= LEAST).tolist():
            yield Open("join", float(worths[one]) * len(some[one]), some[one], int(best[one]), chances[one])


class Forbidden:
    """Tells of whom a person, or a photo of both, says that faces are not they."""

    def __init__(self, faces: Faces, shapes: Shapes) -> None:
        self._faces = faces
        self._codes, self._photos = shapes.photo_codes(faces.photos)
        self._answered = np.fromiter(map(bool, faces.rejected), np.bool_, len(faces.rejected))
        self._of_people = dict[int, frozenset[int]]()

    def of(self, person: int, theirs: NDArray[np.int64], parts: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
        """Return which of m groups of faces are not a person, of whom `theirs` are the faces, (m,)."""
        on_photo = np.zeros(self._photos, np.bool_)
        on_photo[self._codes[theirs]] = True
        rows = np.concatenate(parts)
        sizes = np.array([len(one) for one in parts])
        starts = np.cumsum(sizes) - sizes
        found = np.logical_or.reduceat(on_photo[self._codes[rows]], starts)
        for one in np.flatnonzero(np.logical_or.reduceat(self._answered[rows], starts)).tolist():
            some = parts[one][self._answered[parts[one]]].tolist()
            found[one] |= any(person in self._faces.rejected[row] for row in some)
        return np.asarray(found)

    def one(self, person: int, people: NDArray[np.int64], rows: Sequence[int]) -> bool:
        """Return whether a few faces are not a person; whom all faces are is given by `people`, (n,)."""
        photos = self._of_people.get(person)
        if photos is None:
            theirs = np.flatnonzero(people == person)
            photos = self._of_people[person] = frozenset(self._codes[theirs].tolist())
        some = np.array(rows, np.int64)
        if not photos.isdisjoint(self._codes[some].tolist()):
            return True
        return any(person in self._faces.rejected[row] for row in some[self._answered[some]].tolist())


def _among_candidates(
    forbidden: Forbidden,
    people: People,
    parts: Sequence[NDArray[np.int64]],
    centres: NDArray[np.float32],
    scores: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the scores (m, p) with the most similar faces in them, and minus infinity for who they cannot be."""
    found = np.full(scores.shape, -np.inf)
    count = min(_CANDIDATES, scores.shape[1])
    near = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    part, place = np.nonzero(np.take_along_axis(scores, near, axis=1) >= _HOPELESS)
    candidate = near[part, place]
    order = np.argsort(candidate, kind="stable")
    numbers, first = np.unique(candidate[order], return_index=True)
    for at, theirs in zip(numbers.tolist(), np.split(part[order], first)[1:], strict=True):
        some = [parts[row] for row in theirs.tolist()]
        asked = theirs[~forbidden.of(int(people.numbers[at]), people.rows[at], some)]
        if len(asked):
            found[asked, at] = scores[asked, at] + JOIN.nearest * people.nearest(at, centres[asked])
    return found


def _candidates(people: People, chances: NDArray[np.float64], asked: int) -> tuple[Candidate, ...]:
    """Return whom else faces may be, by the probabilities of all people (p,), than the one who is asked for."""
    likely = np.flatnonzero(chances >= _LEAST_ELSE)
    order = likely[np.argsort(-chances[likely], kind="stable")]
    some = order[order != asked][:ELSE].tolist()
    return tuple(Candidate(int(people.numbers[one]), float(chances[one])) for one in some)


def _checks(
    faces: Faces, people: People, at: int, stated: NDArray[np.bool_], more: float, shapes: Shapes
) -> Iterator[Open]:
    """Yield questions about the faces of a person: the part that is unlike the others, and each unlike one."""
    rows = people.rows[at]
    free = ~stated[rows]
    if len(rows) < 3 or not free.any():
        return
    vectors = np.asarray(faces.vectors[rows], np.float32)
    shape = shapes.of_person(int(people.numbers[at]), faces.vectors, rows, free, lambda: _shape(vectors, free))
    chances = _theirs(people, at, vectors, shape.similar, shape.lengths, len(rows) - 1, more)
    unsure = np.flatnonzero(free & (chances[:, at] <= 1.0 - LEAST))
    chances = chances[unsure]
    worths = _of_others(chances, np.full(len(unsure), at)) + 1.0 - chances[:, at]
    for row, worth, of_face in zip(rows[unsure, None], worths.tolist(), chances, strict=True):
        yield Open("check", worth, row, at, of_face)
    for part in shape.parts:
        count = int(part.sum())
        if not 2 <= count < len(rows):
            continue
        centre, others = unit(vectors[part].sum(axis=0)), vectors[~part].sum(axis=0)
        near, length = centre @ unit(others), np.linalg.norm(others) / (len(rows) - count)
        of_part = _theirs(
            people, at, centre[None], np.array([near]), np.array([length]), len(rows) - count, more, own=False
        )
        if of_part[0, at] <= 1.0 - LEAST:
            worth = float(_of_others(of_part, np.array([at]))[0] + 1.0 - of_part[0, at])
            yield Open("check", worth * count, rows[part], at, of_part[0])


def _shape(vectors: NDArray[np.float32], free: NDArray[np.bool_]) -> Shape:
    total = vectors.sum(axis=0)
    rest = total - vectors
    lengths = np.linalg.norm(rest, axis=1)
    similar = np.einsum("nd,nd->n", vectors, rest) / np.maximum(lengths, 1e-9)
    return Shape(similar, lengths / (len(vectors) - 1), [_apart(vectors, free, similar), _halves(vectors, free)])


def _of_others(chances: NDArray[np.float64], asked: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of the candidates together, (m,), by those of all people, (m, p), and who is asked for."""
    others = np.where(chances >= _LEAST_ELSE, chances, 0.0)
    others[np.arange(len(others)), asked] = 0.0
    if others.shape[1] > ELSE:
        others = np.partition(others, -ELSE, axis=1)[:, -ELSE:]
    return np.asarray(others.sum(axis=1))


def _theirs(
    people: People,
    at: int,
    centres: NDArray[np.float32],
    similar: NDArray[np.floating],
    lengths: NDArray[np.floating],
    size: int,
    more: float,
    own: bool = True,
) -> NDArray[np.float64]:
    """Return the probabilities of all people (m, p) for m centres (m, d), by their similarity to a person's others.

    `similar` are the cosines (m,) with the centre of these, `lengths` (m,) that of their mean, `size` how many they
    are. That they are theirs so far counts for single faces, not for a part that was chosen to be unlike the rest.
    """
    scores = people.scores(CHECK, centres @ people.centres.T, more)
    scores[:, at] += CHECK.cosine * (similar - centres @ people.centres[at])
    scores[:, at] += CHECK.length * (lengths - people.lengths[at])
    scores[:, at] += CHECK.size * (np.log(size) - np.log(people.sizes[at])) + CHECK.own * own
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


def _typical_first(faces: Faces, rows: NDArray[np.int64]) -> tuple[int, ...]:
    if len(rows) == 1:
        return (int(rows[0]),)
    vectors = np.asarray(faces.vectors[rows], np.float32)
    return tuple(rows[np.argsort(-(vectors @ unit(vectors.sum(axis=0))), kind="stable")].tolist())
