"""Videos in the library: found, stored, corrected and kept, as photos are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from filmed import blobs, film
from rollcall import corrections
from rollcall.commands.index import print_summary
from rollcall.host import Plugin
from rollcall.indexing.indexer import Indexer
from rollcall.records import Box
from rollcall.settings import Settings
from rollcall.storage.database import Database

pytest.importorskip("av")
CHILD, WOMAN = (5, 0), (40, 255)


def walk(*people: tuple[int, int], seconds: int = 6, still: bool = False) -> list[np.ndarray]:
    """Return frames in which people walk to the right, one beside the other."""
    return [
        blobs(*((10 + 60 * i + (0 if still else 3 * (n // 4)), *one) for i, one in enumerate(people)), seed=n // 4)
        for n in range(4 * seconds)
    ]


def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    with database.read() as session:
        return [tuple(row) for row in session.execute(text(sql))]


@pytest.fixture
def plugin(tmp_path: Path) -> Any:
    values = {"database.url": f"sqlite:///{tmp_path / 'a.db'}", "cache.folder": str(tmp_path / "cache")}
    made = Plugin(values, analyzer=BlobAnalyzer())
    made.start()
    yield made
    made.stop()


def shown(plugin: Plugin) -> list[tuple[Any, ...]]:
    return rows(plugin.database, "SELECT face_id, ROUND(age), gender, video_time, x FROM v1_faces ORDER BY face_id")


def test_each_person_of_a_video_is_one_face_with_its_time(
    indexer: Indexer, database: Database, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film(library / "a.mov", walk(CHILD, WOMAN))
    draw(library / "b.png", CHILD)
    summary = indexer.run([library])
    assert (summary.indexed, summary.videos, summary.faces, summary.failed) == (2, 1, 3, 0)
    print_summary(summary, stopped=False)
    assert capsys.readouterr().out.startswith("1 photo and 1 video indexed, 3 faces found")
    found = rows(
        database, "SELECT path, faces, width, height, ROUND(duration), poster_time FROM v1_photos ORDER BY path"
    )
    assert found[0][:5] == ("a.mov", 2, 200, 120, 6) and 0 <= found[0][5] <= 6
    assert found[1] == ("b.png", 1, 200, 120, None, None)
    faces = rows(database, "SELECT ROUND(age), gender, video_time FROM v1_faces ORDER BY photo_id, x")
    assert [(age, gender) for age, gender, _ in faces] == [(5, "male"), (40, "female"), (5, "male")]
    assert [seconds is None for _, _, seconds in faces] == [False, False, True]


def test_a_video_is_read_once_and_found_again_when_it_moved(
    indexer: Indexer, database: Database, library: Path, analyzer: BlobAnalyzer
) -> None:
    path = film(library / "a.mov", walk(CHILD))
    indexer.run([library])
    seen, face = analyzer.seen, rows(database, "SELECT face_id FROM v1_faces")
    assert indexer.run([library]).skipped == 1
    path.rename(library / "b.mov")
    assert indexer.run([library]).moved == 1
    assert (analyzer.seen, rows(database, "SELECT face_id FROM v1_faces")) == (seen, face)


def test_of_a_still_picture_few_frames_are_looked_at(
    make_indexer: Callable[..., Indexer], library: Path, analyzer: BlobAnalyzer
) -> None:
    film(library / "a.mov", [blobs((10, *CHILD))] * 80)
    make_indexer(Settings(videos={"frames_a_scene": 3})).run([library])
    assert analyzer.seen == 3


def test_a_long_video_is_recorded_and_searched_when_the_setting_allows_it(
    make_indexer: Callable[..., Indexer], database: Database, library: Path
) -> None:
    film(library / "a.mov", walk(CHILD))
    short = make_indexer(Settings(videos={"longest_minutes": 0.05}))
    assert short.run([library]).faces == 0
    ((state, faces, length, warning),) = rows(database, "SELECT state, faces, duration, warning FROM v1_photos")
    assert (state, faces) == ("indexed", 0) and length == pytest.approx(6, abs=0.5)
    assert "videos.longest_minutes" in warning
    assert short.run([library]).skipped == 1
    longer = make_indexer(Settings(videos={"longest_minutes": 1}))
    assert (longer.run([library]).faces, longer.run([library]).skipped) == (1, 1)
    assert rows(database, "SELECT faces, warning FROM v1_photos") == [(1, None)]
    # What was searched stays so.
    assert short.run([library]).skipped == 1


def test_switched_off_videos_are_no_part_of_the_library(
    make_indexer: Callable[..., Indexer], database: Database, library: Path
) -> None:
    film(library / "a.mov", walk(CHILD))
    draw(library / "b.png", CHILD)
    off = Settings(videos={"index": "off"})
    assert make_indexer(off).run([library]).indexed == 1
    make_indexer().run([library])
    face = rows(database, "SELECT face_id FROM v1_faces WHERE video_time IS NOT NULL")
    make_indexer(off).run([library])
    assert rows(database, "SELECT path, state FROM v1_photos ORDER BY path") == [
        ("a.mov", "missing"),
        ("b.png", "indexed"),
    ]
    make_indexer().run([library])
    assert rows(database, "SELECT face_id FROM v1_faces WHERE video_time IS NOT NULL") == face != []


def test_a_live_photo_is_one_photo_also_when_its_moving_part_came_first(
    indexer: Indexer, database: Database, library: Path
) -> None:
    moving = film(library / "IMG_1.MOV", walk(CHILD, seconds=2))
    film(library / "IMG_2.MOV", walk(CHILD, seconds=8))
    draw(library / "IMG_2.png", CHILD)
    indexer.run([library])
    still = draw(library / "IMG_1.png", CHILD)
    indexer.update([still])
    found = dict(rows(database, "SELECT path, state FROM v1_photos"))
    assert found == {"IMG_1.MOV": "missing", "IMG_1.png": "indexed", "IMG_2.MOV": "indexed", "IMG_2.png": "indexed"}
    indexer.update([moving])
    assert dict(rows(database, "SELECT path, state FROM v1_photos")) == found


def test_a_damaged_video_fails_alone_and_with_its_reason(indexer: Indexer, database: Database, library: Path) -> None:
    film(library / "a.mov", walk(CHILD))
    (library / "b.mp4").write_bytes((library / "a.mov").read_bytes()[:900])
    summary = indexer.run([library])
    assert (summary.indexed, summary.failed) == (1, 1)
    ((state, error),) = rows(database, "SELECT state, error FROM v1_photos WHERE path = 'b.mp4'")
    assert state == "failed" and "is damaged or not whole" in error
    assert indexer.run([library]).skipped == 2


def test_corrections_of_people_at_one_place_at_different_times_stay_theirs(plugin: Plugin, tmp_path: Path) -> None:
    library = tmp_path / "photos"
    film(library / "a.mov", [*walk(CHILD), *walk(WOMAN)])
    plugin.index([library])
    (child, *_), (woman, *_) = shown(plugin)
    plugin.correct(corrections.age(child, 7), corrections.gender(woman, "male"))
    plugin.index([library], force=True)
    assert [one[:3] for one in shown(plugin)] == [(child, 7, "male"), (woman, 40, "male")]
    # Also in another library, from the log alone.
    log = list(plugin.export_corrections())
    other = Plugin(
        {"database.url": f"sqlite:///{tmp_path / 'b.db'}", "cache.folder": str(tmp_path / "cache")},
        analyzer=BlobAnalyzer(),
    )
    other.start()
    other.index([library])
    other.import_corrections(log)
    assert [one[1:3] for one in shown(other)] == [(7, "male"), (40, "male")]
    other.stop()


def test_a_face_drawn_in_a_frame_is_estimated_there(plugin: Plugin, tmp_path: Path) -> None:
    library = tmp_path / "photos"
    film(library / "a.mov", [*walk(CHILD), *walk(WOMAN)])
    plugin.index([library])
    (photo_id,) = rows(plugin.database, "SELECT photo_id FROM v1_photos")[0]
    box = Box(10 / 200, 50 / 120, 30 / 200, 30 / 120)
    result = plugin.correct(corrections.draw(photo_id, box, 8.0))
    face = plugin.face(result.face_ids[0])
    assert (face.video_time, round(face.age or 0)) == (8.0, 40)
    plugin.index([library], force=True)
    assert plugin.face(result.face_ids[0]).video_time == 8.0


def test_an_erased_face_does_not_return_and_takes_nobody_else_along(plugin: Plugin, tmp_path: Path) -> None:
    library = tmp_path / "photos"
    film(library / "a.mov", [*walk(CHILD), *walk(WOMAN)])
    plugin.index([library])
    (child, *_), (woman, *_) = shown(plugin)
    plugin.forget(faces=[child])
    plugin.index([library], force=True)
    assert [one[0] for one in shown(plugin)] == [woman]


def test_searches_tell_videos_and_photos_apart(plugin: Plugin, tmp_path: Path) -> None:
    library = tmp_path / "photos"
    film(library / "a.mov", walk(CHILD))
    film(library / "b.mov", walk(WOMAN))
    draw(library / "c.png", CHILD)
    plugin.index([library])

    def names(query: str) -> set[str]:
        return {hit.path.name for hit in plugin.search(query)}

    assert names("type:video") == {"a.mov", "b.mov"}
    assert names("videos of children") == names("type:video children") == {"a.mov"}
    assert names("type:photo children") == {"c.png"}
    assert names("children") == {"a.mov", "c.png"}
