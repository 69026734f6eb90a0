"""The attribute network: folded and unfolded alike, well-formed outputs, the committed weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rollcall_model import attributes, losses, weights
from rollcall_model.attributes import AttributeConfig, AttributeModel, AttributeNet


def test_the_form_for_use_is_the_same_function() -> None:
    net = AttributeNet(AttributeConfig(), nnx.Rngs(1))
    rng = np.random.default_rng(0)
    for _, node in nnx.iter_graph(net):
        if isinstance(node, attributes.Norm):
            channels = node.mean[...].shape
            node.mean[...] = jnp.asarray(rng.normal(0, 0.3, channels), jnp.float32)
            node.var[...] = jnp.asarray(rng.uniform(0.5, 2, channels), jnp.float32)
            node.bias[...] = jnp.asarray(rng.normal(0, 0.2, channels), jnp.float32)
    crops = jnp.asarray(rng.integers(0, 256, (3, 80, 80, 3)), jnp.float32)
    for plain, folded in zip(net(crops), attributes.fold(net)(crops), strict=True):
        assert float(jnp.abs(plain - folded).max()) < 1e-4


def test_the_network_is_small() -> None:
    assert attributes.parameter_count(AttributeNet(AttributeConfig(), nnx.Rngs(0))) < 1_000_000


@pytest.fixture(scope="module")
def model() -> AttributeModel:
    return AttributeModel()


@pytest.mark.parametrize("count", [0, 1, 5, 70])
def test_outputs_are_well_formed_whatever_the_batch(model: AttributeModel, count: int) -> None:
    crops = np.random.default_rng(count).integers(0, 256, (count, model.size, model.size, 3)).astype(np.uint8)
    found = model(crops)
    assert found.age.shape == (count, 101) and found.embedding.shape == (count, 128)
    np.testing.assert_allclose(found.age.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.embedding, axis=1), 1, atol=1e-4)
    assert ((found.p_female >= 0) & (found.p_female <= 1)).all()
    if count:
        np.testing.assert_allclose(model(crops[-1:]).age[0], found.age[-1], atol=1e-5)


def test_the_committed_weights_are_calibrated(model: AttributeModel) -> None:
    assert weights.PATH.stat().st_size < 5 << 20
    assert model.facts["calibration"] and model.facts["training"]


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
