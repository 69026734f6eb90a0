"""The tree of a query. Every term says the same thing twice: as SQL, and of a photo in memory.

A term gives the probability, 0..1, that a photo is meant. Facts (a path, a number of faces) are 0 or 1; people
come from the distributions, with a person's corrections as certainty. Different terms are taken as independent.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall import ages
from rollcall.search.vocabulary import STORED, PersonFilter
from rollcall.tags.rules import NEGLIGIBLE

#: Of more kinds than this that share people, not every choice is looked at.
MOST_KINDS: Final = 4


class FaceFacts(NamedTuple):
    """What a query may ask of a face."""

    face_id: int
    score: float
    p_female: float | None  # 0 or 1 where a person said so; None if unknown or of another label
    distribution: NDArray[np.float32] | None  # of the model, None where a person gave the age
    age_range: tuple[int, int] | None  # the corrected age, from and to
    groups: dict[str, float | None]  # the stored groups' probabilities of this face

    def p(self, person: PersonFilter) -> float:
        """Return the probability that this face is of a kind."""
        chance = 1.0
        if (person.low, person.high) != (0, ages.OLDEST):
            age = ages.range_share(*self.age_range, person.low, person.high) if self.age_range else self._mass(person)
            if age is None:
                return 0.0
            chance *= age
        if person.gender is not None:
            if self.p_female is None:
                return 0.0
            chance *= self.p_female if person.gender == "female" else 1.0 - self.p_female
        return chance

    def _mass(self, person: PersonFilter) -> float | None:
        # The stored groups come from the distribution before it was rounded to 16 bits.
        name = PersonFilter(person.low, person.high).group
        if name is not None and self.groups.get(name) is not None:
            return self.groups[name]
        return None if self.distribution is None else float(ages.mass(self.distribution, person.low, person.high))


class PhotoFacts(NamedTuple):
    """What a query may ask of a photo."""

    photo_id: int
    path: str  # relative to its root
    taken_local: str | None
    faces: tuple[FaceFacts, ...]
    tags: frozenset[str]  # applied ones
    reviewed: bool
    similar: dict[int, float] = {}  # noqa: RUF012 (never written to): asked-for face -> how likely it is here too

    def at_least(self, person: PersonFilter, count: int) -> float:
        """Return the probability that at least `count` faces are of a kind."""
        if person.anyone:
            return float(len(self.faces) >= count)
        if count > len(self.faces):
            return 0.0
        chances = [face.p(person) for face in self.faces]
        if count == 1:
            return ages.any_of(chances)
        chance = float(ages.at_least(chances)[count - 1])
        # As it is stored: see tags.rules.NEGLIGIBLE.
        return chance if person.group is None or chance >= NEGLIGIBLE else 0.0


@dataclass
class Sql:
    """Collects the parameters of a statement while terms are compiled."""

    parameters: dict[str, Any] = field(default_factory=dict)

    def bind(self, value: Any) -> str:
        """Return the placeholder of a value."""
        name = f"v{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"


class InGroup(NamedTuple):
    """Photos by the stored probability that they show at least so many of a group."""

    name: str
    at_least: int


class SimilarTo(NamedTuple):
    """Photos by how likely they show the person of a face."""

    face_id: int


#: Sources of photos. Every photo that may be meant comes from one of them at least, and is no likelier meant than
#: that at least one of the sources' events happens.
CandidateSources = tuple[InGroup | SimilarTo, ...]


class Term(ABC):
    """A part of a query."""

    @abstractmethod
    def sql(self, sql: Sql) -> str:
        """Return an SQL expression of the probability, over `v1_photos` named p."""

    @abstractmethod
    def match(self, photo: PhotoFacts) -> float:
        """Return the probability that the photo is meant."""

    def candidate_sources(self) -> list[CandidateSources]:
        """Return ways to come by every photo that may be meant; each alone will do."""
        return []

    def condition(self, sql: Sql) -> str | None:
        """Return an SQL condition that says the same, if the probability can only be 0 or 1."""
        return None

    def children(self) -> Sequence[Term]:
        """Return the terms below."""
        return ()

    @abstractmethod
    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Everything(Term):
    """All photos."""

    def sql(self, sql: Sql) -> str:
        return "1.0"

    def condition(self, sql: Sql) -> str:
        return "1 = 1"

    def match(self, photo: PhotoFacts) -> float:
        return 1.0

    def __str__(self) -> str:
        return "every photo"


@dataclass(frozen=True)
class People(Term):
    """At least `count` faces of a kind; `phrase` if it was said in words, where people are counted apart."""

    person: PersonFilter
    count: int = 1
    phrase: bool = True

    def sql(self, sql: Sql) -> str:
        return at_least_sql(self.person, self.count, sql)

    def match(self, photo: PhotoFacts) -> float:
        return photo.at_least(self.person, self.count)

    def condition(self, sql: Sql) -> str | None:
        return f"p.faces >= {sql.bind(self.count)}" if self.person.anyone else None

    def candidate_sources(self) -> list[CandidateSources]:
        return covering_group_sources(self.person, self.count)

    def __str__(self) -> str:
        return f"at least {self.count} of {describe(self.person)}"


@dataclass(frozen=True)
class Number(Term):
    """The number of faces of a kind lies in a range, both ends included."""

    person: PersonFilter
    low: int
    high: int

    def sql(self, sql: Sql) -> str:
        least = at_least_sql(self.person, self.low, sql) if self.low > 0 else "1.0"
        return f"MAX({least} - {at_least_sql(self.person, self.high + 1, sql)}, 0.0)"

    def match(self, photo: PhotoFacts) -> float:
        least = photo.at_least(self.person, self.low) if self.low > 0 else 1.0
        return max(least - photo.at_least(self.person, self.high + 1), 0.0)

    def candidate_sources(self) -> list[CandidateSources]:
        return covering_group_sources(self.person, self.low) if self.low > 0 else []

    def __str__(self) -> str:
        span = f"exactly {self.low}" if self.low == self.high else f"from {self.low} to {self.high}"
        return f"{span} of {describe(self.person)}"


@dataclass(frozen=True)
class Several(Term):
    """People side by side with nothing between, as the grammar gives them; never part of a finished tree."""

    parts: tuple[Term, ...]

    def sql(self, sql: Sql) -> str:
        return And(self.parts).sql(sql)

    def match(self, photo: PhotoFacts) -> float:
        return And(self.parts).match(photo)

    def __str__(self) -> str:
        return "side by side"


@dataclass(frozen=True)
class AnyOf(Term):
    """At least `count` faces that are of one of some kinds."""

    kinds: tuple[PersonFilter, ...]
    count: int

    def _shares(self) -> list[tuple[int, PersonFilter]]:
        """Return kinds with signs: the chance of any of the kinds is the sum of theirs."""
        result = []
        for size in range(1, len(self.kinds) + 1):
            for some in combinations(self.kinds, size):
                shared: PersonFilter | None = some[0]
                for other in some[1:]:
                    shared = None if shared is None else shared.both(other)
                if shared is not None:
                    result.append((1 if size % 2 else -1, shared))
        return result

    def sql(self, sql: Sql) -> str:
        chance = "".join(f"{'+' if sign > 0 else '-'} {face_sql(person, sql)} " for sign, person in self._shares())
        return (
            f"COALESCE((SELECT at_least({sql.bind(self.count)}, {chance.lstrip('+ ')})"
            " FROM v1_faces f WHERE f.photo_id = p.photo_id), 0.0)"
        )

    def match(self, photo: PhotoFacts) -> float:
        if self.count > len(photo.faces):
            return 0.0
        shares = self._shares()
        chances = [sum(sign * face.p(person) for sign, person in shares) for face in photo.faces]
        return ages.any_of(chances) if self.count == 1 else float(ages.at_least(chances)[self.count - 1])

    def __str__(self) -> str:
        return f"at least {self.count} of {' or '.join(map(describe, self.kinds))}"


def _some_of(kinds: Sequence[PersonFilter], count: int) -> People | AnyOf:
    """Return the term of so many faces of some kinds; a kind that is part of another adds nothing to it."""
    widest = tuple(person for person in kinds if not any(person != other and person.within(other) for other in kinds))
    return People(widest[0], count) if len(widest) == 1 else AnyOf(widest, count)


@dataclass(frozen=True)
class DistinctPeople(Term):
    """Several kinds of people, each by other faces: a woman and a baby are two."""

    people: tuple[People, ...]

    def _parts(self) -> list[list[People | AnyOf]]:
        """Return what there has to be enough faces of, for each cluster of kinds that share people.

        Enough different faces can be found if every choice of the kinds has as many faces in all as are asked for
        (Hall's theorem).
        """
        merged: dict[PersonFilter, int] = {}
        for one in self.people:
            merged[one.person] = merged.get(one.person, 0) + one.count
        clusters: list[list[PersonFilter]] = []
        for person in merged:
            # A new kind may join clusters that were apart.
            near = [c for c in clusters if any(person.both(other) is not None for other in c)]
            clusters = [c for c in clusters if c not in near] + [[person, *(other for c in near for other in c)]]
        return [
            [
                _some_of(kinds, sum(merged[person] for person in kinds))
                for size in range(1, min(len(cluster), MOST_KINDS) + 1)
                for kinds in combinations(cluster, size)
            ]
            for cluster in clusters
        ]

    @property
    def total(self) -> int:
        """How many faces there have to be."""
        return sum(one.count for one in self.people)

    def sql(self, sql: Sql) -> str:
        factors = []
        for part in self._parts():
            expressions = [one.sql(sql) for one in part]
            factors.append(expressions[0] if len(expressions) == 1 else f"least_of({', '.join(expressions)})")
        return f"(CASE WHEN p.faces >= {sql.bind(self.total)} THEN {' * '.join(factors)} ELSE 0.0 END)"

    def match(self, photo: PhotoFacts) -> float:
        if len(photo.faces) < self.total:
            return 0.0
        result = 1.0
        for part in self._parts():
            result *= min(one.match(photo) for one in part)
        return result

    def candidate_sources(self) -> list[CandidateSources]:
        return [cover for part in self._parts() for one in part for cover in one.candidate_sources()]

    def __str__(self) -> str:
        return "different faces: " + ", ".join(map(str, self.people))


@dataclass(frozen=True)
class Only(Term):
    """There are faces, and all of them are of a kind."""

    person: PersonFilter

    def sql(self, sql: Sql) -> str:
        return f"COALESCE((SELECT all_of({face_sql(self.person, sql)}) FROM v1_faces f WHERE f.photo_id = p.photo_id), 0.0)"

    def match(self, photo: PhotoFacts) -> float:
        return float(np.prod([face.p(self.person) for face in photo.faces])) if photo.faces else 0.0

    def candidate_sources(self) -> list[CandidateSources]:
        return covering_group_sources(self.person, 1)

    def __str__(self) -> str:
        return f"only {describe(self.person)}"


@dataclass(frozen=True)
class FaceCount(Term):
    """The number of faces lies in a range."""

    low: int
    high: int

    def condition(self, sql: Sql) -> str:
        return f"p.faces BETWEEN {sql.bind(self.low)} AND {sql.bind(self.high)}"

    def sql(self, sql: Sql) -> str:
        return _certain(self.condition(sql))

    def match(self, photo: PhotoFacts) -> float:
        return float(self.low <= len(photo.faces) <= self.high)

    def __str__(self) -> str:
        if self.low == self.high:
            return f"exactly {self.low} face{'' if self.low == 1 else 's'}"
        return f"{self.low} faces or more" if self.high >= 10**6 else f"from {self.low} to {self.high} faces"


@dataclass(frozen=True)
class Taken(Term):
    """Taken from a day on, to before another: ISO 8601, wall time."""

    start: str
    end: str

    def condition(self, sql: Sql) -> str:
        return f"p.taken_local >= {sql.bind(self.start)} AND p.taken_local < {sql.bind(self.end)}"

    def sql(self, sql: Sql) -> str:
        return _certain(self.condition(sql))

    def match(self, photo: PhotoFacts) -> float:
        return float(photo.taken_local is not None and self.start <= photo.taken_local < self.end)

    def __str__(self) -> str:
        begin = "" if self.start <= "0000-01-01" else f" from {self.start} on"
        return f"taken{begin}" + ("" if self.end >= "9999-12-31" else f"{', ' if begin else ' '}before {self.end}")


@dataclass(frozen=True)
class PathLike(Term):
    """The path below the root matches a pattern with * and ?; without either, it contains the text."""

    pattern: str

    def _like(self) -> str:
        wild = any(c in self.pattern for c in "*?")
        text = self.pattern if wild else f"*{self.pattern}*"
        for plain, escaped in (("\\", "\\\\"), ("%", "\\%"), ("_", "\\_"), ("*", "%"), ("?", "_")):
            text = text.replace(plain, escaped)
        return text

    def condition(self, sql: Sql) -> str:
        return f"p.path LIKE {sql.bind(self._like())} ESCAPE '\\'"

    def sql(self, sql: Sql) -> str:
        return _certain(self.condition(sql))

    def match(self, photo: PhotoFacts) -> float:
        pattern = self.pattern if any(c in self.pattern for c in "*?") else f"*{self.pattern}*"
        regular = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
        # SQL's LIKE folds the case of ASCII letters only.
        return float(bool(re.fullmatch(regular, photo.path, re.IGNORECASE | re.ASCII | re.DOTALL)))

    def __str__(self) -> str:
        return f"path like {self.pattern!r}"


@dataclass(frozen=True)
class Tagged(Term):
    """Has a tag, by its whole name or its last part."""

    name: str

    def condition(self, sql: Sql) -> str:
        text = self.name
        for plain, escaped in (("\\", "\\\\"), ("%", "\\%"), ("_", "\\_")):
            text = text.replace(plain, escaped)
        whole, last = sql.bind(text), sql.bind(f"%/{text}")
        return (
            "EXISTS (SELECT 1 FROM v1_tags t WHERE t.photo_id = p.photo_id AND t.state = 'applied'"
            f" AND (t.tag LIKE {whole} ESCAPE '\\' OR t.tag LIKE {last} ESCAPE '\\'))"
        )

    def sql(self, sql: Sql) -> str:
        return _certain(self.condition(sql))

    def match(self, photo: PhotoFacts) -> float:
        regular = f"(.*/)?{re.escape(self.name)}"
        flags = re.IGNORECASE | re.ASCII | re.DOTALL
        return float(any(re.fullmatch(regular, tag, flags) for tag in photo.tags))

    def __str__(self) -> str:
        return f"tagged {self.name!r}"


@dataclass(frozen=True)
class Score(Term):
    """Some face has a detection score in a range."""

    low: float
    high: float

    def condition(self, sql: Sql) -> str:
        return (
            "EXISTS (SELECT 1 FROM v1_faces f WHERE f.photo_id = p.photo_id"
            f" AND f.score BETWEEN {sql.bind(self.low)} AND {sql.bind(self.high)})"
        )

    def sql(self, sql: Sql) -> str:
        return _certain(self.condition(sql))

    def match(self, photo: PhotoFacts) -> float:
        return float(any(self.low <= face.score <= self.high for face in photo.faces))

    def __str__(self) -> str:
        return f"a face with a score from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Reviewed(Term):
    """A person has, or has not, looked at the photo's faces or tags."""

    wanted: bool

    def condition(self, sql: Sql) -> str:
        return "p.reviewed" if self.wanted else "NOT p.reviewed"

    def sql(self, sql: Sql) -> str:
        return _certain(self.condition(sql))

    def match(self, photo: PhotoFacts) -> float:
        return float(photo.reviewed == self.wanted)

    def __str__(self) -> str:
        return "reviewed" if self.wanted else "not reviewed"


@dataclass(frozen=True)
class Similar(Term):
    """Shows someone person looks like a known face; found by the embeddings, not by SQL."""

    face_id: int

    def sql(self, sql: Sql) -> str:
        return f"similar_to({sql.bind(self.face_id)}, p.photo_id)"

    def match(self, photo: PhotoFacts) -> float:
        return photo.similar.get(self.face_id, 0.0)

    def candidate_sources(self) -> list[CandidateSources]:
        return [(SimilarTo(self.face_id),)]

    def __str__(self) -> str:
        return f"someone like face {self.face_id}"


@dataclass(frozen=True)
class And(Term):
    """All of the parts."""

    parts: tuple[Term, ...]

    def sql(self, sql: Sql) -> str:
        return "(" + " * ".join(part.sql(sql) for part in self.parts) + ")"

    def match(self, photo: PhotoFacts) -> float:
        result = 1.0
        for part in self.parts:
            result *= part.match(photo)
        return result

    def condition(self, sql: Sql) -> str | None:
        return _joined_conditions(self.parts, " AND ", sql)

    def candidate_sources(self) -> list[CandidateSources]:
        return [cover for part in self.parts for cover in part.candidate_sources()]

    def children(self) -> Sequence[Term]:
        return self.parts

    def __str__(self) -> str:
        return "all of"


@dataclass(frozen=True)
class Or(Term):
    """At least one of the parts."""

    parts: tuple[Term, ...]

    def sql(self, sql: Sql) -> str:
        return "(1.0 - " + " * ".join(f"(1.0 - {part.sql(sql)})" for part in self.parts) + ")"

    def match(self, photo: PhotoFacts) -> float:
        result = 1.0
        for part in self.parts:
            result *= 1.0 - part.match(photo)
        return 1.0 - result

    def condition(self, sql: Sql) -> str | None:
        return _joined_conditions(self.parts, " OR ", sql)

    def candidate_sources(self) -> list[CandidateSources]:
        each = [part.candidate_sources() for part in self.parts]
        return [tuple(source for covers in each for source in covers[0])] if all(each) else []

    def children(self) -> Sequence[Term]:
        return self.parts

    def __str__(self) -> str:
        return "any of"


@dataclass(frozen=True)
class Not(Term):
    """Not the part."""

    part: Term

    def sql(self, sql: Sql) -> str:
        return f"(1.0 - {self.part.sql(sql)})"

    def match(self, photo: PhotoFacts) -> float:
        return 1.0 - self.part.match(photo)

    def condition(self, sql: Sql) -> str | None:
        condition = self.part.condition(sql)
        # What is unknown is not the case, and so its opposite is.
        return None if condition is None else f"NOT COALESCE({condition}, 0)"

    def children(self) -> Sequence[Term]:
        return (self.part,)

    def __str__(self) -> str:
        return "not"


def _joined_conditions(parts: Sequence[Term], by: str, sql: Sql) -> str | None:
    if any(part.condition(Sql()) is None for part in parts):
        return None
    return "(" + by.join(part.condition(sql) or "" for part in parts) + ")"


def _certain(condition: str) -> str:
    return f"(CASE WHEN {condition} THEN 1.0 ELSE 0.0 END)"


def at_least_sql(person: PersonFilter, count: int, sql: Sql) -> str:
    """Return the expression of the probability that a photo shows at least `count` of a kind."""
    if person.anyone:
        return _certain(f"p.faces >= {sql.bind(count)}")
    if person.group is not None:
        return (
            "COALESCE((SELECT g.probability FROM photo_groups g WHERE g.photo_id = p.photo_id"
            f" AND g.name = {sql.bind(person.group)} AND g.at_least = {sql.bind(count)}), 0.0)"
        )
    return (
        f"COALESCE((SELECT at_least({sql.bind(count)}, {face_sql(person, sql)})"
        " FROM v1_faces f WHERE f.photo_id = p.photo_id), 0.0)"
    )


def face_sql(person: PersonFilter, sql: Sql) -> str:
    """Return the expression of the probability that a face, named f, is of a kind."""
    factors = []
    if (person.low, person.high) != (0, ages.OLDEST):
        name = PersonFilter(person.low, person.high).group
        if name is not None:
            factors.append(f"COALESCE(f.p_{name}, 0.0)")
        else:
            low, high = sql.bind(person.low), sql.bind(person.high)
            factors.append(
                f"(CASE WHEN f.age_source = 'user' THEN age_share(f.age_low, f.age_high, {low}, {high})"
                f" ELSE COALESCE(age_mass(f.age_distribution, {low}, {high}), 0.0) END)"
            )
    if person.gender == "female":
        factors.append("COALESCE(f.p_female, 0.0)")
    elif person.gender == "male":
        factors.append("COALESCE(1.0 - f.p_female, 0.0)")
    return " * ".join(factors) or "1.0"


def covering_group_sources(person: PersonFilter, count: int) -> list[CandidateSources]:
    """Return the smallest stored group that everyone of a kind belongs to: it bounds the probability."""
    if person.group is not None:
        return [(InGroup(person.group, count),)]
    around = [other for other in STORED if person.within(other)]
    if not around:
        return []
    return [(InGroup(STORED[min(around, key=lambda other: (other.high - other.low, other.gender is None))], count),)]


def describe(person: PersonFilter) -> str:
    """Return a kind in words."""
    if person.anyone:
        return "anyone"
    text = person.group or ({"female": "female", "male": "male"}.get(person.gender or "", "people"))
    if person.group is None:
        if person.low == person.high:
            text += f" of {person.low}"
        else:
            text += f" from {person.low} to {person.high}" if person.high < ages.OLDEST else f" from {person.low} on"
    return text
