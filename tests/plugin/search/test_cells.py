"""Embeddings in cells: every one is in one of them, and the most similar ones are found there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rollcall.search import vectors
from rollcall.search.cells import divide
from rollcall.search.vector_file import Embeddings, State, VectorFile


@pytest.fixture
def embeddings(monkeypatch: pytest.MonkeyPatch) -> Embeddings:
    """Return 3,000 faces of 150 people in 64 cells."""
    monkeypatch.setattr(vectors, "_DIVIDED", 1000)
    monkeypatch.setattr(vectors, "_CELLS", 64)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(150, 64))
    faces = np.repeat(centres, 20, axis=0) + 0.5 * rng.normal(size=(3000, 64))
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    numbers = rng.permutation(3000)
    return vectors._divided(
        Embeddings(
            numbers, numbers + 5000, np.zeros(3000, np.uint8), faces[numbers].astype("<f2"), ("one",), State(1, "now")
        )
    )


def test_every_embedding_is_in_one_cell(embeddings: Embeddings) -> None:
    cells = divide(np.asarray(embeddings.vectors), 32)
    assert sorted(one for cell in range(32) for one in cells.members(cell).tolist()) == list(range(3000))
    assert sorted(embeddings.face_ids.tolist()) == list(range(3000))


def test_the_most_similar_faces_are_found_in_few_cells_and_those_of_some_photos_left_out(
    embeddings: Embeddings,
) -> None:
    for face in (0, 777, 2999):
        row = int(np.flatnonzero(embeddings.face_ids == face)[0])
        wanted = np.asarray(embeddings.vectors[row])
        true = np.argsort(-embeddings.cosines(wanted), kind="stable")[:15]
        found = {number for _, number in embeddings.nearest(wanted, 15)}
        assert len(found & set(embeddings.face_ids[true].tolist())) >= 13
        assert face not in {number for _, number in embeddings.nearest(wanted, 15, {face + 5000})}


def test_cells_are_the_same_when_they_are_read_from_the_file(embeddings: Embeddings, tmp_path: Path) -> None:
    (tmp_path / "library.db").touch()
    VectorFile(tmp_path / "library.db").store(embeddings)
    read = VectorFile(tmp_path / "library.db").load(64)
    assert read is not None
    for a, b in zip(read, embeddings, strict=True):
        assert np.array_equal(np.asarray(a), np.asarray(b))
