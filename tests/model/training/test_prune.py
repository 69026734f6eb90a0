"""A trained network made smaller: what others can stand in for goes, and the rest is fitted again."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx

from rollcall_model.attributes.fusion import fuse_batch_norm
from rollcall_model.attributes.model import load_net, save_net
from rollcall_model.attributes.network import AttributeNet
from rollcall_model.nn.state import load_state_dict, state_dict
from rollcall_model.training import add_companion, prune, sampling


@pytest.fixture
def crops(small_net: AttributeNet) -> np.ndarray:
    return (
        np.random.default_rng(4)
        .integers(0, 256, (6, small_net.config.size, small_net.config.size, 3))
        .astype(np.float32)
    )


def test_channels_that_others_stand_in_for_go_without_a_loss(
    small_net: AttributeNet, crops: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "_STEP", 0)  # one by one: both of two that are equal may be among the cheapest
    net = fuse_batch_norm(small_net)
    for blocks in net.stages:
        for block in blocks:
            half = block.expand.bias.shape[0] // 2
            block.expand.kernel[...] = jnp.tile(block.expand.kernel[...][:, :half], 2)
            block.expand.bias[...] = jnp.tile(block.expand.bias[...][:half], 2)
    smaller = prune.prune(net, crops, small_net.config.widths)
    assert smaller.config.wide == small_net.config.widths and smaller.identity is None
    whole, found = jax.jit(net)(crops), jax.jit(smaller)(crops)
    np.testing.assert_allclose(found.age, whole.age, atol=2e-2)
    np.testing.assert_allclose(found.female, whole.female, atol=2e-2)
    assert not np.asarray(found.embedding).any()


def test_the_channels_that_matter_are_kept() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 10))
    target = inputs[:, [2, 7]] @ rng.normal(size=(2, 3))
    fit = prune.choose(inputs, target, 2)
    assert fit.kept.tolist() == [2, 7] and fit.error < 1e-6
    assert prune.choose(inputs, target, 1).error > 0.05


def test_the_commands_make_a_companion_of_a_network(
    small_net: AttributeNet, synthetic_faces: tuple[Path, Path], tmp_path: Path
) -> None:
    big, little, both = (tmp_path / f"{name}.safetensors" for name in ("big", "little", "both"))
    save_net(big, fuse_batch_norm(small_net), {"version": "big", "calibration": {"gender_shift": 1.0}})
    given = ["--crops", str(synthetic_faces[0]), "--weights", str(big), "--count", "8", "--out", str(little)]
    run = CliRunner().invoke(prune.main, [*given, "--hidden", "9", "--hidden", "20", "--hidden", "30"])
    assert run.exit_code == 0, run.output
    refused = CliRunner().invoke(prune.main, [*given, "--hidden", "9", "--hidden", "20"])
    assert refused.exit_code == 2 and "3 stages, at most 16, 24, 32" in " ".join(refused.output.split())

    joined = ["--weights", str(big), "--companion", str(little), "--out", str(both)]
    run = CliRunner().invoke(add_companion.main, joined)
    assert run.exit_code == 0, run.output
    net, metadata = load_net(both)
    assert net.companion is not None and net.companion.config == small_net.config._replace(
        hidden=(9, 20, 30), identity=False
    )
    # The calibration was that of other outputs.
    assert "calibration" not in metadata
    # Of several companions the mean of their weights.
    other, _ = load_net(little)
    load_state_dict(other, {name: array + 2 for name, array in state_dict(other).items()})
    save_net(tmp_path / "other.safetensors", other, {"version": "other"})
    run = CliRunner().invoke(add_companion.main, [*joined, "--companion", str(tmp_path / "other.safetensors")])
    assert run.exit_code == 0, run.output
    mean, _ = load_net(both)
    first, second = state_dict(net), state_dict(mean)
    companion = [name for name in first if name.startswith("companion.")]
    for name in first:
        np.testing.assert_allclose(second[name], first[name] + (name in companion), rtol=1e-5, atol=1e-6)
    wider = AttributeNet(other.config._replace(hidden=(9, 20, 31)), None, fused=True)
    save_net(tmp_path / "other.safetensors", wider, {"version": "other"})
    refused = CliRunner().invoke(add_companion.main, [*joined, "--companion", str(tmp_path / "other.safetensors")])
    assert refused.exit_code == 2 and "different sizes" in refused.output
    refused = CliRunner().invoke(
        add_companion.main, ["--weights", str(big), "--companion", str(big), "--out", str(both)]
    )
    assert refused.exit_code == 2 and "identity=false" in refused.output


def test_each_data_set_has_its_share_of_the_faces() -> None:
    source = np.array(["a"] * 90 + ["b"] * 9 + ["c"])
    weight = sampling.shared_weights(source, np.full(100, 30.0), 0.5, {"a": 0.6, "b": 0.2})
    shares = {name: weight[source == name].sum() for name in "abc"}
    assert shares == pytest.approx({"a": 0.6, "b": 0.2, "c": 0.2})


def test_a_network_without_identity_has_both_forms(small_net: AttributeNet, crops: np.ndarray) -> None:
    config = small_net.config._replace(hidden=(9, 20, 30), identity=False)
    net = AttributeNet(config, nnx.Rngs(0))
    found = jax.jit(fuse_batch_norm(net))(crops)
    np.testing.assert_allclose(found.age, jax.jit(net)(crops).age, atol=1e-3)
