"""The single-pass network: its form in bands, its places, and what its outputs mean."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rollcall_model import checkpoint
from rollcall_model.detection import banded, single_pass
from rollcall_model.detection import boxes as bx
from rollcall_model.detection.single_pass import SinglePass, SinglePassConfig
from rollcall_model.nn.state import load_state_dict, parameter_count, state_dict

SMALL = SinglePassConfig(first=8, stem=(8, 16), width=16, depth=1)


@pytest.fixture(scope="module")
def net() -> SinglePass:
    """A small network whose biases are not zero either."""
    made = SinglePass(SMALL, nnx.Rngs(0))
    rng = np.random.default_rng(1)
    arrays = state_dict(made)
    load_state_dict(
        made, {name: array + 0.1 * rng.normal(size=array.shape).astype("f4") for name, array in arrays.items()}
    )
    return made


@pytest.mark.parametrize(("height", "rows"), [(32, 160), (96, 40), (224, 64)])
def test_in_bands_it_computes_the_same(
    net: SinglePass, height: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banded, "_SMALL", 0)
    _compare(net, height, rows)


def test_of_a_small_picture_it_computes_the_same(net: SinglePass) -> None:
    _compare(net, 96, 40)


def _compare(net: SinglePass, height: int, rows: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, height, 64, 3)).astype(np.uint8)
    graph, state = nnx.split(net)
    both = jax.jit(lambda x: (banded.outputs(nnx.merge(graph, state), x, rows), nnx.merge(graph, state)(x)))
    np.testing.assert_allclose(*both(pixels), atol=2e-3)


def test_every_output_has_its_place(net: SinglePass) -> None:
    pixels = np.zeros((1, 64, 96, 3), np.uint8)
    places = single_pass.anchors(64, 96)
    assert net(pixels).shape == (1, len(places), single_pass.OUTPUTS)
    assert len(places) == 8 * 12 + 4 * 6 + 2 * 3
    assert places[13].tolist() == [8, 8, 8] and places[96 + 7].tolist() == [16, 16, 16]
    assert places[-1].tolist() == [64, 32, 32]


def test_outputs_decode_to_pixels() -> None:
    outputs = jnp.zeros((1, 16)).at[0, 2:6].set(jnp.asarray([0.5, 1.0, np.log(4), np.log(2)]))
    outputs = outputs.at[0, 6:8].set(jnp.asarray([1.0, -1.0]))
    place = np.array([[32, 16, 8]], np.float32)
    # The centre half a stride to the right and one down; 32 by 16 pixels.
    np.testing.assert_allclose(single_pass.decode_boxes(outputs, place), [[20, 16, 52, 32]], atol=1e-4)
    np.testing.assert_allclose(single_pass.decode_landmarks(outputs, place)[0, :2], [[40, 8], [32, 16]], atol=1e-4)
    assert float(single_pass.scores(outputs)[0]) == pytest.approx(0.5)


def test_the_committed_network_is_light() -> None:
    net, calibration = single_pass.load()
    assert parameter_count(net) < 150_000
    assert 0 < calibration.threshold < 1


def test_scores_become_probabilities_and_back() -> None:
    calibration = single_pass.Calibration(scale=2.0, shift=-0.5)
    scores = np.array([0.05, 0.4, 0.9], np.float32)
    found = calibration.probability(scores)
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose([calibration.score(float(p)) for p in found], scores, rtol=1e-4)


def test_a_box_below_the_smallest_face_is_less_likely_one() -> None:
    calibration = single_pass.Calibration(scale=2.0, shift=-0.5, small=3.0)
    scores, relative = np.full(4, 0.7, np.float32), np.array([0.75, 0.9, 1.0, 4.0], np.float32)
    found = calibration.probability(scores, relative)
    assert (np.diff(found[:3]) > 0).all()
    assert found[2] == found[3] == calibration.probability(scores)[0]


def test_the_boxes_of_a_face_are_averaged_by_their_scores() -> None:
    boxes = np.array([[0, 0, 20, 20], [2, 0, 22, 20], [40, 40, 60, 60], [0, 0, 6, 6], [9, 9, 9, 9]], np.float32)
    scores = np.array([0.9, 0.3, 0.8, 0.9, 0.7], np.float32)
    landmarks = np.repeat(boxes[:, None, :2], 5, axis=1)
    found, points = bx.averaged(np.array([0, 2, 4]), boxes, scores, landmarks, 0.5)
    np.testing.assert_allclose(found, [[0.5, 0, 20.5, 20], [40, 40, 60, 60], [9, 9, 9, 9]], atol=1e-5)
    np.testing.assert_allclose(points[:, 0], found[:, :2], atol=1e-5)
    many = np.tile(boxes[:1], (200, 1)) + np.arange(200, dtype=np.float32)[:, None] * 30
    found, _ = bx.averaged(np.arange(200), many, np.ones(200, np.float32), np.zeros((200, 5, 2), np.float32), 0.5)
    np.testing.assert_allclose(found, many, rtol=1e-5)
    # In a crowd each has those of its own height only to compare with: the same as with all.
    rng = np.random.default_rng(0)
    low, side = rng.uniform(0, 300, (400, 2)), rng.uniform(10, 60, (400, 1))
    boxes, scores = np.concatenate([low, low + side], 1).astype(np.float32), rng.random(400).astype(np.float32)
    kept = rng.permutation(400)[:90]
    shares = np.where(bx.iou(boxes[kept], boxes) >= 0.3, scores, 0)
    expected = shares @ boxes / shares.sum(1, keepdims=True)
    found, points = bx.averaged(kept, boxes, scores, np.repeat(boxes[:, None, 2:], 5, axis=1), 0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(points[:, 4], expected[:, 2:], rtol=1e-4)


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    checkpoint.save(path, {"a": np.zeros(3, np.float32)}, {"version": "x"})
    with pytest.raises(checkpoint.WeightsError, match=r"other\.safetensors"):
        single_pass.load(path)
    checkpoint.save(path, {"a": np.zeros(3, np.float32)}, {"config": SMALL._asdict()})
    with pytest.raises(checkpoint.WeightsError, match="missing"):
        single_pass.load(path)
