"""Probabilities of several people on one photo, against trying every combination of ages and genders."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from meaning import holds
from rollcall import ages
from rollcall.search.candidates import CandidateFace, CandidatePhoto
from rollcall.search.grammar import parse
from rollcall.search.joint import FaceProbabilities, JointProbability
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import Combined, FacesInRange, from_text, to_text
from rollcall.search.terms import (
    DistinctPeople,
    SqlParameters,
    Term,
)

#: Ages that stand for all that the filters of the queries below tell apart.
YEARS = (1, 4, 8, 15, 25, 35, 50, 62, 75)
Person = tuple[int | None, str]


def brute_force(term: Term, faces: list[CandidateFace]) -> float:
    """Return the sum of the probabilities of all combinations that the term holds for."""
    return sum(
        math.prod(probability for _, probability in some)
        for some in itertools.product(*(list(outcomes(face)) for face in faces))
        if holds(term, [person for person, _ in some], passes)
    )


def outcomes(face: CandidateFace) -> Iterator[tuple[Person, float]]:
    genders = {"": 1.0} if face.p_female is None else {"female": face.p_female, "male": 1.0 - face.p_female}
    years: dict[int | None, float] = {None: 1.0}
    if face.distribution is not None:
        years = {year: face.distribution[year] for year in YEARS if face.distribution[year]}
    for (age, share), (gender, part) in itertools.product(years.items(), genders.items()):
        if share * part > 0:
            yield (age, gender), share * part


def passes(person: Person, wanted: PersonFilter) -> bool:
    age, gender = person
    if not wanted.any_age and (age is None or not wanted.low <= age <= wanted.high):
        return False
    return wanted.gender in (None, gender)


@st.composite
def candidate_faces(draw: st.DrawFn) -> CandidateFace:
    p_female = draw(st.one_of(st.none(), st.sampled_from([0.0, 1.0]), st.floats(0, 1)))
    if draw(st.integers(0, 9)) == 0:
        return CandidateFace(1, 0.9, p_female, None, None, {})
    weights = draw(st.lists(st.integers(0, 5), min_size=len(YEARS), max_size=len(YEARS)).filter(any))
    distribution = [0.0] * ages.AGES
    for year, weight in zip(YEARS, weights, strict=True):
        distribution[year] = weight / sum(weights)
    return CandidateFace(1, 0.9, p_female, distribution, None, {})


QUERIES = [
    "grandparents with grandchildren",
    "sons and daughters",
    "a child and a girl",
    "a woman, a man and two kids",
    "a senior, a woman and an adult",
    "someone over 40 and a woman and someone under 30",
    "two women and a girl",
    "families",
    "family of four",
    "exactly two children",
    "exactly 2 women exactly 1 man",
    "2 or 3 kids",
    "kids but no adults",
    "kids or women",
    "no boys or girls",
    "neither kids nor teens",
    "only women and children",
    "only a man and a woman",
    "not (a woman and a baby)",
    "(kids or seniors) and not (two women)",
    "a couple with a baby",
    "at most one child and a woman",
    "kids and age:>60",
    "everyone but children",
    "two men or three kids",
]


@pytest.mark.parametrize("query", QUERIES)
@given(faces=st.lists(candidate_faces(), max_size=3))
@hypothesis_settings(max_examples=12, deadline=None)
def test_a_probability_is_that_of_all_combinations(query: str, faces: list[CandidateFace]) -> None:
    term = parse(query)
    photo = CandidatePhoto(1, "a.jpg", None, tuple(faces), frozenset(), False)
    assert term.match(photo) == pytest.approx(brute_force(term, faces), abs=1e-3)


def test_the_photo_of_two_faces_that_looked_like_grandparents_with_grandchildren() -> None:
    distribution = [0.0] * ages.AGES
    distribution[8], distribution[25], distribution[70] = 0.3, 0.6, 0.1
    faces = (CandidateFace(1, 0.9, 0.5, distribution, None, {}), CandidateFace(2, 0.9, 0.5, distribution, None, {}))
    photo = CandidatePhoto(1, "a.jpg", None, faces, frozenset(), False)
    # One is the child and the other the grandparent, either way round; a product of both would give 0.097.
    assert parse("grandparents with grandchildren").match(photo) == pytest.approx(2 * 0.3 * 0.1)


def test_a_crowd_takes_no_longer_than_a_moment() -> None:
    distribution = [1 / ages.AGES] * ages.AGES
    faces = tuple(CandidateFace(n, 0.9, 0.5, distribution, None, {}) for n in range(120))
    photo = CandidatePhoto(1, "a.jpg", None, faces, frozenset(), False)
    for query in (
        "a woman, a man and two kids",
        "exactly 10 women and exactly 12 men",
        "10 kids and 10 women and 10 men",
    ):
        assert 0.0 <= parse(query).match(photo) <= 1.0


def test_a_requirement_that_is_too_large_is_bounded_by_its_parts() -> None:
    term = parse(", ".join(f"{n} people aged {n}" for n in range(20, 32)))
    assert isinstance(term, DistinctPeople)
    assert not JointProbability(term.requirement()).exact
    assert "least_of" in term.expression(SqlParameters())
    faces = [FaceProbabilities(None, (20, 20), 1.0)] * 2
    assert JointProbability(FacesInRange((PersonFilter(20, 20),), 2)).of(faces) == 1.0


def test_a_requirement_survives_being_written_as_text() -> None:
    requirement = Combined(
        "any",
        (
            FacesInRange((PersonFilter(0, 12), PersonFilter(gender="female")), 2),
            Combined("not", (FacesInRange((PersonFilter(),), 0, 3, outside=True),)),
        ),
    )
    assert from_text(to_text(requirement)) == requirement
