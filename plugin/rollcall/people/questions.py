"""Which questions about people are worth asking: an answer to each settles the most faces, as far as one can tell.

After names were typed, two kinds of mistakes are left: faces and groups of nobody that are somebody with a name, and
faces that were taken for somebody whom they are not. Both are asked for, by the number of faces that the answer
settles times the probability that it changes who they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.people import assign, reading
from rollcall.people.clusters import Faces
from rollcall.people.kept import KeptFaces
from rollcall.people.linkage import UNKNOWN
from rollcall.people.posterior import CHECK, JOIN, People, centre_of, centres_of, probabilities, strangers, unit, widest
from rollcall.storage.tables import PersonNameRow, PersonRow

#: The least probability that an answer changes who a face is: what is surer is not asked.
LEAST: Final = 0.02
#: Of whom else faces may be: how many are told, and their least probability.
ELSE: Final = 5
_LEAST_ELSE: Final = 0.01
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


def questions(
    faces: Faces, person: NDArray[np.int64], stated: NDArray[np.bool_], named: Collection[int]
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
    theirs = np.isin(person, np.fromiter(named, np.int64, len(named)))
    if not theirs.any():
        return []
    order = np.flatnonzero(theirs)
    order = order[np.argsort(person[order], kind="stable")]
    numbers, first = np.unique(person[order], return_index=True)
    members = dict(zip(numbers.tolist(), np.split(order, first[1:]), strict=True))
    people = People(faces.vectors, members)
    parts = _of_nobody(faces, person, np.flatnonzero(~theirs & ~stated))
    more = strangers(len(parts.starts))
    found = [*_joins(faces, people, parts, more)]
    for at in range(len(people.numbers)):
        found += _checks(faces, people, at, stated, more)
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
    found = questions(library.faces, library.person, library.stated, named)
    meant = np.where(np.isin(library.person, list(named)), library.person, UNKNOWN)
    for one in found:
        meant[list(one.faces)] = one.person
    born = assign.earliest_photos(library, meant)

    def early(faces: Sequence[int], person: int) -> bool:
        return bool((library.taken[list(faces)] < born.get(person, -np.inf)).any())

    possible = (one for one in found if one.kind == "check" or not early(one.faces, one.person))
    answered = np.fromiter(map(bool, library.faces.rejected), np.bool_, len(library))
    photos = dict[int, frozenset[int]]()

    def may_be(faces: Sequence[int], person: int) -> bool:
        if person not in photos:
            photos[person] = frozenset(library.faces.photos[library.person == person].tolist())
        rows = np.array(faces)
        return not early(faces, person) and not _forbidden(library.faces, rows, person, photos[person], answered)

    return [
        replace(
            one,
            faces=tuple(library.face_ids[list(one.faces)].tolist()),
            candidates=tuple(other for other in one.candidates if may_be(one.faces, other.person)),
        )
        for one in islice(possible, limit)
    ]


class _Parts(NamedTuple):
    """Faces and groups of nobody: the rows of all of them, and where in these each begins."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]  # (k,)

    @property
    def ends(self) -> NDArray[np.int64]:
        return np.append(self.starts[1:], len(self.rows))


def _of_nobody(faces: Faces, person: NDArray[np.int64], free: NDArray[np.int64]) -> _Parts:
    """Return the faces and groups of nobody; a face in no group is one of its own.

    A pan that was taken for a face is as similar to somebody's blurred profile as to anything: what linkage does not
    take for a person's face by itself is not worth anybody's time.
    """
    if not len(free):
        return _Parts(free, free)
    group = np.where(person[free] == UNKNOWN, -2 - free, person[free])
    order = np.argsort(group, kind="stable")
    rows, first = free[order], np.flatnonzero(np.diff(group[order], prepend=group[order[0]] - 1))
    sizes = np.diff(first, append=len(rows))
    clear = ~np.logical_and.reduceat(faces.weak[rows], first)
    kept = sizes[clear]
    return _Parts(rows[np.repeat(clear, sizes)], np.cumsum(kept) - kept)


def _joins(faces: Faces, people: People, parts: _Parts, more: float) -> Iterator[Question]:
    """Yield questions about the faces and groups of nobody: whether they are the likeliest person."""
    ends = parts.ends
    for at in range(0, len(parts.starts), _BLOCK):
        starts, until = parts.starts[at : at + _BLOCK], ends[at : at + _BLOCK]
        centres = centres_of(faces.vectors, parts.rows[starts[0] : until[-1]], starts - starts[0])
        scores = people.scores(JOIN, centres @ people.centres.T, more)
        scores += JOIN.group * np.log(until - starts)[:, None]
        # The most similar faces add at most their weight.
        hopeful = np.flatnonzero(scores.max(axis=1) >= _HOPELESS)
        some = [parts.rows[starts[one] : until[one]] for one in hopeful.tolist()]
        centres, scores = centres[hopeful], scores[hopeful]
        for rows, score in zip(some, _among_candidates(faces, people, some, centres, scores), strict=True):
            chance = probabilities(score)
            best = int(chance.argmax())
            if chance[best] >= LEAST:
                them, likely = int(people.numbers[best]), float(chance[best])
                yield Question(them, _typical_first(faces, rows), likely, "join", _candidates(people, chance, best))


def _among_candidates(
    faces: Faces,
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
    answered = np.fromiter(map(bool, faces.rejected), np.bool_, len(faces.rejected))
    for at, theirs in zip(numbers.tolist(), np.split(part[order], first)[1:], strict=True):
        them, photos = int(people.numbers[at]), frozenset(faces.photos[people.rows[at]].tolist())
        asked = theirs[[not _forbidden(faces, parts[row], them, photos, answered) for row in theirs.tolist()]]
        if len(asked):
            found[asked, at] = scores[asked, at] + JOIN.nearest * people.nearest(at, centres[asked])
    return found


def _candidates(people: People, chances: NDArray[np.float64], asked: int) -> tuple[Candidate, ...]:
    """Return whom else faces may be, by the probabilities of all people (p,), than the one who is asked for."""
    likely = np.flatnonzero(chances >= _LEAST_ELSE)
    order = likely[np.argsort(-chances[likely], kind="stable")]
    some = order[order != asked][:ELSE].tolist()
    return tuple(Candidate(int(people.numbers[one]), float(chances[one])) for one in some)


def _checks(faces: Faces, people: People, at: int, stated: NDArray[np.bool_], more: float) -> Iterator[Question]:
    """Yield questions about the faces of a person: the part that is unlike the others, and each unlike one."""
    them, rows = int(people.numbers[at]), people.rows[at]
    free = ~stated[rows]
    if len(rows) < 3 or not free.any():
        return
    vectors = np.asarray(faces.vectors[rows], np.float32)
    total = vectors.sum(axis=0)
    rest = total - vectors
    lengths = np.linalg.norm(rest, axis=1)
    similar = np.einsum("nd,nd->n", vectors, rest) / np.maximum(lengths, 1e-9)
    chances = _theirs(people, at, vectors, similar, lengths / (len(rows) - 1), len(rows) - 1, more)
    for face, chance in zip(rows[free].tolist(), chances[free], strict=True):
        if chance[at] <= 1.0 - LEAST:
            yield Question(them, (face,), float(chance[at]), "check", _candidates(people, chance, at))
    for part in (_apart(vectors, free, similar), _halves(vectors, free)):
        count = int(part.sum())
        if not 2 <= count < len(rows):
            continue
        centre, others = unit(vectors[part].sum(axis=0)), vectors[~part].sum(axis=0)
        near, length = centre @ unit(others), np.linalg.norm(others) / (len(rows) - count)
        of_part = _theirs(
            people, at, centre[None], np.array([near]), np.array([length]), len(rows) - count, more, own=False
        )
        if of_part[0, at] <= 1.0 - LEAST:
            others = _candidates(people, of_part[0], at)
            yield Question(them, _typical_first(faces, rows[part]), float(of_part[0, at]), "check", others)


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


def _forbidden(
    faces: Faces, rows: NDArray[np.int64], them: int, photos: frozenset[int], answered: NDArray[np.bool_]
) -> bool:
    """Return whether a person, or a photo of both (`photos` are theirs), says that faces are not somebody.

    `answered` are the faces (n,) of which somebody was rejected.
    """
    return any(them in faces.rejected[row] for row in rows[answered[rows]].tolist()) or not photos.isdisjoint(
        faces.photos[rows].tolist()
    )


def _typical_first(faces: Faces, rows: NDArray[np.int64]) -> tuple[int, ...]:
    if len(rows) == 1:
        return (int(rows[0]),)
    order = np.argsort(-(np.asarray(faces.vectors[rows], np.float32) @ centre_of(faces.vectors, rows)), kind="stable")
    return tuple(rows[order].tolist())
