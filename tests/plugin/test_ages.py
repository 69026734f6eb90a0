"""Estimates, intervals and group probabilities of distributions over ages."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rollcall import ages
from rollcall.ages import AGE_GROUPS, AGES, OLDEST

Distribution = NDArray[np.float64]


def distribution(weights: dict[int, float]) -> Distribution:
    """Return a distribution with these weights at these ages."""
    result = np.zeros(AGES)
    for age, weight in weights.items():
        result[age] = weight
    return result / result.sum()


def distributions() -> st.SearchStrategy[Distribution]:
    some = st.dictionaries(st.integers(0, OLDEST), st.floats(0.01, 1), min_size=1, max_size=AGES)
    return some.map(distribution)


def probability_lists(longest: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(0, 1), max_size=longest)


def share_below(spread: Distribution, years: float) -> float:
    """Return the probability of less than `years`, each year's mass spread from half a year before to half after."""
    return float(sum(p * min(max(years - (age - 0.5), 0.0), 1.0) for age, p in enumerate(spread)))


@given(distributions())
def test_all_ages_together_are_certain(spread: Distribution) -> None:
    assert ages.mass(spread, 0, OLDEST) == pytest.approx(1)
    assert ages.mass(spread, -50, 500) == pytest.approx(1)


@given(distributions())
def test_the_masses_of_all_groups_are_those_of_each(spread: Distribution) -> None:
    each = {group.name: float(ages.mass(spread, group.low, group.high)) for group in AGE_GROUPS.values()}
    assert ages.group_masses(spread) == each


@given(distributions(), st.integers(0, OLDEST), st.integers(0, OLDEST), st.integers(0, OLDEST))
def test_the_mass_of_a_range_is_that_of_its_parts(spread: Distribution, a: int, b: int, c: int) -> None:
    low, middle, high = sorted((a, b, c))
    parts = ages.mass(spread, low, middle) + ages.mass(spread, middle + 1, high)
    assert ages.mass(spread, low, high) == pytest.approx(parts)
    assert ages.mass(spread, low, high) == pytest.approx(sum(spread[age] for age in range(low, high + 1)))


@pytest.mark.parametrize(("low", "high"), [(30, 20), (101, 200), (-10, -1), (-10, -2), (-10, -9)])
def test_a_range_that_holds_no_age_has_no_mass(low: int, high: int) -> None:
    assert ages.mass(np.full(AGES, 1 / AGES), low, high) == 0


@given(st.lists(distributions(), min_size=1, max_size=4))
def test_stacked_distributions_give_the_result_of_each(spreads: list[Distribution]) -> None:
    stack = np.stack(spreads)
    assert ages.mass(stack, 0, 12) == pytest.approx([float(ages.mass(one, 0, 12)) for one in spreads])
    assert ages.estimate(stack).tolist() == [float(ages.estimate(one)) for one in spreads]


@given(distributions())
def test_the_true_age_is_as_likely_below_the_estimate_as_above(spread: Distribution) -> None:
    age = int(ages.estimate(spread))
    assert spread[age] > 0
    assert spread[:age].sum() < 0.5 + 1e-9 and spread[age + 1 :].sum() <= 0.5 + 1e-9
    low, high = ages.interval(spread)
    assert low <= age + 0.5 and age - 0.5 <= high


@pytest.mark.parametrize("age", [0, 1, 37, 99, 100])
def test_the_interval_of_a_certain_age_lies_around_it(age: int) -> None:
    certain = distribution({age: 1.0})
    low, high = ages.interval(certain)
    assert ages.estimate(certain) == age
    assert (low, high) == pytest.approx((max(age - 0.4, 0), min(age + 0.4, OLDEST)))


@given(distributions())
def test_the_interval_leaves_a_tenth_out_at_each_end(spread: Distribution) -> None:
    low, high = ages.interval(spread)
    assert 0 <= low <= high <= OLDEST
    # At an end that was clipped there is less outside.
    assert share_below(spread, low) == pytest.approx(0.1) if low > 0 else share_below(spread, 0) >= 0.1 - 1e-9
    assert share_below(spread, high) == pytest.approx(0.9) if high < OLDEST else share_below(spread, 100) <= 0.9 + 1e-9


@given(distributions(), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_a_greater_share_needs_a_wider_interval(spread: Distribution, a: float, b: float) -> None:
    narrow, wide = ages.interval(spread, min(a, b)), ages.interval(spread, max(a, b))
    assert wide[0] <= narrow[0] + 1e-9
    assert narrow[1] <= wide[1] + 1e-9


@example(distribution({0: 0.18, 2: 0.01, 3: 0.01}))
@given(distributions())
def test_an_interval_does_not_depend_on_the_scale(spread: Distribution) -> None:
    """A distribution that was stored in half precision sums to almost one."""
    assert ages.interval(spread * 0.997) == pytest.approx(ages.interval(spread))


@given(distributions())
def test_everybody_is_a_child_a_teenager_or_an_adult(spread: Distribution) -> None:
    p = {name: float(ages.mass(spread, group.low, group.high)) for name, group in AGE_GROUPS.items()}
    assert p["children"] + p["teenagers"] + p["adults"] == pytest.approx(1)
    assert max(p["babies"], p["toddlers"]) <= p["children"] + 1e-9
    assert p["seniors"] <= p["adults"] + 1e-9


@pytest.mark.parametrize(
    ("age", "names"),
    [
        (0, {"babies", "children"}),
        (1, {"babies", "toddlers", "children"}),
        (3, {"toddlers", "children"}),
        (12, {"children"}),
        (13, {"teenagers"}),
        (19, {"teenagers"}),
        (20, {"adults"}),
        (59, {"adults"}),
        (60, {"adults", "seniors"}),
        (100, {"adults", "seniors"}),
    ],
)
def test_the_groups_begin_and_end_with_these_birthdays(age: int, names: set[str]) -> None:
    assert {group.name for group in AGE_GROUPS.values() if group.low <= age <= group.high} == names


def exactly(probabilities: list[float], count: int) -> float:
    """Return the probability that so many of independent events happen, outcome by outcome."""
    return sum(
        prod(p if happens else 1 - p for p, happens in zip(probabilities, outcome, strict=True))
        for outcome in product((False, True), repeat=len(probabilities))
        if sum(outcome) == count
    )


@given(probability_lists(longest=6))
@settings(deadline=None)
def test_at_least_k_is_the_sum_over_all_outcomes(probabilities: list[float]) -> None:
    n = len(probabilities)
    expected = [sum(exactly(probabilities, count) for count in range(k, n + 1)) for k in range(1, n + 1)]
    assert ages.at_least(probabilities).tolist() == pytest.approx(expected, abs=1e-9)


@given(probability_lists(longest=40))
def test_a_higher_count_is_never_more_probable(probabilities: list[float]) -> None:
    counts = ages.at_least(probabilities)
    assert counts.shape == (len(probabilities),)
    assert (np.diff(counts) <= 1e-9).all()
    assert ((counts >= 0) & (counts <= 1)).all()


@given(probability_lists(longest=40))
def test_any_is_at_least_one(probabilities: list[float]) -> None:
    expected = ages.at_least(probabilities)[0] if probabilities else 0
    assert ages.any_of(probabilities) == pytest.approx(expected, abs=1e-9)


@given(probability_lists(longest=12), st.floats(0, 1))
def test_one_more_event_never_lowers_the_probability_of_any(probabilities: list[float], more: float) -> None:
    one_more = ages.any_of([*probabilities, more])
    assert one_more >= ages.any_of(probabilities) - 1e-12
    assert one_more >= more - 1e-12
    assert one_more <= sum(probabilities) + more + 1e-12


def test_probabilities_beyond_the_range_by_rounding_count_as_its_ends() -> None:
    assert ages.any_of([-1e-4]) == 0
    assert ages.any_of([1 + 1e-4]) == 1
    assert ages.at_least([1 + 1e-4, -1e-4]).tolist() == [1, 0]
