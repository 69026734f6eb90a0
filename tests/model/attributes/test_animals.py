"""Heads of animals are told from faces of people by their embeddings and the signs of their boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from rollcall_model import checkpoint, weights
from rollcall_model.attributes import animals
from rollcall_model.training import fit_animals
from rollcall_model.types import EMBEDDING, Detections


def around(centre: int, count: int) -> Float32[np.ndarray, "n 8"]:
    """Return embeddings of unit length around an axis."""
    drawn = np.random.default_rng(centre).normal(0, 0.2, (count, 8)) + np.eye(8)[centre]
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def boxes(count: int, spread: float = 0.25) -> Detections:
    """Return boxes of 100 pixels with landmarks in the middle, so far apart in sides."""
    corners = np.tile(np.array([0, 0, 100, 100], np.float32), (count, 1))
    places = np.array([[-1, -1], [1, -1], [0, 0], [-1, 1], [1, 1]], np.float32)
    places *= 100 * spread / np.sqrt((places**2).sum(axis=1).mean())
    return Detections(corners, np.full(count, 0.8, np.float32), np.tile(places + 50, (count, 1, 1)))


def test_a_plane_divides_animals_from_people_and_leaves_out_few() -> None:
    plane = animals.fit((around(0, 300), boxes(300)), (around(1, 900), boxes(900)), least=0.0)
    assert plane.are_animals(around(0, 300), boxes(300)).mean() > 0.95
    assert plane.are_animals(around(1, 900), boxes(900)).mean() < 0.02
    strict = plane._replace(least=-3.0)
    assert strict.are_animals(around(0, 300), boxes(300)).mean() < plane.are_animals(around(0, 300), boxes(300)).mean()
    assert not plane.are_animals(np.full((1, 8), np.nan, np.float32), boxes(1)).any()


def test_crowded_landmarks_are_a_sign_where_embeddings_tell_nothing() -> None:
    both = around(0, 300)
    plane = animals.fit((both, boxes(300, 0.13)), (both, boxes(300)), least=0.0)
    assert plane.are_animals(both, boxes(300, 0.14)).all()
    assert not plane.are_animals(both, boxes(300, 0.24)).any()


def test_signs_are_shares_of_a_box_and_the_largest_boxes_are_alike() -> None:
    one = boxes(1)
    (small,), (shifted,) = animals.signs(one), animals.signs(one._replace(landmarks=one.landmarks + (10, 0)))
    np.testing.assert_allclose(small, [2.5, 0.0, np.log(4), 0.0], atol=1e-6)
    np.testing.assert_allclose(shifted[:2], [2.5, 1.0], atol=1e-6)
    (large,), (huge,) = (animals.signs(Detections(one.boxes * k, one.scores, one.landmarks * k)) for k in (5, 12))
    np.testing.assert_allclose(large, huge, atol=1e-6)
    np.testing.assert_allclose(large[:3], small[:3], atol=1e-6)


def test_a_plane_is_kept_with_the_weights_that_it_was_fitted_to(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    checkpoint.save(path, {"a": np.zeros(3, np.float32)}, {"version": "x"})
    assert animals.of_weights(checkpoint.metadata(path)) is None
    plane = animals.fit((around(0, 30), boxes(30)), (around(1, 90), boxes(90)), least=-1.0)
    checkpoint.update_metadata(path, animals=plane._asdict())
    assert animals.of_weights(checkpoint.metadata(path)) == plane


def test_parts_of_animals_are_learnt_and_people_beside_them_are_not() -> None:
    def heads(centre: int, count: int) -> fit_animals.Heads:
        return fit_animals.Heads(around(centre, count), boxes(count), np.zeros(count, bool))

    beside = fit_animals.joined([heads(0, 40), heads(1, 40)])
    plane = fit_animals.fitted(heads(0, 100), beside, heads(1, 100), least=0.0)
    assert not plane.are_animals(around(1, 40), boxes(40)).any()


def test_the_committed_weights_have_one() -> None:
    plane = animals.of_weights(checkpoint.metadata(weights.PATH))
    assert plane is not None and len(plane.weights) == EMBEDDING and len(plane.sign_weights) == animals.SIGNS


def test_a_box_with_two_of_the_eyes_and_the_nose_is_a_head(tmp_path: Path) -> None:
    points = [[20, 20, 1], [40, 20, 1], [0, 0, 0], [90, 90, 1]]
    table = tmp_path / "keypoints.json"
    table.write_text(
        json.dumps({"images": {"1": "a.jpg", "2": "b.jpg"}, "annotations": [{"image_id": 1, "keypoints": points}]}),
        encoding="utf-8",
    )
    (first, known), (second, none) = fit_animals.read_keypoints(tmp_path, table)
    assert (first.name, second.name) == ("a.jpg", "b.jpg")
    # One eye; both; neither, though the place of the unknown nose.
    corners = np.array([[10, 10, 30, 30], [10, 10, 50, 50], [0, 0, 5, 5]], np.float32)
    assert fit_animals.has_head(corners, known).tolist() == [False, True, False]
    assert fit_animals.has_head(corners, none).tolist() == [False] * 3
