"""Fixtures: a database, a folder for drawn photos, an indexer with an analyzer that finds drawn faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blobs import BlobAnalyzer
from postgresql_server import Server, Unavailable, running
from rollcall import events
from rollcall.indexing.indexer import Indexer
from rollcall.settings import Settings
from rollcall.storage.database import Database, open_database


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server of PostgreSQL, whose database "migrated" has Rollcall's tables."""
    try:
        with running() as server:
            server.execute("CREATE DATABASE migrated TEMPLATE template0")
            open_database(server.url("migrated")).close()
            yield server
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(str(tmp_path / "data" / "rollcall.db"))
    yield opened
    opened.close()


@pytest.fixture
def analyzer() -> BlobAnalyzer:
    return BlobAnalyzer()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def events_seen() -> list[events.Event]:
    return []


@pytest.fixture
def make_indexer(database: Database, analyzer: BlobAnalyzer, events_seen: list[events.Event]) -> Callable[..., Indexer]:
    def make(settings: Settings | None = None) -> Indexer:
        return Indexer(database, analyzer, settings or Settings(), events_seen.append)

    return make


@pytest.fixture
def indexer(make_indexer: Callable[..., Indexer]) -> Indexer:
    return make_indexer()
