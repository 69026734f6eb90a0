"""Similarities between landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from rollcall_model import geometry
from rollcall_model.attributes import align


def test_similarities_of_many_faces_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    landmarks, target = rng.normal(0, 9, (6, 5, 2)), rng.normal(0, 30, (5, 2))
    landmarks[4] = 7.0  # all coincide: only translated
    matrices = geometry.similarity(landmarks, np.broadcast_to(target, landmarks.shape))
    back = geometry.moved_back(landmarks, matrices)
    for one, matrix, points in zip(landmarks, matrices, back, strict=True):
        np.testing.assert_allclose(geometry.similarity(one, target), matrix)
        np.testing.assert_allclose(geometry.moved(points, matrix), one, atol=1e-9)
    np.testing.assert_allclose(matrices[4], [[1, 0, target[:, 0].mean() - 7], [0, 1, target[:, 1].mean() - 7]])


def test_a_similarity_is_found_again() -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    turned = 3 * square @ np.array([[0, 1], [-1, 0]]) + (5, -2)
    matrix = geometry.similarity(square, turned)
    np.testing.assert_allclose(geometry.moved(square, matrix), turned, atol=1e-12)
    assert np.isclose(geometry.scale_of(matrix), 3)


@pytest.mark.parametrize("scale", [0.11, 0.3, 0.9, 2.5])
def test_a_crop_shows_what_its_matrix_takes_there(scale: float) -> None:
    """The colours are places of the image: red grows to the right, green downwards."""
    columns, rows = np.meshgrid(np.arange(240.0), np.arange(200.0))
    image = np.stack([columns, rows, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    turn = scale * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    matrix = np.concatenate([turn, (16 - turn @ [120, 100])[:, None]], axis=1)
    crop = geometry.cut(image, matrix, 32)
    inner = np.array([[16.5, 16.5], [20.5, 12.5], [12.5, 19.5]])
    places = geometry.moved_back(inner, matrix) - 0.5
    found = np.array([crop[int(y), int(x), :2] for x, y in inner], float)
    assert np.abs(found - places).max() < 1 + 0.1 / scale


def test_the_crops_of_an_images_faces_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (300, 400, 3), np.uint8)
    sides, corners = rng.uniform(20, 250, (6, 1, 1)), rng.uniform(-20, 250, (6, 1, 2))
    landmarks = (align.TEMPLATE * sides + corners + rng.normal(0, 2, (6, 5, 2))).astype(np.float32)
    for crop, points in zip(align.crops(image, landmarks, 96), landmarks, strict=True):
        alone = align.crop(image, points, 96)
        assert crop.shape == alone.shape and np.abs(crop.astype(int) - alone).max() <= 1
    assert align.crops(image, landmarks[:0], 96) == []
