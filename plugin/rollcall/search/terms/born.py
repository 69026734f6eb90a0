"""People by their year of birth: their age on a photo follows from when it was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollcall import ages
from rollcall.search.candidates import CandidatePhoto
from rollcall.search.columns import Columns
from rollcall.search.columns.columns import at_least_of
from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms.base import GIVEN_SQL, CandidateSources, SqlParameters, Term
from rollcall.search.terms.person_sql import group_sources, identity_sql, over_faces


@dataclass(frozen=True)
class Born(Term):
    """At least `count` faces of people who were born from year `first` to year `last`, both included.

    On a photo of year T somebody born in year Y is of T - Y years, or of one less before the birthday. Photos without
    a capture time show nobody of them.
    """

    person: PersonFilter
    first: int
    last: int
    count: int = 1

    def expression(self, parameters: SqlParameters) -> str:
        year = "CAST(SUBSTR(p.taken_local, 1, 4) AS INTEGER)"
        low = f"MAX({year} - {parameters.bind(self.last + 1)}, {parameters.bind(self.person.low)})"
        high = f"MIN({year} - {parameters.bind(self.first)}, {parameters.bind(self.person.high)})"
        of_age = (
            f"(CASE WHEN f.age_source IN {GIVEN_SQL} THEN age_share(f.age_low, f.age_high, {low}, {high})"
            f" ELSE COALESCE(age_mass(f.age_distribution, {low}, {high}), 0.0) END)"
        )
        gender = {None: "", "female": " * COALESCE(f.p_female, 0.0)", "male": " * COALESCE(1.0 - f.p_female, 0.0)"}
        identity = self.person.identity
        of_identity = "" if identity is None else f" * {identity_sql(identity, parameters)}"
        found = over_faces(
            f"at_least({parameters.bind(self.count)}, {of_age}{gender[self.person.gender]}{of_identity})"
        )
        return f"(CASE WHEN p.taken_local IS NULL THEN 0.0 ELSE {found} END)"

    def match(self, photo: CandidatePhoto) -> float:
        if photo.taken_local is None or self.count > len(photo.faces):
            return 0.0
        year = int(photo.taken_local[:4])
        low, high = max(year - self.last - 1, self.person.low), min(year - self.first, self.person.high)
        if low > high:
            return 0.0
        person = PersonFilter(low, high, self.person.gender, self.person.identity)
        probabilities = [face.probability(person) for face in photo.faces]
        return float(ages.at_least(probabilities)[self.count - 1])

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        if self.person.identity is not None:
            return None
        years = columns.days // 10_000
        lows = np.maximum(years - self.last - 1, self.person.low)
        highs = np.minimum(years - self.first, self.person.high)
        result = np.zeros(len(columns))
        rows = np.flatnonzero((years > 0) & (lows <= highs))
        some, lows, highs = columns.at(rows), lows[rows], highs[rows]
        events = []
        for face in some.places():
            of_age = face.ages(lows[: face.count], highs[: face.count])
            events.append(of_age if self.person.gender is None else of_age * face.gender(self.person.gender))
        result[rows] = at_least_of(some, events, self.count)
        return result

    def candidate_sources(self) -> list[CandidateSources]:
        return group_sources(self.person, self.count) if not self.person.anyone else []

    def people(self) -> Sequence[PersonFilter]:
        # Their ages differ from photo to photo, and they need ages in any case.
        return (self.person if not self.person.any_age else self.person._replace(low=1),)

    def __str__(self) -> str:
        years = f"in {self.first}" if self.first == self.last else f"from {self.first} to {self.last}"
        return f"at least {self.count} of {self.person.describe()} born {years}"
