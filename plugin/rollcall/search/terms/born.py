"""People by their year of birth: their age on a photo follows from when it was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollcall import ages
from rollcall.search.candidates import CandidatePhoto
from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms.base import CandidateSources, SqlParameters, Term
from rollcall.search.terms.person_sql import group_sources, over_faces


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
            f"(CASE WHEN f.age_source IN ('user', 'birth_date') THEN age_share(f.age_low, f.age_high, {low}, {high})"
            f" ELSE COALESCE(age_mass(f.age_distribution, {low}, {high}), 0.0) END)"
        )
        gender = {None: "", "female": " * COALESCE(f.p_female, 0.0)", "male": " * COALESCE(1.0 - f.p_female, 0.0)"}
        found = over_faces(f"at_least({parameters.bind(self.count)}, {of_age}{gender[self.person.gender]})")
        return f"(CASE WHEN p.taken_local IS NULL THEN 0.0 ELSE {found} END)"

    def match(self, photo: CandidatePhoto) -> float:
        if photo.taken_local is None or self.count > len(photo.faces):
            return 0.0
        year = int(photo.taken_local[:4])
        low, high = max(year - self.last - 1, self.person.low), min(year - self.first, self.person.high)
        if low > high:
            return 0.0
        person = PersonFilter(low, high, self.person.gender)
        probabilities = [face.probability(person) for face in photo.faces]
        return float(ages.at_least(probabilities)[self.count - 1])

    def candidate_sources(self) -> list[CandidateSources]:
        return group_sources(self.person, self.count) if not self.person.anyone else []

    def people(self) -> Sequence[PersonFilter]:
        # Their ages differ from photo to photo, and they need ages in any case.
        return (self.person if not self.person.any_age else self.person._replace(low=1),)

    def __str__(self) -> str:
        years = f"in {self.first}" if self.first == self.last else f"from {self.first} to {self.last}"
        return f"at least {self.count} of {self.person.describe()} born {years}"
