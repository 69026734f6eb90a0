"""The teacher: its file, its chips, its embeddings."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from rollcall_model.attributes import align
from rollcall_model.checkpoint import WeightsError
from rollcall_model.datasets.faces import CROP, STORED
from rollcall_model.training import teacher


def _number(value: int) -> bytes:
    width = max((value.bit_length() + 7) // 8, 1)
    return bytes([width]) + value.to_bytes(width, "little")


def _tensor(values: np.ndarray, *sizes: int) -> bytes:
    head = b"".join(_number(size) for size in (2, *sizes, *[1] * (4 - len(sizes))))
    return head + values.astype("<f4").tobytes()


def _network(rng: np.random.Generator) -> tuple[bytes, list[np.ndarray]]:
    """Return a network in dlib's serialisation, with random parameters, and its tensors."""
    shapes, before = [(32, 3, 7)], 32
    for width, _ in teacher.BLOCKS:
        shapes += [(width, before, 3), (width, width, 3)]
        before = width
    arrays = []
    for o, i, k in shapes:
        arrays += [rng.normal(0, 0.05, o * i * k * k + o), rng.normal(1, 0.1, 2 * o)]
    arrays.append(rng.normal(0, 0.05, 256 * 128))
    body = b"".join(_number(4) + b"con_" + _tensor(array, len(array)) + _number(3) for array in arrays)
    return body, [array.astype(np.float32) for array in arrays]


def test_tensors_are_found_between_names_and_numbers() -> None:
    body, arrays = _network(np.random.default_rng(0))
    found = list(teacher.tensors(body))
    assert len(found) == len(arrays)
    assert all(np.array_equal(a, b) for a, b in zip(found, arrays, strict=True))


def test_a_file_with_another_network_is_refused(tmp_path) -> None:
    body, _ = _network(np.random.default_rng(0))
    file = tmp_path / "cut.dat"
    file.write_bytes(body[: len(body) // 2])
    with pytest.raises(WeightsError, match=r"cut\.dat.*install"):
        teacher.parameters(file)


def test_affine_layers_are_fused_into_the_convolution_before(tmp_path) -> None:
    body, arrays = _network(np.random.default_rng(1))
    file = tmp_path / "whole.dat"
    file.write_bytes(body)
    first = teacher.parameters(file)[0]
    kernel = arrays[0][:-32].reshape(32, 3, 7, 7)
    assert np.allclose(first["kernel"][2, 5, 1, 7], kernel[7, 1, 2, 5] * arrays[1][7])
    assert np.allclose(first["bias"], arrays[0][-32:] * arrays[1][:32] + arrays[1][32:])


def test_embeddings_depend_on_the_chip(tmp_path) -> None:
    body, _ = _network(np.random.default_rng(2))
    file = tmp_path / "whole.dat"
    file.write_bytes(body)
    chips = np.random.default_rng(3).uniform(0, 255, (2, teacher.CHIP, teacher.CHIP, 3)).astype(np.float32)
    out = np.asarray(teacher.embed(teacher.parameters(file), jnp.asarray(chips)))
    assert out.shape == (2, 128)
    assert not np.allclose(out[0], out[1])


def test_the_landmarks_of_a_chip_are_where_the_teacher_was_trained_on_them() -> None:
    matrix = teacher.chip_matrix(STORED, CROP / STORED)
    source = ((align.TEMPLATE - 0.5) * CROP / STORED + 0.5) * STORED - 0.5
    there = source @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(there - (teacher.TEMPLATE - 0.5)).max() < 4
