"""A plugin over a small library with tags, people and named faces; each test has a copy of its database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient

from blobs import BlobAnalyzer, draw
from bridged import name_face
from fake_lychee import FakeLychee, make
from rollcall import Plugin, corrections
from rollcall.bridges.lychee.running import LycheeService

SETTINGS: Final = {
    "bridges.requests_per_second": 0,
    "bridges.immich_url": "http://immich:2283",
    "bridges.immich_key": "immich-key",
    "bridges.photoprism_url": "http://photoprism:2342",
    "bridges.photoprism_key": "photoprism-key",
    "bridges.nextcloud_url": "http://nextcloud",
    "bridges.nextcloud_user": "jo",
    "bridges.nextcloud_key": "nextcloud-key",
}


@pytest.fixture(scope="package")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library") / "photos"
    draw(folder / "a.png", (5, 0), (40, 255), seed=1)
    draw(folder / "trip" / "b.png", (6, 0), seed=2)
    draw(folder / "trip" / "c.png", (70, 255), seed=3)
    return folder


def _plugin(database: Path, photos: Path) -> Plugin:
    values: dict[str, Any] = {**SETTINGS, "database.url": str(database), "bridges.paths": f"{photos}=/library"}
    return Plugin(values, analyzer=BlobAnalyzer())


@pytest.fixture(scope="package")
def indexed(photos: Path) -> Path:
    """The database of the indexed library: a.png has the faces 1 and 2, b.png 3, c.png 4."""
    database = photos.parent / "rollcall.db"
    with _plugin(database, photos) as plugin:
        plugin.index(photos)
        for photo_id, name in ((1, "Trips/Sea"), (2, "Trips/Sea"), (2, "Märchen, ä/b")):
            plugin.correct(corrections.tag(photo_id, name, accepted=True))
    return database


@pytest.fixture
def plugin(tmp_path: Path, photos: Path, indexed: Path) -> Iterator[Plugin]:
    made = _plugin(Path(shutil.copy(indexed, tmp_path)), photos)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def library(plugin: Plugin) -> Plugin:
    name_face(plugin, 1, "Anna", birth_date="2015-03-01")
    name_face(plugin, 3, "Anna")
    name_face(plugin, 4, "Zoë")
    return plugin


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from rollcall.bridges import connection

    monkeypatch.setattr(connection, "_delay", lambda attempt, given: 0.0)


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    draw(folder / "or" / "a.png", (30, 0), (60, 255), seed=1)
    draw(folder / "or" / "b.png", (30, 0), seed=2)
    draw(folder / "or" / "none.png", seed=3)
    (folder / "or" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


@pytest.fixture
def lychee() -> FakeLychee:
    return FakeLychee()


@pytest.fixture
def service(tmp_path: Path, uploads: Path, lychee: FakeLychee) -> Iterator[LycheeService]:
    made = make(tmp_path, uploads, lychee)
    yield made
    made.store.close()


@pytest.fixture
def client(service: LycheeService) -> TestClient:
    """Calls the service; its worker is not started, the test takes its steps."""
    return TestClient(service.app())
