"""Months and folders of the library, found along indices, are those that its photos have."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from rollcall.search import browsing
from rollcall.search.browsing import VideoSeen
from rollcall.search.planning import SHOWN
from rollcall.storage.database import Database, open_database
from rollcall.storage.tables import PhotoRow, RootRow

TIMES = (
    *("2019-06-01T10:00:00", "2019-06-30T23:59:59", "2019-07-01T00:00:00", "2012", "2012-06", "2012-06-03T09:00:00"),
    *("1999-12-31T00:00:00", "2012-12", None, "2020-01-01T00:00:00+02:00"),
)
PATHS = ("a/{}.jpg", "a b/deep/{}.jpg", "A/{}.jpg", "{}.jpg", "é/{}.jpg", "a/b/{}.jpg", "z/{}.jpg", "0/{}.jpg")
STATES = (("indexed", 1), ("indexed", 0), ("pending", 2), ("pending", None), ("missing", 1), ("failed", None))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(str(tmp_path_factory.mktemp("browsing") / "library.db"))
    with database.write() as session:
        session.add_all(RootRow(id=one, path=f"/photos{one}", added_at="2026-01-01") for one in (1, 2))
        session.flush()
        rows = [
            {"id": number, "root_id": 1 + number % 2, "path": path.format(number), "size": 1, "mtime_ns": 1}
            | {"taken_local": taken, "state": state, "face_count": count}
            for number, (taken, path, (state, count)) in enumerate(itertools.product(TIMES, PATHS, STATES), 1)
            # Nothing of these is shown.
            if not (path.startswith("z") and state == "indexed") and not (taken == "2012-12" and count is not None)
        ]
        for row in rows:
            if row["path"].startswith("z") and row["state"] == "pending":
                row["state"] = "missing"
        session.execute(insert(PhotoRow.__table__), rows)  # type: ignore[arg-type]
    yield database
    database.close()


def shown(database: Database, column: str) -> list[str | None]:
    with database.read() as session:
        return [row[0] for row in session.execute(text(f"SELECT p.{column} FROM v1_photos p WHERE {SHOWN}"))]


def test_each_month_has_the_photos_that_are_shown(database: Database) -> None:
    wanted = Counter((taken or "")[:7] for taken in shown(database, "taken_local"))
    with database.read() as session:
        assert browsing.months(session) == sorted(wanted.items(), reverse=True)
    assert "2012" in wanted and "2012-12" not in wanted and "" in wanted


def test_folders_are_those_of_photos_that_are_shown_by_name(database: Database) -> None:
    wanted = sorted({path.partition("/")[0] for path in map(str, shown(database, "path")) if "/" in path})
    with database.read() as session:
        assert browsing.folders(session, 100) == wanted == ["0", "A", "a", "a b", "é"]
        assert browsing.folders(session, 2) == wanted[:2]


def test_a_video_is_seen_once_it_is_there_and_not_when_it_is_gone(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "videos.db"))
    values = {"root_id": 1, "size": 1, "mtime_ns": 1}

    def seen(before: VideoSeen) -> VideoSeen:
        with database.read() as session:
            return browsing.video_seen(session, before)

    with database.write() as session:
        session.add(RootRow(id=1, path="/photos", added_at="2026-01-01"))
        session.flush()
        session.add_all(PhotoRow(id=number, path=f"{number}", state="pending", **values) for number in (1, 2, 3))

    def analysed(number: int, duration: float | None) -> None:
        with database.write() as session:
            row = session.get_one(PhotoRow, number)
            row.state, row.face_count, row.duration = "indexed", 0, duration

    analysed(1, None)
    none = seen(VideoSeen())
    assert none.photo_id is None and none.revision > 0
    analysed(3, 2.0)
    # Only what has changed since is looked at.
    with database.write() as session:
        session.execute(text("UPDATE photos SET duration = 1 WHERE id = 1"))
    found = seen(none)
    assert found.photo_id == 3 and seen(found) == found
    with database.write() as session:
        session.execute(text("UPDATE photos SET duration = NULL WHERE id = 1"))
        session.delete(session.get_one(PhotoRow, 3))
    assert seen(found).photo_id is None
    database.close()


def test_a_library_without_photos_has_neither(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "empty.db"))
    with database.read() as session:
        assert browsing.months(session) == [] and browsing.folders(session, 5) == []
    database.close()
