"""Similarities between landmarks."""

from __future__ import annotations

import numpy as np

from rollcall_model import geometry


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
