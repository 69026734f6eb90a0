from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from rollcall_model.attributes import adapt

YEARS = np.arange(101)


def examples(count: int, bias: float = 0.0, uncorrected: int = 60, seed: int = 0) -> adapt.Examples:
    """Faces of two dissimilar people; the predicted age of the first one is `bias` years too low."""
    rng = np.random.default_rng(seed)
    total = count + uncorrected
    person = np.arange(total) % 2
    features = np.eye(8)[person] + rng.normal(0, 0.05, (total, 8))
    truth = np.where(person == 0, 40, 60)
    predicted = truth - np.where(person == 0, bias, 0) + rng.normal(0, 2, total)
    age = np.exp(-0.5 * ((YEARS - predicted[:, None]) / 7) ** 2)
    low = np.where(np.arange(total) < count, truth, -1)
    logit = np.where(person == 0, 1.5, -1.5) + rng.normal(0, 1, total)
    return adapt.Examples(
        (age / age.sum(axis=1, keepdims=True)).astype(np.float32),
        (1 / (1 + np.exp(-logit))).astype(np.float32),
        features.astype(np.float32),
        low,
        low,
        np.where(low >= 0, (logit > 0).astype(int), -1),
        np.arange(total),
    )


def test_a_bias_for_similar_faces_is_found() -> None:
    age, _ = adapt.adapt(examples(60, bias=15))
    assert age.fitted is not None
    assert age.loss_after < age.loss_before
    assert age.error_after < 0.7 * age.error_before
    # The first person's ages are shifted up, the second one's hardly at all.
    assert age.fitted.feature_weights[0] > 3 * abs(age.fitted.feature_weights[1])


def test_a_correction_that_does_not_improve_is_dropped() -> None:
    rng = np.random.default_rng(1)
    found = examples(60)
    random = rng.permutation(np.repeat([30, 50, 70], 20))
    found.low[:60], found.high[:60] = random, random
    age, gender = adapt.adapt(found)
    assert age.fitted is None or age.loss_after < age.loss_before
    assert gender.faces == 60


def test_corrections_that_are_random_numbers_are_dropped() -> None:
    for seed in range(3):
        found = examples(47, seed=seed)
        rng = np.random.default_rng(seed)
        found.low[:47] = found.high[:47] = rng.integers(0, 90, 47)
        found.female[:47] = rng.integers(0, 2, 47)
        age, gender = adapt.adapt(found)
        assert age.fitted is None and gender.fitted is None, seed


def test_a_few_corrections_are_not_enough() -> None:
    age, gender = adapt.adapt(examples(adapt.MIN_FACES - 1, bias=15))
    assert age.fitted is None and gender.fitted is None
    assert age.loss_before == age.loss_after


def test_no_corrections_are_no_error() -> None:
    age, gender = adapt.adapt(examples(0, uncorrected=5))
    assert (age.faces, age.fitted, gender.faces, gender.fitted) == (0, None, 0, None)


def test_a_range_has_the_probability_of_all_its_years() -> None:
    log_p = jnp.log(jnp.full((1, 101), 1 / 101))
    losses = adapt.age_losses(log_p, jnp.array([10]), jnp.array([19]))
    assert np.exp(-np.asarray(losses)) == pytest.approx([10 / 101])


def test_the_identity_parameters_change_nothing() -> None:
    found = examples(4)
    theta = adapt.identity_parameters(8)
    age = np.exp(
        np.asarray(adapt.adapted_age(theta, jnp.asarray(found.age), jnp.asarray(found.features), jnp.float32(5)))
    )
    assert age == pytest.approx(found.age, abs=1e-5)
    logit = np.asarray(
        adapt.adapted_gender(theta, jnp.asarray(found.p_female), jnp.asarray(found.features), jnp.float32(5))
    )
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(found.p_female, abs=1e-5)


def test_one_more_correction_compiles_nothing() -> None:
    adapt.adapt(examples(60, bias=15))
    compiled = adapt._solver(adapt._age_objective)._cache_size()  # type: ignore[attr-defined]
    adapt.adapt(examples(61, bias=15))
    assert adapt._solver(adapt._age_objective)._cache_size() == compiled  # type: ignore[attr-defined]
