"""Composites: which faces they combine, what they show, and how files are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rollcall_model.datasets.faces import STORED, Faces
from rollcall_model.datasets.samples import UNKNOWN, Sample
from rollcall_model.training import composites


def _faces(count: int = 12) -> Faces:
    rng = np.random.default_rng(5)
    samples = [
        Sample("set", f"{i}.png", "val" if i % 6 == 5 else "train", (i, i) if i % 2 else None, None)
        for i in range(count)
    ]
    crops = rng.integers(0, 255, (count, STORED, STORED, 3), np.uint8)
    return Faces(crops, np.ones(count, bool), samples, np.zeros((count, 2, 128), np.float32))


def test_composites_are_of_training_faces_and_never_combine_labelled_with_unlabelled() -> None:
    faces = _faces()
    some = composites.draw(faces, np.full(4, 0.25), 0.5, 200, 0)
    train = set(faces.where(split="train").tolist())
    assert set(some.rows.ravel().tolist()) <= train
    known = faces.ages[:, 0] != UNKNOWN
    assert (known[some.rows[:, 0]] == known[some.rows[:, 1]]).all()
    assert ((some.ratio >= 0.5) & (some.ratio <= 1)).all()


def test_a_composite_shows_its_faces_by_kind_and_ratio() -> None:
    crops = np.stack([np.full((40, 40, 3), value, np.uint8) for value in (200, 100)])
    rows, straight = np.array([0, 1]), np.array([False, False])
    assert (composites.picture(crops, rows, straight, composites.SINGLE, 1.0) == 200).all()
    assert (composites.picture(crops, rows, straight, composites.BLEND, 0.75) == 175).all()
    above = composites.picture(crops, rows, straight, composites.ABOVE, 0.5)
    assert (above[0] == 200).all() and (above[-1] == 100).all()
    beside = composites.picture(crops, rows, straight, composites.BESIDE, 0.5)
    assert (beside[:, 0] == 200).all() and (beside[:, -1] == 100).all()


def test_composites_of_several_files_are_joined_and_those_without_an_embedding_dropped(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    books = [composites.draw(_faces(), np.full(4, 0.25), 0.5, count, count) for count in (5, 7)]
    for number, book in enumerate(books):
        embeddings = rng.normal(size=(len(book.ratio), 128)).astype(np.float16)
        embeddings[3:] *= number  # the first file was interrupted after three
        composites.save(tmp_path / f"{number}.npz", book._replace(teacher=embeddings))
    found = composites.load([tmp_path / "0.npz", tmp_path / "1.npz"])
    assert len(found.ratio) == 3 + 7
    np.testing.assert_array_equal(found.rows[:3], books[0].rows[:3])
    np.testing.assert_array_equal(found.rows[3:], books[1].rows)
    np.testing.assert_allclose(np.linalg.norm(found.teacher, axis=1), 1, rtol=1e-5)
