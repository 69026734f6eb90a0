"""Numbers and characters beyond what a database holds: an ordinary error, or nothing found."""

from __future__ import annotations

from pathlib import Path

import pytest

from blobs import draw
from rollcall import search
from rollcall.errors import InvalidQueryError, NotFoundError
from rollcall.indexing.indexer import Indexer
from rollcall.search import details, library, similarity
from rollcall.storage.database import Database

HUGE = [2**63, 2**64, 10**30]


@pytest.fixture
def filled(indexer: Indexer, database: Database, library: Path) -> Database:
    for number in range(3):
        draw(library / f"{number}.png", (10 + 20 * number, 40 * number), seed=number)
    indexer.run([library])
    return database


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("query", ["", "kids or people", "similar:face:1", "faces:1", "people"])
@pytest.mark.parametrize("order", ["probability", "date"])
def test_a_huge_limit_takes_all_and_a_huge_offset_none(
    filled: Database, query: str, number: int, order: search.Order
) -> None:
    everything = search.search(filled, query, order=order)
    assert everything
    assert search.search(filled, query, order=order, limit=number) == everything
    assert search.search(filled, query, order=order, limit=number, offset=number) == []


@pytest.mark.parametrize("query", ["", "kids or people", "similar:face:1", "faces:1", "people"])
def test_a_limit_of_nothing_finds_nothing(filled: Database, query: str) -> None:
    assert search.search(filled, query, limit=0) == []


@pytest.mark.parametrize("number", HUGE)
def test_photos_behind_an_unknown_one_are_those_without_a_time(filled: Database, number: int) -> None:
    assert len(search.search(filled, "", order="date", after=number)) == 3


@pytest.mark.parametrize("number", [*HUGE, -1, -(2**64)])
def test_nothing_has_a_number_that_no_database_holds(filled: Database, number: int) -> None:
    with filled.read() as session:
        assert details.photos(session, [number, 1])[0].photo_id == 1
        with pytest.raises(NotFoundError):
            details.photo(session, number)
        with pytest.raises(NotFoundError):
            details.face(session, number)
        with pytest.raises(NotFoundError):
            similarity.most_similar(filled, session, number, 5)
        assert library.face_crops(session, [number]) == {}
        assert library.photo_file(session, number) is None
        assert library.neighbours(session, number) == (None, None)


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("{} kids", 0),
        ("kids over {}", 10),
        ("between {} and 5", 8),
        ("more than {} kids", 10),
        ("{}+ kids", 0),
        ("kids {}-5", 5),
        ("age:{}", 4),
        ("faces:>{}", 6),
        ("score:{}", 6),
    ],
)
@pytest.mark.parametrize("digits", [20, 5000])
def test_numbers_of_any_length_are_refused_at_their_position(query: str, position: int, digits: int) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        search.parse(query.format("9" * digits))
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("query", "position"), [("\ud800", 0), ("kids \udcff", 5), ('tag:"a\udfff"', 6), ("path:\udc80*", 5)]
)
def test_half_a_character_is_refused_at_its_position(query: str, position: int) -> None:
    with pytest.raises(InvalidQueryError, match="half a character") as caught:
        search.parse(query)
    assert caught.value.position == position
    str(caught.value).encode()
