"""The three networks against a reference in NumPy: loops over windows, 64-bit floats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollcall_model import checkpoint
from rollcall_model.detection import mtcnn, mtcnn_weights
from rollcall_model.nn import layers


def conv(x: np.ndarray, layer: Any) -> np.ndarray:
    kernel, bias, slope = (np.asarray(part[...], np.float64) for part in (layer.kernel, layer.bias, layer.slope))
    size = kernel.shape[0]
    height, width = x.shape[0] - size + 1, x.shape[1] - size + 1
    out = np.empty((height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            out[i, j] = np.tensordot(x[i : i + size, j : j + size], kernel, 3) + bias
    return prelu(out, slope)


def prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + slope * np.minimum(x, 0)


def pool(x: np.ndarray, size: int, up: bool) -> np.ndarray:
    """Return maxima at a stride of 2; with `up` the last window may reach over the border."""
    count = [(-(-(n - size) // 2) if up else (n - size) // 2) + 1 for n in x.shape[:2]]
    rows = [
        [x[2 * i : 2 * i + size, 2 * j : 2 * j + size].max((0, 1)) for j in range(count[1])] for i in range(count[0])
    ]
    return np.array(rows)


def dense(x: np.ndarray, layer: Any) -> np.ndarray:
    return x @ np.asarray(layer.kernel[...], np.float64) + np.asarray(layer.bias[...], np.float64)


def face(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e[..., 1] / e.sum(-1)


def reference_pnet(net: mtcnn.PNet, x: np.ndarray) -> tuple[np.ndarray, ...]:
    x = conv(conv(pool(conv(x, net.conv1), 2, True), net.conv2), net.conv3)
    return face(dense(x, net.score)), dense(x, net.offsets)


def reference_rnet(net: mtcnn.RNet, x: np.ndarray) -> tuple[np.ndarray, ...]:
    x = pool(conv(x, net.conv1), 3, True)
    x = conv(pool(conv(x, net.conv2), 3, False), net.conv3)
    x = prelu(dense(x.reshape(-1), net.dense), np.asarray(net.slope[...], np.float64))
    return face(dense(x, net.score)), dense(x, net.offsets)


def reference_onet(net: mtcnn.ONet, x: np.ndarray) -> tuple[np.ndarray, ...]:
    x = pool(conv(x, net.conv1), 3, True)
    x = pool(conv(x, net.conv2), 3, False)
    x = conv(pool(conv(x, net.conv3), 2, True), net.conv4)
    x = prelu(dense(x.reshape(-1), net.dense), np.asarray(net.slope[...], np.float64))
    return face(dense(x, net.score)), dense(x, net.offsets), dense(x, net.landmarks)


@pytest.mark.parametrize("cpu", [True, False], ids=["on a CPU", "as on a GPU"])
@pytest.mark.parametrize(
    ("kind", "reference", "shape"),
    [
        (mtcnn.PNet, reference_pnet, (12, 12)),
        (mtcnn.PNet, reference_pnet, (30, 46)),
        (mtcnn.PNet, reference_pnet, (28, 64)),
        (mtcnn.RNet, reference_rnet, (24, 24)),
        (mtcnn.ONet, reference_onet, (48, 48)),
    ],
)
def test_a_network_gives_the_outputs_of_the_reference(
    kind: type,
    reference: Callable[..., tuple[np.ndarray, ...]],
    shape: tuple[int, int],
    cpu: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The form for a GPU gives the same on a CPU.
    monkeypatch.setattr(layers, "on_cpu", lambda: cpu)
    net = mtcnn_weights.load(kind)
    images = np.random.default_rng(shape[1]).uniform(-1, 1, (2, *shape, 3)).astype(np.float32)
    outputs = net(images)
    for index, image in enumerate(images):
        for output, expected in zip(outputs, reference(net, image.astype(np.float64)), strict=True):
            assert np.abs(np.asarray(output)[index] - expected).max() < 1e-4


@pytest.mark.parametrize(("shape", "rows"), [((64, 30), 32), ((48, 76), 4), ((12, 12), 12)])
def test_pnet_in_steps_gives_the_same_as_at_once(shape: tuple[int, int], rows: int) -> None:
    net = mtcnn_weights.load(mtcnn.PNet)
    images = np.random.default_rng(rows).uniform(-1, 1, (2, *shape, 3)).astype(np.float32)
    for stepped, whole in zip(net.streamed(images, rows), net(images), strict=True):
        assert stepped.shape == whole.shape
        np.testing.assert_allclose(stepped, whole, atol=1e-5)


def test_weights_that_were_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = mtcnn_weights.weights_file("pnet")
    changed = tmp_path / original.name
    changed.write_bytes(original.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(mtcnn_weights, "weights_file", lambda name: changed)
    with pytest.raises(checkpoint.WeightsError):
        mtcnn_weights.read_arrays("pnet")
