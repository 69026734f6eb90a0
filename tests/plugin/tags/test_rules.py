"""Rules from the probabilities of faces to groups and tags."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollcall.ages import AGE_GROUPS, at_least
from rollcall.records import AttributeLabels
from rollcall.settings import TagSettings
from rollcall.tags.rules import (
    GROUPS,
    NEGLIGIBLE,
    FaceProbabilities,
    automatic_tags,
    group_probabilities,
    tag_rules,
    with_labels,
)

NOTHING = FaceProbabilities(None, None, None, None, None, None, None)
#: Probabilities that are no artefacts of rounding.
CHANCE = st.integers(0, 1000).map(lambda n: n / 1000)


def faces(longest: int = 6) -> st.SearchStrategy[list[FaceProbabilities]]:
    return st.lists(
        st.builds(FaceProbabilities, *[st.none() | CHANCE] * len(FaceProbabilities._fields)), max_size=longest
    )


def face(**known: float) -> FaceProbabilities:
    return NOTHING._replace(**{f"p_{name}": p for name, p in known.items()})


@given(faces())
@settings(deadline=None)
def test_a_photo_shows_a_group_unless_no_face_belongs_to_it(people: list[FaceProbabilities]) -> None:
    found = group_probabilities(people)
    for name, of_face in GROUPS.items():
        known = [p for p in map(of_face, people) if p is not None]
        if known:
            assert found[name][0] == pytest.approx(1 - prod(1 - p for p in known), abs=1e-9)
        else:
            assert name not in found


@given(faces())
@settings(deadline=None)
def test_what_is_negligible_is_left_out_and_the_rest_is_in_order(people: list[FaceProbabilities]) -> None:
    for name, counts in group_probabilities(people).items():
        known = [p for p in map(GROUPS[name], people) if p is not None]
        expected = [p for p in at_least(known)[1:] if p >= NEGLIGIBLE]
        assert counts[1:] == pytest.approx(expected)
        assert counts == sorted(counts, reverse=True)


@given(faces().flatmap(lambda people: st.tuples(st.just(people), st.permutations(people))))
@settings(deadline=None)
def test_the_order_of_the_faces_does_not_matter(
    two_orders: tuple[list[FaceProbabilities], list[FaceProbabilities]],
) -> None:
    first, second = map(group_probabilities, two_orders)
    assert first.keys() == second.keys()
    assert all(first[name][0] == pytest.approx(second[name][0], abs=1e-9) for name in first)


@given(CHANCE, CHANCE, CHANCE)
def test_one_face_is_a_woman_or_a_man_if_adult_and_a_girl_or_a_boy_if_a_child(
    adult: float, child: float, female: float
) -> None:
    found = {
        name: counts[0]
        for name, counts in group_probabilities([face(adults=adult, children=child, female=female)]).items()
    }
    assert found["women"] + found["men"] == pytest.approx(adult, abs=1e-9)
    assert found["girls"] + found["boys"] == pytest.approx(child, abs=1e-9)
    assert found["female"] + found["male"] == pytest.approx(1)


def test_without_gender_there_are_children_but_no_girls() -> None:
    found = group_probabilities([face(children=0.8, adults=0.1)])
    assert set(found) == {"children", "adults"}


def test_without_faces_there_are_no_groups() -> None:
    assert group_probabilities([]) == {}
    assert group_probabilities([NOTHING]) == {}


def test_a_second_child_is_as_likely_as_both_being_children() -> None:
    found = group_probabilities([face(children=0.9), face(children=0.5)])
    assert found["children"] == pytest.approx([0.95, 0.45])


RULES = tag_rules(TagSettings())


@given(st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_tag_is_applied_when_sure_and_suggested_when_likely(p: float, apply: float, suggest: float) -> None:
    rules = RULES._replace(thresholds={**RULES.thresholds, "children": apply}, suggest_above=suggest)
    found = automatic_tags({"children": [p]}, 1, rules)
    if p >= apply:
        assert [(tag.name, tag.state) for tag in found] == [("People/Children", "applied")]
    elif p >= suggest:
        assert [(tag.name, tag.state) for tag in found] == [("People/Children", "suggested")]
    else:
        assert found == []
    assert all(tag.probability == p for tag in found)


def test_a_tag_without_a_threshold_is_only_suggested_unless_it_is_certain() -> None:
    rules = RULES._replace(thresholds={**RULES.thresholds, "teenagers": None})
    assert [tag.state for tag in automatic_tags({"teenagers": [0.99]}, 1, rules)] == ["suggested"]
    assert [tag.state for tag in automatic_tags({"teenagers": [1.0]}, 1, rules)] == ["applied"]


def test_more_precision_never_lowers_a_threshold() -> None:
    wanted = [0.5, 0.8, 0.86, 0.9, 0.95, 0.97, 0.99]
    found = [tag_rules(TagSettings(precision=p)).thresholds["children"] for p in wanted]
    assert all(p is not None and p >= 0.5 for p in found)
    assert found == sorted(found)  # type: ignore[type-var]


def test_tags_have_the_names_of_the_settings_in_any_language() -> None:
    rules = tag_rules(TagSettings(prefix="", children="Kinder", girls="Mädchen", group="", adults=""))
    found = automatic_tags({name: [1.0] for name in GROUPS}, 7, rules)
    assert {tag.name for tag in found} == {"Babies", "Kinder", "Mädchen", "Teenagers", "Seniors"}


def test_tags_lie_in_the_folder_that_the_settings_name() -> None:
    settings = TagSettings(prefix="Persons")
    found = automatic_tags({name: [1.0] for name in GROUPS}, 7, tag_rules(settings))
    assert {tag.name for tag in found} == {
        "Persons/Babies",
        "Persons/Children",
        "Persons/Teenagers",
        "Persons/Adults",
        "Persons/Seniors",
        "Persons/Group",
    }


@pytest.mark.parametrize(("count", "is_group"), [(0, False), (4, False), (5, True), (30, True)])
def test_from_five_faces_on_a_photo_is_of_a_group(count: int, is_group: bool) -> None:
    names = [tag.name for tag in automatic_tags({}, count, RULES)]
    assert names == (["People/Group"] if is_group else [])


def test_every_group_has_a_name_among_the_settings_unless_it_is_no_tag() -> None:
    assert {name for name in GROUPS if not hasattr(TagSettings(), name)} == {"female", "male"}


@given(st.integers(0, 110), st.integers(0, 110))
def test_a_corrected_age_gives_the_share_of_each_group(low: int, extra: int) -> None:
    high = min(low + extra, 110)
    found = with_labels(face(children=0.5, adults=0.5, female=0.25), AttributeLabels(low, high))
    for name, group in AGE_GROUPS.items():
        # The last age includes all above it.
        inside = [age for age in range(low, high + 1) if group.low <= min(age, 100) <= group.high]
        assert getattr(found, f"p_{name}") == pytest.approx(len(inside) / (high - low + 1))
    assert found.p_female == 0.25


@pytest.mark.parametrize(("gender", "p_female"), [("female", 1.0), ("male", 0.0), ("other", None), (None, None)])
def test_a_corrected_gender_is_certain(gender: str | None, p_female: float | None) -> None:
    found = with_labels(face(children=0.5, female=0.25), AttributeLabels(gender_given=True, gender=gender))
    assert found == face(children=0.5)._replace(p_female=p_female)


@given(faces(longest=1))
def test_without_labels_the_predictions_stay(people: list[FaceProbabilities]) -> None:
    assert [with_labels(one, AttributeLabels()) for one in people] == people
