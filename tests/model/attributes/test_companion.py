"""A network with a companion: ages and genders are the mean of both, in memory, in files and in ONNX."""

from __future__ import annotations

from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rollcall_model.attributes import export
from rollcall_model.attributes.fusion import fuse_batch_norm
from rollcall_model.attributes.model import AttributeModel, load_net, save_net
from rollcall_model.attributes.network import AttributeConfig, AttributeNet
from rollcall_model.nn import layers
from rollcall_model.nn.state import load_state_dict, parameter_count, state_dict
from rollcall_model.training.add_companion import join

OTHER = AttributeConfig(size=80, widths=(6, 8, 10), depths=(1, 1, 1), features=12, hidden=(5, 7, 9), identity=False)


@pytest.fixture(scope="module")
def both(small_net: AttributeNet) -> AttributeNet:
    """The small network with a companion whose last layers say something."""
    companion, rng = AttributeNet(OTHER, None, fused=True), np.random.default_rng(2)
    shapes = {name: array.shape for name, array in state_dict(companion).items()}
    load_state_dict(companion, {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()})
    return join(fuse_batch_norm(small_net), companion)


@pytest.fixture(scope="module")
def crops(small_net: AttributeNet) -> np.ndarray:
    return np.random.default_rng(1).integers(
        0, 256, (5, small_net.config.size, small_net.config.size, 3), dtype=np.uint8
    )


def test_ages_and_genders_are_the_mean_of_both_and_the_companion_sees_the_mirror_image(
    both: AttributeNet, small_net: AttributeNet, crops: np.ndarray
) -> None:
    assert both.companion is not None
    alone = jax.jit(fuse_batch_norm(small_net))(crops.astype(np.float32))
    small = np.stack(
        [cv2.resize(crop, (80, 80), interpolation=cv2.INTER_AREA) for crop in crops[:, :, ::-1].astype(np.float32)]
    )
    other = jax.jit(both.companion)(jnp.asarray(small))
    found = jax.jit(both)(crops.astype(np.float32))
    expected = (jax.nn.softmax(alone.age) + jax.nn.softmax(other.age)) / 2
    np.testing.assert_allclose(jax.nn.softmax(found.age), expected, atol=1e-5)
    np.testing.assert_allclose(found.female, (alone.female + other.female) / 2, atol=1e-4)
    np.testing.assert_allclose(found.embedding, alone.embedding, atol=1e-6)
    assert np.abs(np.asarray(expected) - jax.nn.softmax(alone.age)).max() > 1e-3


def test_it_is_read_from_its_file_as_it_was_written_and_exported(
    both: AttributeNet, crops: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "both.safetensors"
    save_net(path, both, {"version": "both-1"})
    read, _ = load_net(path)
    given = crops.astype(np.float32)
    for one, other in zip(jax.jit(read)(given), jax.jit(both)(given), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert read.companion is not None and read.companion.config == OTHER
    assert parameter_count(read) == parameter_count(both)
    assert AttributeModel(path)(crops).age.shape == (5, 101)
    pytest.importorskip("onnx", reason="export is an extra")
    pytest.importorskip("onnxruntime", reason="export is an extra")
    assert export.largest_difference(export.export_model(tmp_path / "both.onnx", path), path) < 1e-4


def test_a_network_without_embeddings_is_no_export(both: AttributeNet, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="export is an extra")
    assert both.companion is not None
    save_net(tmp_path / "alone.safetensors", both.companion, {"version": "alone-1"})
    with pytest.raises(export.ExportError, match="no head for embeddings"):
        export.export_model(tmp_path / "net.onnx", tmp_path / "alone.safetensors")


@pytest.mark.parametrize("size", [80, 96, 48, 31])
def test_images_are_resized_by_the_area_that_each_pixel_covers(size: int) -> None:
    picture = np.random.default_rng(size).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    expected = np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_AREA) for one in picture])
    np.testing.assert_allclose(layers.resize(jnp.asarray(picture), size), expected, atol=2e-2)
