from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from rollcall_model import adapt

YEARS = np.arange(101)


def examples(count: int, bias: float = 0.0, silent: int = 60, seed: int = 0) -> adapt.Examples:
    """Faces of two people who look apart; of the first one the networks say `bias` years too few."""
    rng = np.random.default_rng(seed)
    total = count + silent
    person = np.arange(total) % 2
    looks = np.eye(8)[person] + rng.normal(0, 0.05, (total, 8))
    truth = np.where(person == 0, 40, 60)
    said = truth - np.where(person == 0, bias, 0) + rng.normal(0, 2, total)
    age = np.exp(-0.5 * ((YEARS - said[:, None]) / 7) ** 2)
    low = np.where(np.arange(total) < count, truth, -1)
    logit = np.where(person == 0, 1.5, -1.5) + rng.normal(0, 1, total)
    return adapt.Examples(
        (age / age.sum(axis=1, keepdims=True)).astype(np.float32),
        (1 / (1 + np.exp(-logit))).astype(np.float32),
        looks.astype(np.float32),
        low,
        low,
        np.where(low >= 0, (logit > 0).astype(int), -1),
        np.arange(total),
    )


def test_a_bias_of_those_who_look_alike_is_found() -> None:
    age, _ = adapt.adapt(examples(60, bias=15))
    assert age.fitted is not None
    assert age.loss_after < age.loss_before
    assert age.error_after < 0.7 * age.error_before
    # The one shifts to the older, the other hardly.
    assert age.fitted.looks[0] > 3 * abs(age.fitted.looks[1])


def test_what_does_not_help_is_not_kept() -> None:
    rng = np.random.default_rng(1)
    found = examples(60)
    random = rng.permutation(np.repeat([30, 50, 70], 20))
    found.low[:60], found.high[:60] = random, random
    age, gender = adapt.adapt(found)
    assert age.fitted is None or age.loss_after < age.loss_before
    assert gender.faces == 60


def test_a_few_corrections_prove_nothing() -> None:
    age, gender = adapt.adapt(examples(adapt.FEWEST - 1, bias=15))
    assert age.fitted is None and gender.fitted is None
    assert age.loss_before == age.loss_after


def test_nothing_said_is_no_error() -> None:
    age, gender = adapt.adapt(examples(0, silent=5))
    assert (age.faces, age.fitted, gender.faces, gender.fitted) == (0, None, 0, None)


def test_a_range_is_as_likely_as_all_of_its_years() -> None:
    log_p = jnp.log(jnp.full((1, 101), 1 / 101))
    losses = adapt.age_losses(log_p, jnp.array([10]), jnp.array([19]))
    assert np.exp(-np.asarray(losses)) == pytest.approx([10 / 101])


def test_the_parameters_at_the_start_change_nothing() -> None:
    found = examples(4)
    theta = adapt.start(8)
    age = np.exp(np.asarray(adapt.adapted_age(theta, jnp.asarray(found.age), jnp.asarray(found.looks), jnp.float32(5))))
    assert age == pytest.approx(found.age, abs=1e-5)
    logit = np.asarray(
        adapt.adapted_gender(theta, jnp.asarray(found.p_female), jnp.asarray(found.looks), jnp.float32(5))
    )
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(found.p_female, abs=1e-5)
