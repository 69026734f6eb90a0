"""Losses: age targets, gradients, and the blend of labels with soft labels."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rollcall_model.training import losses
from rollcall_model.training.batches import Batch
from rollcall_model.training.config import TrainConfig


def test_age_targets_are_distributions_around_the_label() -> None:
    labels = jnp.array([[0, 0], [5, 5], [30, 39], [100, 100]])
    targets = losses.age_targets(labels, 1.0, 0.04)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-5)
    means = np.asarray(targets @ jnp.arange(101.0))
    assert means[1] == pytest.approx(5, abs=0.3) and means[2] == pytest.approx(34.5, abs=1)
    assert np.argmax(np.asarray(targets), 1)[[0, 1, 3]].tolist() == [0, 5, 100]


def test_losses_have_finite_gradients_at_extreme_outputs() -> None:
    logits = jnp.full((2, 101), -80.0).at[:, 3].set(80.0)
    targets = losses.age_targets(jnp.array([[90, 90], [3, 3]]), 1.0, 0.04)
    gradient = jax.grad(lambda x: losses.age_loss(x, targets, jnp.array([90.0, 3.0]), 0.05).sum())(logits)
    assert bool(jnp.isfinite(gradient).all())


def batch(age: int, female: float, soft_age: int | None = None, soft_female: float = 0.0) -> Batch:
    soft = np.zeros((1, 101), np.float32)
    if soft_age is not None:
        soft[0, soft_age] = 1
    return Batch(
        np.zeros((1, 8, 8, 3), np.uint8),
        np.full((1, 2, 2), age, np.int32),
        np.full((1, 2), female, np.float32),
        np.zeros((1, 128), np.float32),
        np.ones(1, np.float32),
        soft,
        np.full(1, soft_female, np.float32),
    )


def test_soft_labels_are_blended_with_labels_and_stand_in_for_missing_ones() -> None:
    config = TrainConfig(distillation_weight=0.25)
    only_label = losses.blend_targets(batch(30, 1.0), config)
    both = losses.blend_targets(batch(30, 1.0, soft_age=50, soft_female=0.2), config)
    only_soft = losses.blend_targets(batch(-1, -1.0, soft_age=50, soft_female=0.2), config)
    neither = losses.blend_targets(batch(-1, -1.0), config)
    assert float(only_label.middle[0]) == 30
    assert float(both.middle[0]) == pytest.approx(35)
    assert float(both.female[0]) == pytest.approx(0.8)
    assert float(only_soft.middle[0]) == pytest.approx(50)
    assert float(only_soft.female[0]) == pytest.approx(0.2)
    assert [bool(t.has_age[0]) for t in (only_label, both, only_soft, neither)] == [True, True, True, False]
