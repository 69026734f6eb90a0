"""Names of folders, files and tags: letters match in either case and either form, in every script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest

from blobs import BlobAnalyzer, draw
from rollcall import search
from rollcall.indexing.indexer import Indexer
from rollcall.search.candidates import load_photos
from rollcall.search.folding import fold
from rollcall.settings import Settings
from rollcall.storage.database import Database, open_database
from rollcall.storage.tables import TagRow

NAMES = ["Ausflüge/Köln", "plain/Straße", "École", "Αθήνα", "Москва", "unrelated"]
TAGS = ["Geburtstag/Björn", "plain"]


@pytest.fixture(scope="module", params=["NFC", "NFD"])
def named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("named")
    for number, name in enumerate(NAMES):
        draw(folder / "photos" / unicodedata.normalize(request.param, name) / "a.png", (30, 200), seed=number)
    database = open_database(str(folder / "named.db"))
    Indexer(database, BlobAnalyzer(), Settings()).run([folder / "photos"])
    with database.write() as session:
        for number, tag in enumerate(TAGS, 1):
            name = unicodedata.normalize(request.param, tag)
            session.add(TagRow(photo_id=number, name=name, source="user", state="applied", created_at=""))
    yield database
    database.close()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("query", "folder"),
    [
        ("path:köln", "Köln"),
        ("path:AUSFLÜGE/*", "Köln"),
        ("path:strasse", "Straße"),
        ("path:STRASSE", "Straße"),
        ("path:PLAIN", "Straße"),
        ("path:école*", "École"),
        ("path:ΑΘΉΝΑ", "Αθήνα"),
        ("path:москв?/*", "Москва"),
        ('"köln"', "Köln"),
        ("москва", "Москва"),
        ("path:a.png -path:ausflüge -path:plain -path:école -path:αθήνα -path:москва", "unrelated"),
    ],
)
def test_a_name_is_found_however_its_letters_are_stored(named: Database, query: str, folder: str, form: str) -> None:
    query = unicodedata.normalize(form, query)
    (found,) = search.search(named, query)
    assert unicodedata.normalize("NFC", found.path.parent.name) == folder
    term = search.parse(query)
    with named.read() as session:
        assert [photo.photo_id for photo in load_photos(session, range(1, 7)) if term.match(photo)] == [found.photo_id]


@pytest.mark.parametrize("query", ["tag:BJÖRN", "tagged björn", 'tag:"geburtstag/björn"', "tagged Bjo\u0308rn"])
def test_a_tag_is_found_however_its_letters_are_stored(named: Database, query: str) -> None:
    term = search.parse(query)
    (found,) = search.search(named, query)
    with named.read() as session:
        assert [photo.photo_id for photo in load_photos(session, range(1, 7)) if term.match(photo)] == [found.photo_id]


def test_folding_again_changes_nothing() -> None:
    for text in (*NAMES, "ΐ", "İ", "ﬁ", "ẞ", "a\u0301"):
        assert fold(fold(text)) == fold(text) == fold(unicodedata.normalize("NFD", text))
