"""Terms about a photo itself: what is certain of it, and whom it shows by a face's embedding."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.search.candidates import CandidatePhoto
from rollcall.search.columns import Columns
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import MOST_FACES, FacesInRange, Requirement
from rollcall.search.terms.base import CandidateSources, SimilarTo, SqlParameters, Term, as_probability

#: The ends of a period that has none: they come before and after every capture time.
FIRST_DAY: Final = "0000-01-01"
LAST_DAY: Final = "9999-12-31"


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

    def probabilities(self, columns: Columns) -> NDArray[np.float64]:
        return np.ones(len(columns))

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

    def probabilities(self, columns: Columns) -> NDArray[np.float64]:
        return ((columns.faces >= self.low) & (columns.faces <= self.high)).astype(np.float64)

    def requirement(self) -> Requirement:
        return FacesInRange((PersonFilter(),), self.low, self.high)

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

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        start, end = _day(self.start), _day(self.end)
        if start is None or end is None:
            return None
        days = columns.days
        return ((days > 0) & (days >= start) & (days < end)).astype(np.float64)

    def __str__(self) -> str:
        begin = "" if self.start <= FIRST_DAY else f" from {self.start} on"
        return f"taken{begin}" + ("" if self.end >= LAST_DAY else f"{', ' if begin else ' '}before {self.end}")


@dataclass(frozen=True)
class TakenYearly(CertainTerm):
    """Taken in a part of any year: from one day to another, both included, as month and day (MM-DD), wall time."""

    first: str
    last: str

    def condition(self, parameters: SqlParameters) -> str:
        day, first, last = "SUBSTR(p.taken_local, 6, 5)", parameters.bind(self.first), parameters.bind(self.last)
        return f"({day} >= {first} {'AND' if self.first <= self.last else 'OR'} {day} <= {last})"

    def holds(self, photo: CandidatePhoto) -> bool:
        if photo.taken_local is None:
            return False
        day = photo.taken_local[5:10]
        if self.first <= self.last:
            return self.first <= day <= self.last
        return day >= self.first or day <= self.last

    def probabilities(self, columns: Columns) -> NDArray[np.float64]:
        days, first, last = columns.days, int(self.first.replace("-", "")), int(self.last.replace("-", ""))
        day = days % 10_000
        inside = (day >= first) & (day <= last) if first <= last else (day >= first) | (day <= last)
        return (inside & (days > 0)).astype(np.float64)

    def __str__(self) -> str:
        return f"taken from {self.first} to {self.last} of any year"


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
class OfType(CertainTerm):
    """Is a video, or a photo."""

    video: bool

    def condition(self, parameters: SqlParameters) -> str:
        return f"p.duration IS {'NOT ' if self.video else ''}NULL"

    def holds(self, photo: CandidatePhoto) -> bool:
        return photo.video == self.video

    def __str__(self) -> str:
        return "a video" if self.video else "a photo"


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


def _day(text: str) -> int | None:
    """Return a whole day, in ISO 8601, as a number YYYYMMDD; None if it is none."""
    digits = text.replace("-", "")
    return int(digits) if len(text) == 10 and len(digits) == 8 and digits.isdigit() else None
