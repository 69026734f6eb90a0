"""Heads of animals are told from faces of people by their embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from rollcall_model import checkpoint, weights
from rollcall_model.attributes import animals
from rollcall_model.training import fit_animals
from rollcall_model.types import EMBEDDING


def around(centre: int, count: int) -> Float32[np.ndarray, "n 8"]:
    """Return embeddings of unit length around an axis."""
    drawn = np.random.default_rng(centre).normal(0, 0.2, (count, 8)) + np.eye(8)[centre]
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_a_plane_divides_animals_from_people_and_leaves_out_few() -> None:
    plane = animals.fit(around(0, 300), around(1, 900), least=0.0)
    assert plane.are_animals(around(0, 300)).mean() > 0.95
    assert plane.are_animals(around(1, 900)).mean() < 0.02
    strict = plane._replace(least=-3.0)
    assert strict.are_animals(around(0, 300)).mean() < plane.are_animals(around(0, 300)).mean()
    assert not plane.are_animals(np.full((1, 8), np.nan, np.float32)).any()


def test_a_plane_is_kept_with_the_weights_that_it_was_fitted_to(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    checkpoint.save(path, {"a": np.zeros(3, np.float32)}, {"version": "x"})
    assert animals.of_weights(checkpoint.metadata(path)) is None
    plane = animals.fit(around(0, 30), around(1, 90), least=-1.0)
    checkpoint.update_metadata(path, animals=plane._asdict())
    assert animals.of_weights(checkpoint.metadata(path)) == plane


def test_the_committed_weights_have_one() -> None:
    plane = animals.of_weights(checkpoint.metadata(weights.PATH))
    assert plane is not None and len(plane.weights) == EMBEDDING


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
    boxes = np.array([[10, 10, 30, 30], [10, 10, 50, 50], [0, 0, 5, 5]], np.float32)
    assert fit_animals.has_head(boxes, known).tolist() == [False, True, False]
    assert fit_animals.has_head(boxes, none).tolist() == [False] * 3
