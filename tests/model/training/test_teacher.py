"""The teacher's file, the pictures it is asked about, and the way back from the form for use."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rollcall_model import attributes, data, recipes, teacher
from rollcall_model.attributes import AttributeConfig, AttributeNet


def _number(value: int) -> bytes:
    width = max((value.bit_length() + 7) // 8, 1)
    return bytes([width]) + value.to_bytes(width, "little")


def _tensor(values: np.ndarray, *sizes: int) -> bytes:
    head = b"".join(_number(size) for size in (2, *sizes, *[1] * (4 - len(sizes))))
    return head + values.astype("<f4").tobytes()


def _network(rng: np.random.Generator) -> tuple[bytes, list[np.ndarray]]:
    """Return a network as dlib writes it, with random numbers, and its tensors."""
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
    with pytest.raises(attributes.checkpoint.WeightsError, match=r"cut\.dat.*install"):
        teacher.parameters(file)


def test_affine_layers_are_folded_into_the_convolution_before(tmp_path) -> None:
    body, arrays = _network(np.random.default_rng(1))
    file = tmp_path / "whole.dat"
    file.write_bytes(body)
    first = teacher.parameters(file)[0]
    kernel = arrays[0][:-32].reshape(32, 3, 7, 7)
    assert np.allclose(first["kernel"][2, 5, 1, 7], kernel[7, 1, 2, 5] * arrays[1][7])
    assert np.allclose(first["bias"], arrays[0][-32:] * arrays[1][:32] + arrays[1][32:])


def test_the_network_gives_one_vector_a_chip_and_sees_the_picture(tmp_path) -> None:
    body, _ = _network(np.random.default_rng(2))
    file = tmp_path / "whole.dat"
    file.write_bytes(body)
    chips = np.random.default_rng(3).uniform(0, 255, (2, teacher.CHIP, teacher.CHIP, 3)).astype(np.float32)
    out = np.asarray(teacher.embed(teacher.parameters(file), jnp.asarray(chips)))
    assert out.shape == (2, 128)
    assert not np.allclose(out[0], out[1])


def test_the_chip_shows_the_landmarks_where_the_teacher_wants_them() -> None:
    matrix = teacher.chip_matrix(data.STORED, data.CROP / data.STORED)
    source = ((teacher.align.TEMPLATE - 0.5) * data.CROP / data.STORED + 0.5) * data.STORED - 0.5
    there = source @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(there - (teacher.TEMPLATE - 0.5)).max() < 4


def _faces(count: int = 12) -> data.Faces:
    rng = np.random.default_rng(5)
    samples = [
        data.Sample("set", f"{i}.png", "val" if i % 6 == 5 else "train", (i, i) if i % 2 else None, None)
        for i in range(count)
    ]
    crops = rng.integers(0, 255, (count, data.STORED, data.STORED, 3), np.uint8)
    return data.Faces(crops, np.ones(count, bool), samples, np.zeros((count, 2, 128), np.float32))


def test_recipes_are_of_training_faces_alone_and_never_mix_labelled_with_unlabelled() -> None:
    faces = _faces()
    book = recipes.draw(faces, np.full(4, 0.25), 0.5, 200, 0)
    train = set(faces.where(split="train").tolist())
    assert set(book.rows.ravel().tolist()) <= train
    known = faces.ages[:, 0] != data.UNKNOWN
    assert (known[book.rows[:, 0]] == known[book.rows[:, 1]]).all()
    assert ((book.share >= 0.5) & (book.share <= 1)).all()


def test_a_recipe_shows_what_it_says() -> None:
    crops = np.stack([np.full((40, 40, 3), value, np.uint8) for value in (200, 100)])
    rows, straight = np.array([0, 1]), np.array([False, False])
    assert (recipes.picture(crops, rows, straight, recipes.ALONE, 1.0) == 200).all()
    assert (recipes.picture(crops, rows, straight, recipes.OVER, 0.75) == 175).all()
    above = recipes.picture(crops, rows, straight, recipes.ABOVE, 0.5)
    assert (above[0] == 200).all() and (above[-1] == 100).all()
    beside = recipes.picture(crops, rows, straight, recipes.BESIDE, 0.5)
    assert (beside[:, 0] == 200).all() and (beside[:, -1] == 100).all()


def test_the_form_for_training_is_won_back_from_the_form_for_use() -> None:
    rng = np.random.default_rng(7)
    config = AttributeConfig(size=32, widths=(8, 12, 16), depths=(1, 1, 1), features=20)
    net = AttributeNet(config, nnx.Rngs(1))
    crops = jnp.asarray(rng.uniform(0, 255, (64, 32, 32, 3)).astype(np.float32))
    for _ in range(3):
        net(crops, train=True)
    folded = attributes.fold(net)
    again = attributes.unfold(folded, crops)
    for a, b in zip(folded(crops), again(crops), strict=True):
        assert np.abs(np.asarray(a) - np.asarray(b)).max() < 1e-4
    # In training the batch's own statistics are used: on the same crops these are the ones that were taken.
    for a, b in zip(folded(crops), again(crops, train=True), strict=True):
        assert np.abs(np.asarray(a) - np.asarray(b)).max() < 1e-3


def test_new_blocks_of_a_deeper_network_begin_by_adding_nothing() -> None:
    rng = np.random.default_rng(8)
    config = AttributeConfig(size=32, widths=(8, 12, 16), depths=(1, 1, 1), features=20)
    net = AttributeNet(config, nnx.Rngs(1))
    crops = jnp.asarray(rng.uniform(0, 255, (64, 32, 32, 3)).astype(np.float32))
    net(crops, train=True)
    folded = attributes.fold(net)
    deeper = attributes.unfold(folded, crops, config._replace(depths=(2, 1, 3)))
    assert [len(blocks) for blocks in deeper.stages] == [2, 1, 3]
    for a, b in zip(folded(crops), deeper(crops), strict=True):
        assert np.abs(np.asarray(a) - np.asarray(b)).max() < 1e-4


def test_recipes_of_several_files_are_read_as_one_and_those_not_asked_about_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    books = [recipes.draw(_faces(), np.full(4, 0.25), 0.5, count, count) for count in (5, 7)]
    for number, book in enumerate(books):
        words = rng.normal(size=(len(book.share), 128)).astype(np.float16)
        words[3:] *= number  # the first file was stopped after three
        np.savez(tmp_path / f"{number}.npz", **book._replace(teacher=words)._asdict())
    found = recipes.load([tmp_path / "0.npz", tmp_path / "1.npz"])
    assert len(found.share) == 3 + 7
    np.testing.assert_array_equal(found.rows[:3], books[0].rows[:3])
    np.testing.assert_array_equal(found.rows[3:], books[1].rows)
    np.testing.assert_allclose(np.linalg.norm(found.teacher, axis=1), 1, rtol=1e-5)
