"""People by age and gender: the stored groups are those that tags are made from."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from rollcall.ages import AGE_GROUPS, OLDEST
from rollcall.search.candidates import CandidateFace
from rollcall.search.person_filter import STORED_GROUPS, PersonFilter
from rollcall.storage.views import V1_GROUPS
from rollcall.tags.rules import GROUPS, NEGLIGIBLE, FaceProbabilities, group_probabilities

FILTERS = st.builds(
    lambda a, b, gender: PersonFilter(min(a, b), max(a, b), gender),
    st.integers(0, OLDEST),
    st.integers(0, OLDEST),
    st.sampled_from([None, "female", "male"]),
)
P = st.floats(0, 1)


def test_every_group_of_the_tags_has_its_filter() -> None:
    assert sorted(STORED_GROUPS.values()) == sorted(GROUPS)


@given(ages=st.fixed_dictionaries(dict.fromkeys(AGE_GROUPS, P)), p_female=P)
def test_a_filter_and_its_stored_group_give_the_same_probability(
    ages: dict[str, float | None], p_female: float
) -> None:
    face = CandidateFace(1, 0.9, p_female, None, None, ages)
    stored = FaceProbabilities(**{f"p_{name}": p for name, p in ages.items()}, p_female=p_female)
    for person, name in STORED_GROUPS.items():
        assert face.probability(person) == GROUPS[name](stored)


@given(FILTERS, FILTERS)
def test_an_intersection_is_within_both(one: PersonFilter, other: PersonFilter) -> None:
    both = one.intersection(other)
    assert both == other.intersection(one)
    if both is not None:
        assert both.is_within(one) and both.is_within(other)
    assert one.is_within(other) == (both == one)


def test_people_are_described_by_their_group_or_their_ages() -> None:
    described = {
        PersonFilter(): "anyone",
        PersonFilter(0, 12, "female"): "girls",
        PersonFilter(30, 39, "male"): "male from 30 to 39",
        PersonFilter(31): "people from 31 on",
        PersonFilter(5, 5): "people of 5",
    }
    assert {person: person.describe() for person in described} == described


def test_the_view_names_every_group_and_from_which_probability_it_has_rows() -> None:
    names = next(column.help for column in V1_GROUPS.columns if column.name == "name")
    assert sorted(re.findall(r"[a-z]+", names.partition(":")[2])) == sorted(GROUPS)
    assert f"less likely than {NEGLIGIBLE}" in V1_GROUPS.help
    ages = dict.fromkeys(AGE_GROUPS, 0.1)
    faces = [FaceProbabilities(**{f"p_{name}": p for name, p in ages.items()}, p_female=0.5)] * 2
    stored = group_probabilities(faces)
    assert len(stored["children"]) == 1, "0.01 for two of them has no row"
    assert len(stored["female"]) == 2
