"""The matrix of embeddings beside the database: searches by it see what the database holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select

from blobs import draw
from rollcall import search
from rollcall.corrections import log, undo
from rollcall.corrections.kinds import not_a_face
from rollcall.indexing.indexer import Indexer
from rollcall.search.calibration import calibration
from rollcall.search.similarity import SimilarFaces
from rollcall.search.vectors import vectors_of
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.database import Database, open_database
from rollcall.storage.estimates import unpack
from rollcall.storage.tables import EmbeddingRow, EventRow, FaceRow


@pytest.fixture
def filled(indexer: Indexer, database: Database, library: Path) -> Database:
    for number in range(6):
        draw(library / f"{number}.png", (10 * number, 40 * number), (70, 10), seed=number)
    indexer.run([library])
    return database


def by_hand(database: Database, face_id: int) -> dict[int, float]:
    """Return what `SimilarFaces.all` should, from the rows."""
    with database.read() as session:
        rows = session.execute(
            select(EmbeddingRow.vector, FaceRow.photo_id, EmbeddingRow.face_id).join(
                FaceRow, FaceRow.id == EmbeddingRow.face_id
            )
        ).all()
    vectors = {row[2]: unpack(row[0]) for row in rows}
    found: dict[int, float] = {}
    for _, photo_id, other in rows:
        probability = float(calibration().probability(np.array([vectors[other] @ vectors[face_id]]))[0])
        if probability > 0.01:
            found[photo_id] = max(found.get(photo_id, 0.0), probability)
    return found


def similar_photos(database: Database, face_id: int) -> dict[int, float]:
    with database.read() as session:
        return SimilarFaces(database, session, face_id).all()


def file_of(database: Database) -> Path:
    file = vectors_of(database).file
    assert file is not None
    return file


def test_the_matrix_gives_what_the_rows_give(filled: Database) -> None:
    for face_id in (1, 2, 5):
        assert similar_photos(filled, face_id) == pytest.approx(by_hand(filled, face_id), rel=1e-4)
    assert file_of(filled).exists()


def test_another_process_uses_the_file_as_it_is(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = similar_photos(filled, 1)
    monkeypatch.setattr("rollcall.search.vectors._all", None)
    other = open_database(filled.url, read_only=True)
    assert similar_photos(other, 1) == before
    other.close()


def test_photos_indexed_later_are_found_without_a_new_file(
    filled: Database, indexer: Indexer, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    similar_photos(filled, 1)
    monkeypatch.setattr("rollcall.search.vectors._all", None)
    draw(library / "new.png", (70, 10), seed=77)
    draw(library / "0.png", (0, 255), seed=78)
    assert indexer.run([library]).indexed == 2
    assert similar_photos(filled, 4) == pytest.approx(by_hand(filled, 4), rel=1e-4)
    assert 7 in similar_photos(filled, 4)


def test_a_dismissed_face_is_similar_to_none(filled: Database) -> None:
    with filled.read() as session:
        face = session.scalars(select(FaceRow.id).where(FaceRow.photo_id == 3)).all()
    assert 3 in similar_photos(filled, 2)
    with filled.write() as session:
        log.record(session, [not_a_face(face_id) for face_id in face], "user", TagSettings())
    assert 3 not in similar_photos(filled, 2)
    with filled.write() as session:
        undo.undo(session, TagSettings())
    assert 3 in similar_photos(filled, 2)


def test_of_a_restored_database_the_matrix_is_made_again(filled: Database) -> None:
    similar_photos(filled, 1)
    with filled.write() as session:
        session.execute(delete(EventRow).where(EventRow.id > 3))
        session.execute(delete(FaceRow).where(FaceRow.photo_id == 4))
    assert 4 not in similar_photos(filled, 2)


def test_forgotten_embeddings_leave_no_file(filled: Database) -> None:
    similar_photos(filled, 1)
    with filled.write() as session:
        session.execute(delete(EmbeddingRow).where(EmbeddingRow.face_id > 2))
        change_feed.record(session, "photo_forgotten", 2)
    vectors_of(filled).delete()
    assert not file_of(filled).exists()
    assert similar_photos(filled, 1) == pytest.approx(by_hand(filled, 1), rel=1e-4)


def test_the_file_is_as_private_as_the_database(filled: Database) -> None:
    database_file = file_of(filled).with_suffix("")
    database_file.chmod(0o600)
    similar_photos(filled, 1)
    assert file_of(filled).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 10_000])
def test_a_damaged_file_is_made_again(filled: Database, content: bytes) -> None:
    expected = similar_photos(filled, 1)
    other = open_database(filled.url)
    file_of(other).write_bytes(content)
    assert similar_photos(other, 1) == expected
    other.close()


def test_where_no_file_can_be_written_the_search_works_all_the_same(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr("rollcall.search.vector_file.os.open", refuse)
    assert similar_photos(filled, 1) == pytest.approx(by_hand(filled, 1), rel=1e-4)
    assert not file_of(filled).exists()


def test_similar_photos_are_ranked(filled: Database) -> None:
    hits = search.search(filled, "similar:face:2", limit=3)
    probabilities = by_hand(filled, 2)
    assert [hit.photo_id for hit in hits] == sorted(probabilities, key=lambda photo: (-probabilities[photo], photo))[:3]


def test_more_model_versions_than_can_be_numbered_are_never_mixed(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollcall.search.vectors._MOST_VERSIONS", 1)
    with filled.write() as session:
        vector = session.get_one(EmbeddingRow, 1).vector
        for face_id, weights in ((3, "second"), (5, "third")):
            row = session.get_one(EmbeddingRow, face_id)
            row.model_version, row.vector = f"mtcnn-4+{weights}:00@", vector
    with filled.read() as session:
        photos = {face_id: session.get_one(FaceRow, face_id).photo_id for face_id in (1, 5)}
    assert photos[1] in similar_photos(filled, 1)
    assert photos[5] not in similar_photos(filled, 3)
