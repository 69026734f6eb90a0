"""Fixtures: a database, a folder for drawn photos, an indexer with an analyzer that finds drawn faces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blobs import BlobAnalyzer
from postgresql_server import Server, programs, running
from rollcall import events
from rollcall.indexing.indexer import Indexer
from rollcall.settings import Settings
from rollcall.storage.database import Database, open_database


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server of PostgreSQL, whose database "migrated" has Rollcall's tables."""
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with running(folder) as server:
        server.execute("CREATE DATABASE migrated TEMPLATE template0")
        open_database(server.url("migrated")).close()
        yield server


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a test's database is: in a file, or on a server where the test is marked with `on_both`."""
    if getattr(request, "param", os.environ.get("KIND", "sqlite")) == "sqlite":
        yield f"sqlite:///{tmp_path / 'data' / 'rollcall.db'}"
        return
    server: Server = request.getfixturevalue("postgresql")
    url = server.create("migrated")
    yield url
    server.drop(url)


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    opened = open_database(database_url, cache=tmp_path / "cache")
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
