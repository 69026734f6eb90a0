"""The field `similar:`: a face that cannot be compared is an error of the query, with its position."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from blobs import draw
from rollcall import search
from rollcall.errors import InvalidQueryError
from rollcall.indexing.indexer import Indexer
from rollcall.search import functions
from rollcall.search.terms import Similar
from rollcall.storage.database import Database
from rollcall.storage.tables import EmbeddingRow

RUNS = [search.search, search.count]


@pytest.fixture
def filled(indexer: Indexer, database: Database, library: Path) -> Database:
    for number in range(3):
        draw(library / f"{number}.png", (10 + 20 * number, 40 * number), seed=number)
    indexer.run([library])
    return database


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("similar:face:999", 0),
        ("similar:999", 0),
        ("kids similar:face:999", 5),
        ("faces:1 and not similar:face:999", 16),
        ("(kids or similar:1) | similar:face:999", 22),
        ("no people similar:999999999999999", 10),
    ],
)
def test_an_unknown_face_is_an_error_of_the_query(
    filled: Database, run: Callable[..., object], query: str, position: int
) -> None:
    with pytest.raises(InvalidQueryError, match=r"there is no face 999.*rollcall search --json") as caught:
        run(filled, query)
    assert (caught.value.query, caught.value.position) == (query, position)
    assert caught.value.expected


@pytest.mark.parametrize("run", RUNS)
def test_an_unknown_face_is_an_error_in_memory_too(
    filled: Database, run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "supported", lambda session: False)
    with pytest.raises(InvalidQueryError, match="there is no face 999"):
        run(filled, "similar:face:999")


def test_an_unknown_face_is_an_error_by_date_too(filled: Database) -> None:
    with pytest.raises(InvalidQueryError, match="there is no face 999"):
        search.search(filled, "faces:7 similar:face:999", order="date")


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    "change", [delete(EmbeddingRow), update(EmbeddingRow).values(stale=True)], ids=["missing", "stale"]
)
def test_a_face_without_an_embedding_is_an_error_of_the_query(
    filled: Database, run: Callable[..., object], change: object
) -> None:
    with filled.write() as session:
        session.execute(change.where(EmbeddingRow.face_id == 2))  # type: ignore[attr-defined]
    with pytest.raises(InvalidQueryError, match=r"face 2 cannot be compared.*attributes\.embeddings") as caught:
        run(filled, "people similar:face:2")
    assert caught.value.position == 7


@pytest.mark.parametrize("run", [*RUNS, lambda _, query: search.explain(query)])
@pytest.mark.parametrize(
    "digits", [f"{2**63 - 1}", f"{2**63}", f"{2**64}", "9" * 5000], ids=["2^63-1", "2^63", "2^64", "5000 digits"]
)
def test_a_number_that_no_database_holds_is_an_error_of_the_query(
    filled: Database, run: Callable[..., object], digits: str
) -> None:
    with pytest.raises(InvalidQueryError, match="a face by its number") as caught:
        run(filled, f"kids similar:face:{digits}")
    assert caught.value.position == 13


def test_the_position_is_no_part_of_what_a_term_means() -> None:
    assert search.parse("similar:face:3") == Similar(3)
    similar = [term for term in search.parse("people similar:face:3").walk() if isinstance(term, Similar)]
    assert [term.position for term in similar] == [7]


def test_a_face_is_found_by_itself_and_counted(filled: Database) -> None:
    hits = search.search(filled, "similar:face:2")
    assert hits[0].photo_id == 2
    assert search.count(filled, "similar:face:2") == len(hits)
