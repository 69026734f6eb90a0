"""Photos and faces in memory, with everything that a query can ask of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, bindparam, text
from sqlalchemy.orm import Session

from rollcall import ages
from rollcall.records import DERIVED_AGES, GIVEN_AGES
from rollcall.search.joint import FaceProbabilities, joint_of_text, unpacked
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import FacesInRange, to_text
from rollcall.storage.library import chunks

_GROUPS: Final = tuple(ages.AGE_GROUPS)
#: The columns of `v1_faces`, named f, that `face_of` takes, in their order.
FACE_COLUMNS: Final = (
    "photo_id, face_id, score, p_female, age_distribution, age_source, age_low, age_high, person_id,"
    " person_probability, person IS NOT NULL, (SELECT taken_local FROM photos p WHERE p.id = f.photo_id), "
    + ", ".join(f"p_{name}" for name in _GROUPS)
)


class CandidateFace(NamedTuple):
    """A face as a query sees it."""

    face_id: int
    score: float  # of the detector, 0..1
    p_female: float | None  # 0 or 1 where a person corrected it; None if unknown or of another label
    distribution: Sequence[float] | None  # predicted, 101 ages; None where a person gave the age
    age_range: tuple[int, int] | None  # the corrected age in years, from and to
    groups: dict[str, float | None]  # the stored probability of each age group
    person: int | None = None  # who it probably is
    p_person: float = 0.0  # how probably
    named: bool = False  # whether that person has a name
    taken: str | None = None  # capture time of the photo, ISO 8601
    derived: bool = False  # the range of ages follows from the person's birth date

    def probability(self, person: PersonFilter) -> float:
        """Return the probability, 0..1, that the face is of such a person; age and gender are independent."""
        if person.identity is not None:
            return joint_of_text(to_text(FacesInRange((person,), 1))).of([self.probabilities()])
        result = 1.0
        if not person.any_age:
            age = self._age_probability(person)
            if age is None:
                return 0.0
            result *= age
        if person.gender is not None:
            if self.p_female is None:
                return 0.0
            result *= self.p_female if person.gender == "female" else 1.0 - self.p_female
        return result

    def probabilities(self) -> FaceProbabilities:
        """Return what is known of the face's age, gender and identity."""
        return FaceProbabilities(
            self.distribution,
            self.age_range,
            self.p_female,
            self.person,
            self.p_person,
            self.named,
            self.taken,
            self.derived,
        )

    def _age_probability(self, person: PersonFilter) -> float | None:
        if self.age_range is not None:
            return ages.range_share(*self.age_range, person.low, person.high)
        # The stored groups come from the distribution before it was rounded to 16 bits.
        group = person.age_group
        stored = None if group is None else self.groups.get(group)
        if stored is not None:
            return stored
        # A sum of a few numbers: NumPy takes ten times as long, and this runs for every face that is shown.
        return None if self.distribution is None else min(sum(self.distribution[person.low : person.high + 1]), 1.0)


class CandidatePhoto(NamedTuple):
    """A photo as a query sees it."""

    photo_id: int
    path: str  # relative to its root
    taken_local: str | None  # ISO 8601, wall time
    faces: tuple[CandidateFace, ...]
    tags: frozenset[str]  # applied ones
    reviewed: bool
    similar: dict[int, float] = {}  # noqa: RUF012 (never written to): by face, the probability that this photo shows it
    video: bool = False

    def at_least(self, person: PersonFilter, count: int) -> float:
        """Return the probability, 0..1, that at least `count` faces are of such people."""
        if person.anyone:
            return float(len(self.faces) >= count)
        if count > len(self.faces):
            return 0.0
        probabilities = [face.probability(person) for face in self.faces]
        if count == 1:
            return ages.any_of(probabilities)
        return float(ages.at_least(probabilities)[count - 1])

    def face_probabilities(self) -> list[FaceProbabilities]:
        """Return what is known of each face's age, gender and identity."""
        return [face.probabilities() for face in self.faces]


def load_photos(
    session: Session, photo_ids: Sequence[int], similar: Mapping[int, Mapping[int, float]] | None = None
) -> Iterator[CandidatePhoto]:
    """Yield photos by their numbers, in no certain order; unknown numbers are left out.

    Parameters
    ----------
    similar
        By face: photos that show a similar one, with the probability that it is the same person.
    """
    for part in chunks(photo_ids):
        ids: BindParameter[list[int]] = bindparam("ids", list(part), expanding=True)
        select = text("SELECT photo_id, path, taken_local, reviewed, duration FROM v1_photos WHERE photo_id IN :ids")
        photos = session.execute(select.bindparams(ids)).all()
        faces: dict[int, list[CandidateFace]] = {}
        for row in session.execute(
            text(f"SELECT {FACE_COLUMNS} FROM v1_faces f WHERE photo_id IN :ids ORDER BY face_id").bindparams(ids)
        ).all():
            faces.setdefault(row[0], []).append(face_of(row))
        tags: dict[int, set[str]] = {}
        for photo_id, tag in session.execute(
            text("SELECT photo_id, tag FROM v1_tags WHERE state = 'applied' AND photo_id IN :ids").bindparams(ids)
        ).all():
            tags.setdefault(photo_id, set()).add(tag)
        for photo_id, path, taken_local, reviewed, duration in photos:
            yield CandidatePhoto(
                photo_id,
                path,
                taken_local,
                tuple(faces.get(photo_id, ())),
                frozenset(tags.get(photo_id, ())),
                bool(reviewed),
                {face: found[photo_id] for face, found in (similar or {}).items() if photo_id in found},
                duration is not None,
            )


def face_of(row: Any, *, by_group: bool = False) -> CandidateFace:
    """Return a face from a row that begins with `FACE_COLUMNS`.

    `by_group`: only stored groups are asked for, and the distribution of a face that has them is left out.
    """
    return CandidateFace(
        face_id=row[1],
        score=row[2],
        p_female=row[3],
        distribution=None if row[4] is None or (by_group and row[12] is not None) else unpacked(row[4]),
        age_range=(int(row[6]), int(row[7])) if row[5] in GIVEN_AGES else None,
        derived=row[5] in DERIVED_AGES,
        person=row[8],
        p_person=row[9] or 0.0,
        named=bool(row[10]),
        taken=row[11],
        groups=dict(zip(_GROUPS, row[12:], strict=False)),
    )
