"""Terms about a photo itself: what is certain of it, and whom it shows by a face's embedding."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Final

from rollcall.search.candidates import CandidatePhoto
from rollcall.search.terms.base import CandidateSources, SimilarTo, SqlParameters, Term, as_probability

#: More faces than any photo has: the upper end of "or more".
MOST_FACES: Final = 10**6
#: The ends of a period that has none: they come before and after every capture time.
FIRST_DAY: Final = "0000-01-01"
LAST_DAY: Final = "9999-12-31"
#: SQL's LIKE folds the case of ASCII letters only.
_LIKE: Final = re.IGNORECASE | re.ASCII | re.DOTALL


class CertainTerm(Term):
    """A term whose probability is 0 or 1."""

    @abstractmethod
    def condition(self, parameters: SqlParameters) -> str:
        """Return the SQL condition, over `v1_photos` named p."""

    @abstractmethod
    def holds(self, photo: CandidatePhoto) -> bool:
        """Return whether the photo is meant."""

    def expression(self, parameters: SqlParameters) -> str:
        return as_probability(self.condition(parameters))

    def match(self, photo: CandidatePhoto) -> float:
        return float(self.holds(photo))


@dataclass(frozen=True)
class Everything(CertainTerm):
    """All photos."""

    def condition(self, parameters: SqlParameters) -> str:
        return "1 = 1"

    def expression(self, parameters: SqlParameters) -> str:
        return "1.0"

    def holds(self, photo: CandidatePhoto) -> bool:
        return True

    def __str__(self) -> str:
        return "every photo"


@dataclass(frozen=True)
class FaceCount(CertainTerm):
    """The number of faces lies in a range, both ends included."""

    low: int
    high: int

    def condition(self, parameters: SqlParameters) -> str:
        return f"p.faces BETWEEN {parameters.bind(self.low)} AND {parameters.bind(self.high)}"

    def holds(self, photo: CandidatePhoto) -> bool:
        return self.low <= len(photo.faces) <= self.high

    def __str__(self) -> str:
        if self.low == self.high:
            return f"exactly {self.low} face{'' if self.low == 1 else 's'}"
        return f"{self.low} faces or more" if self.high >= MOST_FACES else f"from {self.low} to {self.high} faces"


@dataclass(frozen=True)
class Taken(CertainTerm):
    """Taken from a day on, to before another: ISO 8601, wall time."""

    start: str
    end: str

    def condition(self, parameters: SqlParameters) -> str:
        return f"p.taken_local >= {parameters.bind(self.start)} AND p.taken_local < {parameters.bind(self.end)}"

    def holds(self, photo: CandidatePhoto) -> bool:
        return photo.taken_local is not None and self.start <= photo.taken_local < self.end

    def __str__(self) -> str:
        begin = "" if self.start <= FIRST_DAY else f" from {self.start} on"
        return f"taken{begin}" + ("" if self.end >= LAST_DAY else f"{', ' if begin else ' '}before {self.end}")


@dataclass(frozen=True)
class PathLike(CertainTerm):
    """The path below the root matches a pattern with * and ?; without either, it contains the text."""

    pattern: str

    def condition(self, parameters: SqlParameters) -> str:
        like = _escaped(self._whole()).replace("*", "%").replace("?", "_")
        return f"p.path LIKE {parameters.bind(like)} ESCAPE '\\'"

    def holds(self, photo: CandidatePhoto) -> bool:
        regular = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in self._whole())
        return bool(re.fullmatch(regular, photo.path, _LIKE))

    def _whole(self) -> str:
        return self.pattern if any(c in self.pattern for c in "*?") else f"*{self.pattern}*"

    def __str__(self) -> str:
        return f"path like {self.pattern!r}"


@dataclass(frozen=True)
class Tagged(CertainTerm):
    """Has a tag, by its whole name or its last part."""

    name: str

    def condition(self, parameters: SqlParameters) -> str:
        name = _escaped(self.name)
        whole, last = parameters.bind(name), parameters.bind(f"%/{name}")
        return (
            "EXISTS (SELECT 1 FROM v1_tags t WHERE t.photo_id = p.photo_id AND t.state = 'applied'"
            f" AND (t.tag LIKE {whole} ESCAPE '\\' OR t.tag LIKE {last} ESCAPE '\\'))"
        )

    def holds(self, photo: CandidatePhoto) -> bool:
        regular = f"(.*/)?{re.escape(self.name)}"
        return any(re.fullmatch(regular, tag, _LIKE) for tag in photo.tags)

    def __str__(self) -> str:
        return f"tagged {self.name!r}"


@dataclass(frozen=True)
class Score(CertainTerm):
    """Some face has a detection score in a range, both ends included."""

    low: float
    high: float

    def condition(self, parameters: SqlParameters) -> str:
        return (
            "EXISTS (SELECT 1 FROM v1_faces f WHERE f.photo_id = p.photo_id"
            f" AND f.score BETWEEN {parameters.bind(self.low)} AND {parameters.bind(self.high)})"
        )

    def holds(self, photo: CandidatePhoto) -> bool:
        return any(self.low <= face.score <= self.high for face in photo.faces)

    def __str__(self) -> str:
        return f"a face with a score from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Reviewed(CertainTerm):
    """A person has, or has not, reviewed the photo's faces or tags."""

    wanted: bool

    def condition(self, parameters: SqlParameters) -> str:
        return "p.reviewed" if self.wanted else "NOT p.reviewed"

    def holds(self, photo: CandidatePhoto) -> bool:
        return photo.reviewed == self.wanted

    def __str__(self) -> str:
        return "reviewed" if self.wanted else "not reviewed"


@dataclass(frozen=True)
class Similar(Term):
    """Shows the person of a known face, by the similarity of embeddings.

    `position` is where the field stands in the query, for errors about the face.
    """

    face_id: int
    position: int = field(default=0, compare=False)

    def expression(self, parameters: SqlParameters) -> str:
        return f"similar_to({parameters.bind(self.face_id)}, p.photo_id)"

    def match(self, photo: CandidatePhoto) -> float:
        return photo.similar.get(self.face_id, 0.0)

    def candidate_sources(self) -> list[CandidateSources]:
        return [(SimilarTo(self.face_id),)]

    def __str__(self) -> str:
        return f"someone like face {self.face_id}"


def _escaped(text: str) -> str:
    """Return a text with the characters that LIKE treats as special escaped by a backslash."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
