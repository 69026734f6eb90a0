"""The ages of a photo's faces are estimated together."""

from __future__ import annotations

import numpy as np
import pytest

from rollcall_model.ages import AGES
from rollcall_model.attributes.age_mix import ALONE, with_mix_of_photo

CHILD = 13


def face(child: float, adult: int = 35) -> np.ndarray:
    """Return a distribution that is a child with some probability, and else about as old as an adult."""
    years = np.arange(AGES)
    young = np.exp(-0.5 * ((years - 7) / 3) ** 2) * (years < CHILD)
    old = np.exp(-0.5 * ((years - adult) / 8) ** 2) * (years >= CHILD)
    return np.asarray(child * young / young.sum() + (1 - child) * old / old.sum(), np.float32)


def child(ages: np.ndarray) -> np.ndarray:
    return np.asarray(ages[:, :CHILD].sum(axis=1))


def any_child(ages: np.ndarray) -> float:
    return float(1 - np.prod(1 - child(ages)))


@pytest.mark.parametrize("count", range(ALONE + 1))
def test_few_faces_are_judged_by_themselves(count: int) -> None:
    ages = np.stack([face(0.3)] * count) if count else np.zeros((0, AGES), np.float32)
    np.testing.assert_array_equal(with_mix_of_photo(ages), ages)


@pytest.mark.parametrize("count", [12, 50, 200])
def test_many_faces_that_are_hardly_children_do_not_add_up_to_a_child(count: int) -> None:
    ages = np.stack([face(0.05 + 0.03 * (number % 3)) for number in range(count)])
    assert any_child(ages) > 0.6
    assert any_child(with_mix_of_photo(ages)) < 0.2


def test_a_clear_child_among_adults_stays_likely() -> None:
    ages = np.stack([face(0.99), *[face(0.04)] * 11])
    after = with_mix_of_photo(ages)
    assert child(after)[0] > 0.8
    assert child(after)[1:].max() < 0.04


def test_among_children_a_doubtful_face_is_rather_one() -> None:
    ages = np.stack([face(0.5), *[face(0.95)] * 9])
    assert child(with_mix_of_photo(ages))[0] > 0.6


def test_one_more_face_changes_little_where_the_mix_begins_to_count() -> None:
    few = np.stack([face(0.6), face(0.05), face(0.05), face(0.5)])
    assert abs(child(with_mix_of_photo(few)) - child(few)).max() < 0.25


def test_distributions_stay_distributions() -> None:
    rng = np.random.default_rng(0)
    sharp = np.eye(AGES, dtype=np.float32)[rng.integers(0, AGES, 20)]
    ages = np.concatenate([sharp, rng.dirichlet(np.ones(AGES), 20).astype(np.float32)])
    after = with_mix_of_photo(ages)
    assert after.dtype == ages.dtype and after.shape == ages.shape
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-5)
    assert (after >= 0).all()
    np.testing.assert_allclose(after[:20], sharp, atol=1e-6)


def test_the_order_of_faces_does_not_matter() -> None:
    ages = np.stack([face(share) for share in (0.9, 0.1, 0.3, 0.02, 0.6)])
    order = [3, 1, 4, 0, 2]
    np.testing.assert_allclose(with_mix_of_photo(ages[order]), with_mix_of_photo(ages)[order], rtol=1e-5)
