"""The attribute network: both forms the same function, well-formed outputs, the committed weights."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from rollcall_model import checkpoint, runtime, weights
from rollcall_model.attributes.fusion import fuse_batch_norm, unfuse_batch_norm
from rollcall_model.attributes.model import LEGACY_NAMES, AttributeModel, load_net
from rollcall_model.attributes.network import AttributeConfig, AttributeNet
from rollcall_model.checkpoint import WeightsError
from rollcall_model.nn.modules import BatchNorm
from rollcall_model.nn.state import parameter_count


def test_the_inference_form_is_the_same_function() -> None:
    net = AttributeNet(AttributeConfig(size=32, widths=(8, 12, 16), depths=(1, 1, 1)), nnx.Rngs(1))
    rng = np.random.default_rng(0)
    for _, node in nnx.iter_graph(net):
        if isinstance(node, BatchNorm):
            channels = node.mean[...].shape
            node.mean[...] = jnp.asarray(rng.normal(0, 0.3, channels), jnp.float32)
            node.var[...] = jnp.asarray(rng.uniform(0.5, 2, channels), jnp.float32)
            node.bias[...] = jnp.asarray(rng.normal(0, 0.2, channels), jnp.float32)
    crops = jnp.asarray(rng.integers(0, 256, (3, 32, 32, 3)), jnp.float32)
    for plain, fused in zip(net(crops), fuse_batch_norm(net)(crops), strict=True):
        assert float(jnp.abs(plain - fused).max()) < 1e-4


def test_the_network_is_small() -> None:
    assert parameter_count(AttributeNet(AttributeConfig(), nnx.Rngs(0))) < 2_000_000
    # A tenth of the pair of networks of Levi and Hassner.
    assert parameter_count(load_net(weights.PATH)[0]) < 2_280_000


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
    assert weights.PATH.stat().st_size < 10 << 20
    assert model.metadata["calibration"] and model.metadata["training"]


def trained_small_net(seed: int) -> tuple[AttributeNet, jax.Array]:
    config = AttributeConfig(size=32, widths=(8, 12, 16), depths=(1, 1, 1), features=20)
    net = AttributeNet(config, nnx.Rngs(1))
    crops = jnp.asarray(np.random.default_rng(seed).uniform(0, 255, (64, 32, 32, 3)).astype(np.float32))
    for _ in range(3):
        net(crops, train=True)
    return net, crops


def largest_difference(a: AttributeNet, b: AttributeNet, crops: jax.Array, train: bool = False) -> float:
    pairs = zip(a(crops), b(crops, train=train), strict=True)
    return max(float(jnp.abs(left - right).max()) for left, right in pairs)


def test_the_training_form_is_recovered_from_the_inference_form() -> None:
    net, crops = trained_small_net(7)
    fused = fuse_batch_norm(net)
    unfused = unfuse_batch_norm(fused, crops)
    assert largest_difference(fused, unfused, crops) < 1e-4
    # In training the batch's own statistics are used; on the same crops they are those that were measured.
    assert largest_difference(fused, unfused, crops, train=True) < 1e-3


def test_new_blocks_of_a_deeper_network_begin_by_adding_nothing() -> None:
    net, crops = trained_small_net(8)
    fused = fuse_batch_norm(net)
    deeper = unfuse_batch_norm(fused, crops, net.config._replace(depths=(2, 1, 3)))
    assert [len(blocks) for blocks in deeper.stages] == [2, 1, 3]
    assert largest_difference(fused, deeper, crops) < 1e-4


def test_weights_with_the_older_names_of_arrays_give_the_same_outputs(tmp_path: Path, small_weights: Path) -> None:
    arrays, metadata = checkpoint.load(small_weights)
    older = {current: old for old, current in LEGACY_NAMES.items()}
    renamed = {".".join(older.get(part, part) for part in name.split(".")): array for name, array in arrays.items()}
    assert set(renamed) != set(arrays)
    path = tmp_path / "older.safetensors"
    save_file(renamed, path, metadata={"facts": json.dumps(metadata)})
    crops = np.random.default_rng(0).integers(0, 256, (3, *[AttributeConfig().size] * 2, 3)).astype(np.uint8)
    for a, b in zip(AttributeModel(path)(crops), AttributeModel(small_weights)(crops), strict=True):
        np.testing.assert_array_equal(a, b)


def test_quick_products_change_little(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any processor: those without such products compute the same, slowly."""
    monkeypatch.setattr(runtime, "multiplies_bfloat16", lambda: True)
    size = AttributeConfig().size
    crops = np.random.default_rng(0).integers(0, 256, (5, size, size, 3)).astype(np.uint8)
    exact, quick = AttributeModel(small_weights)(crops), AttributeModel(small_weights, quick=True)(crops)
    np.testing.assert_allclose(quick.age, exact.age, atol=0.01)
    np.testing.assert_allclose(quick.p_female, exact.p_female, atol=0.02)
    assert ((quick.embedding * exact.embedding).sum(1) > 0.999).all()
    assert (quick.embedding != exact.embedding).any()


def test_weights_of_something_else_are_refused_with_their_name(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    checkpoint.save(path, {"a": np.zeros(3, np.float32)}, {"version": "other-1"})
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        load_net(path)
    checkpoint.save(path, {"a": np.zeros(3, np.float32)}, {"config": AttributeConfig()._asdict()})
    with pytest.raises(WeightsError, match=r"other\.safetensors.*a is unexpected"):
        load_net(path)
