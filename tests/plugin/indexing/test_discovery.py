"""Links, exclusion markers, patterns, roots that move; databases with odd names and without write permission."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from drawn import open_to_all, ordinary_user
from rollcall import events, search
from rollcall.errors import LibraryError, StoreError
from rollcall.indexing import discovery
from rollcall.indexing.indexer import Indexer
from rollcall.indexing.run import Run
from rollcall.settings import LibrarySettings, Settings
from rollcall.storage.database import Database, open_database


def names(root: Path, unreadable: list[str] | None = None, **values: object) -> list[str]:
    """Return the paths that discovery finds; add those that it cannot read to `unreadable`."""
    settings = LibrarySettings.model_validate(values)
    failed = [] if unreadable is None else unreadable
    return [one.relative_path for one in discovery.discover(root, settings, lambda path, why: failed.append(path))]


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row[0]: row[1] for row in session.execute(text("SELECT path, state FROM v1_photos"))}


@pytest.mark.skipif(os.name == "nt", reason="permissions are other things on Windows")
def test_a_folder_below_one_that_is_closed_is_refused_and_marks_nothing_as_missing(indexer: Indexer) -> None:
    with open_to_all() as folder:
        draw(folder / "closed" / "photos" / "a.png")
        (folder / "closed").chmod(0o700)
        where = folder / "closed" / "photos"
        with ordinary_user(), pytest.raises(LibraryError, match=r"the folder cannot be read \(Permission denied\)"):
            indexer.scanner.places([where], Run(False, None))


def test_a_folder_that_is_named_before_one_that_holds_it_belongs_to_that_one(
    indexer: Indexer, library: Path, database: Database
) -> None:
    draw(library / "2019" / "summer" / "a.png")
    draw(library / "2020" / "b.png", seed=1)
    names = [library / "2019" / "summer", library / "2019", library, library / "2020"]
    assert [place.root for place in indexer.scanner.places(names, Run(False, None))] == [library]
    assert indexer.run(names).photos == 2
    assert states(database) == {"2019/summer/a.png": "indexed", "2020/b.png": "indexed"}


@pytest.mark.skipif(os.name == "nt", reason="permissions are other things on Windows")
def test_a_folder_that_may_not_be_opened_is_not_added(indexer: Indexer) -> None:
    with open_to_all() as folder:
        draw(folder / "closed" / "a.png")
        (folder / "closed").chmod(0)
        with ordinary_user(), pytest.raises(LibraryError, match=r"\(Permission denied\): allow your user to open it"):
            indexer.scanner.add(folder / "closed")
        (folder / "closed").chmod(0o700)


def test_photos_of_a_folder_that_goes_away_during_a_run_wait_until_it_is_back(
    library: Path, database: Database, analyzer: BlobAnalyzer
) -> None:
    for number in range(3):
        draw(library / f"{number}.png", seed=number)
    away = library.with_name("away")
    seen: list[str] = []

    def listen(event: events.Event) -> None:
        if isinstance(event, events.Discovered) and event.finished and not seen:
            library.rename(away)
        if isinstance(event, events.Warned):
            seen.append(event.message)

    indexer = Indexer(database, analyzer, Settings(), listen)
    summary = indexer.run([library])
    assert (summary.indexed, summary.failed, summary.missing) == (0, 0, 0)
    assert set(states(database).values()) == {"pending"}
    assert [message.partition(": ")[2] for message in seen] == [
        "the folder went away during the run; the photos that are left wait until it is back"
    ]
    away.rename(library)
    assert indexer.run([library]).indexed == 3


# ---- Links, markers, patterns


@pytest.mark.parametrize(
    "folder",
    [
        *("@eaDir", "#recycle", "$RECYCLE.BIN", "$Recycle.Bin", "RECYCLER", "found.000", "@sharesnap", "@tmp"),
        *("Recycled", "RECYCLED", "#Recycle", "SYSTEM~1", "@SynoEAStream"),
        *("Network Trash Folder", "Temporary Items", "__MACOSX", "files_trashbin", "appdata_oc1x2y/preview"),
        *("A.photoslibrary/resources/derivatives", "A.photoslibrary/Thumbnails", "iPhoto Library/Thumbnails"),
        *("A.cocatalog/Cache", "Session/CaptureOne/Cache", "A Previews.lrdata"),
    ],
)
def test_what_systems_and_programs_keep_beside_photos_is_left_out(library: Path, folder: str) -> None:
    draw(library / "2019" / folder / "x.png")
    kept = ("A.photoslibrary/originals/0/x.png", "Temporary/x.png", "Cache/x.png", "iPhoto Library/Masters/x.png")
    for name in kept:
        draw(library / "2019" / name)
    draw(library / "2019" / "~$x.png")
    assert names(library) == sorted(f"2019/{name}" for name in kept)


def test_links_that_lead_in_circles_are_walked_once_and_cause_no_warnings(library: Path) -> None:
    draw(library / "a" / "x.png")
    (library / "a" / "up").symlink_to("..")
    (library / "loop").symlink_to(library)
    (library / "self").symlink_to("self")
    (library / "self.jpg").symlink_to("self.jpg")
    (library / "one").symlink_to("two")
    (library / "two").symlink_to("one")
    (library / "nowhere.jpg").symlink_to("gone.jpg")
    unreadable: list[str] = []
    assert names(library, unreadable) == ["a/x.png"]
    assert unreadable == []


def test_a_folder_outside_is_followed_once_or_not_at_all(library: Path, tmp_path: Path) -> None:
    draw(tmp_path / "outside" / "x.png")
    (library / "here").symlink_to(tmp_path / "outside")
    (library / "there").symlink_to(tmp_path / "outside")
    assert names(library) == ["here/x.png"]
    assert names(library, follow_links=False) == []


@pytest.mark.parametrize("marker", [".nomedia", ".noimage", ".rollcall-ignore"])
def test_a_marker_hides_its_folder_and_all_below(library: Path, marker: str) -> None:
    draw(library / "x.png")
    draw(library / "sub" / "deep" / "y.png")
    (library / "sub" / marker).touch()
    assert names(library) == ["x.png"]


@pytest.mark.parametrize(
    ("pattern", "hidden"),
    [("sub", {"sub/y.png"}), ("sub/*.png", {"sub/y.png"}), ("*.png", {"x.png", "sub/y.png"}), ("[xz].png", {"x.png"})],
)
def test_patterns_match_names_and_paths_from_the_root(library: Path, pattern: str, hidden: set[str]) -> None:
    for path in ("x.png", "sub/y.png"):
        draw(library / path)
    for patterns in ((pattern,), ("[", "nothing*", pattern, "a|x")):
        assert set(names(library, ignore=patterns)) == {"x.png", "sub/y.png"} - hidden


def test_what_other_programs_make_of_originals_is_left_out(library: Path) -> None:
    for folder in (
        "Cat Previews.lrdata/0",
        "My.photoslibrary/resources",
        "@Recycle",
        "#snapshot/1",
        "x.cocatalog/Cache",
    ):
        draw(library / folder / "made.png")
    for folder in ("My.photoslibrary/originals", "x.cocatalog/Originals", "Recycle", "resources"):
        draw(library / folder / "mine.png")
    assert len(names(library)) == 4 and all(name.endswith("mine.png") for name in names(library))


def test_patterns_mean_the_same_when_only_a_folder_is_indexed(
    make_indexer: Callable[..., Indexer], database: Database, library: Path
) -> None:
    draw(library / "sub" / "private" / "x.png")
    draw(library / "sub" / "y.png", seed=1)
    indexer = make_indexer(Settings(library=LibrarySettings(ignore=("sub/private",))))
    indexer.run([library])
    indexer.run([library / "sub"], force=True)
    assert states(database) == {"sub/y.png": "indexed"}


def test_an_ignored_folder_that_is_named_belongs_to_the_library(
    make_indexer: Callable[..., Indexer], database: Database, library: Path
) -> None:
    draw(library / "trash" / "x.png")
    draw(library / "y.png", seed=1)
    indexer = make_indexer(Settings(library=LibrarySettings(ignore=("trash",))))
    indexer.run([library])
    assert states(database) == {"y.png": "indexed"}
    indexer.run([library / "trash"])
    assert states(database) == {"x.png": "indexed", "y.png": "indexed"}
    indexer.run([library])
    assert states(database) == {"x.png": "indexed", "y.png": "indexed"}


def test_a_hidden_folder_that_was_named_stays_when_the_folder_above_is_added(
    indexer: Indexer, database: Database, library: Path
) -> None:
    draw(library / ".camera" / "hidden.png", (5, 255))
    draw(library / "shown.png", (40, 0), seed=1)
    indexer.run([library / ".camera"])
    indexer.run([library])
    assert states(database) == {"hidden.png": "indexed", "shown.png": "indexed"}
    assert indexer.run([library / ".camera"]).skipped == 1


def test_a_folder_below_one_that_opted_out_is_not_indexed_by_its_name(
    indexer: Indexer, database: Database, library: Path
) -> None:
    draw(library / "private" / "sub" / "x.png", (5, 255))
    draw(library / "y.png", (40, 0), seed=1)
    (library / "private" / ".rollcall-ignore").touch()
    indexer.run([library])
    indexer.run([library / "private" / "sub"])
    assert states(database) == {"y.png": "indexed"}


# ---- Roots


def test_a_renamed_root_is_recognised_and_the_old_one_deleted(
    indexer: Indexer, database: Database, library: Path
) -> None:
    draw(library / "x.png", (5, 255))
    indexer.run([library])
    new = library.rename(library.parent / "renamed")
    summary = indexer.run([new])
    assert (summary.moved, summary.indexed) == (1, 0)
    with database.read() as session:
        assert session.execute(text("SELECT path FROM roots")).all() == [(str(new),)]


def test_a_run_without_a_usable_folder_raises_and_publishes_nothing(
    indexer: Indexer, library: Path, events_seen: list[events.Event]
) -> None:
    with pytest.raises(LibraryError, match="check the path"):
        indexer.run([library / "nowhere"])
    assert events_seen == []


def test_a_single_file_of_the_library_can_be_named(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "x.png", (5, 255))
    draw(library / "y.png", (6, 255), seed=1)
    with pytest.raises(LibraryError, match="add its folder"):
        indexer.run([library / "x.png"])
    indexer.run([library])
    summary = indexer.run([library / "x.png"], force=True)
    assert (summary.photos, summary.indexed, summary.missing) == (1, 1, 0)


# ---- Where the database lies


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "50%20.db", "#1.db", 'it\'s "so".db', "ü‑ñ.db", "a&b=c;d.db"])
def test_a_database_may_have_any_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    database = open_database(str(file))
    assert file.exists()
    again = open_database(database.url, read_only=True)
    assert search.search(again, "faces:0") == []
    for one in (database, again):
        one.close()
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_a_database_in_a_folder_that_may_not_be_written_is_read_all_the_same() -> None:
    with open_to_all() as folder:
        file = folder / "photos.db"
        open_database(str(file)).close()
        file.chmod(0o644)  # its owner lets others read it
        folder.chmod(0o555)
        with ordinary_user():
            database = open_database(str(file), read_only=True)
            assert search.search(database, "faces:0") == []
            database.close()
        folder.chmod(0o755)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_database_that_may_not_be_written_is_explained(kind: str) -> None:
    with open_to_all() as folder:
        file = folder / "photos.db"
        open_database(str(file)).close()
        folder.chmod(0o555 if kind == "folder" else 0o777)
        file.chmod(0o444)
        with ordinary_user(), pytest.raises(StoreError, match="may not be written; .* --database"):
            open_database(str(file))
        folder.chmod(0o755)


def test_a_lock_of_another_user_is_explained(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "x.db"))
    (tmp_path / "x.db.lock").mkdir()
    with pytest.raises(StoreError, match=r"x\.db\.lock"), database.indexing():
        pass
    database.close()


def test_a_reader_of_a_database_at_rest_sees_all_of_it(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "x.png", (5, 255))
    indexer.run([library])
    file = Path(database.engine.url.database or "")
    database.close()
    assert not file.with_name(file.name + "-wal").exists()
    connection = sqlite3.connect(f"{file.as_uri()}?immutable=1", uri=True)
    assert connection.execute("SELECT COUNT(*) FROM v1_faces").fetchone() == (1,)
    connection.close()


def test_folders_may_be_nested_deeper_than_pythons_calls(
    indexer: Indexer, database: Database, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(library / "top.png", (5, 255))
    content = (library / "top.png").read_bytes()
    monkeypatch.chdir(library)
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    Path("deep.png").write_bytes(content)
    monkeypatch.chdir(library)
    try:
        summary = indexer.run([library])
        assert states(database)["top.png"] == "indexed"
        assert summary.photos in (1, 2), "paths may be longer than this system's limit"
    finally:
        # Neither pytest nor shutil removes folders nested so deep.
        while (library / "d").exists():
            (library / "d").rename(library / "outer")
            for inner in (library / "outer").iterdir():
                inner.rename(library / inner.name)
            (library / "outer").rmdir()
