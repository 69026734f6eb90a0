"""Files that are only in the cloud are left alone, and said; what was known of them stays."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from blobs import draw
from rollcall.errors import UnreadableError
from rollcall.indexing import discovery
from rollcall.indexing.indexer import Indexer
from rollcall.media import decode, placeholders
from rollcall.settings import LibrarySettings
from rollcall.storage import mounts
from rollcall.storage.database import Database


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row[0]: row[1] for row in session.execute(text("SELECT path, state FROM v1_photos"))}


def hollow(path: Path) -> None:
    """Make a file of which nothing is on the disk."""
    path.write_bytes(b"")
    os.truncate(path, 1 << 20)
    if path.stat().st_blocks or not mounts.counts_blocks(path.parent):
        pytest.skip("this file system does not count blocks")


@pytest.mark.parametrize(
    ("facts", "marked"),
    [
        ({"st_file_attributes": 0x400020}, True),  # OneDrive: recalled when it is read
        ({"st_file_attributes": 0x41020}, True),
        ({"st_file_attributes": 0x20}, False),
        ({"st_flags": 0x40000000}, True),  # iCloud and other File Providers
        ({"st_flags": 0x40}, False),
        ({}, False),
    ],
)
def test_windows_and_macos_mark_placeholders(facts: dict[str, int], marked: bool) -> None:
    info: Any = SimpleNamespace(st_size=4_000_000, st_blocks=0, **facts)
    assert placeholders.is_marked(Path("a.jpg"), info) is marked


@pytest.mark.parametrize(
    ("name", "real"),
    [
        ("a.jpg.nextcloud", "a.jpg"),
        ("a.JPG.owncloud", "a.JPG"),
        (".a.heic.icloud", "a.heic"),
        ("a.jpg", None),
        ("a.icloud", None),
        (".nextcloud", None),
    ],
)
def test_names_of_placeholders_tell_that_of_the_photo(name: str, real: str | None) -> None:
    assert placeholders.downloaded_name(name) == real
    assert real is None or name.lower() in [one.lower() for one in placeholders.placeholder_names(real)]


def test_a_file_without_blocks_is_left_alone_until_it_is_downloaded(
    indexer: Indexer, database: Database, library: Path
) -> None:
    draw(library / "here.png", (5, 255))
    hollow(library / "there.png")
    summary = indexer.run([library])
    assert states(database) == {"here.png": "indexed"}
    assert any("1 photo is only in the cloud" in warning for warning in summary.warnings)
    draw(library / "there.png", (7, 255))
    indexer.update([library / "there.png"])
    assert states(database) == {"here.png": "indexed", "there.png": "indexed"}


def test_photos_that_are_sent_back_to_the_cloud_are_not_missing(
    indexer: Indexer, database: Database, library: Path
) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png"):
        draw(library / "sub" / name, (5, 255), seed=ord(name[0]))
    indexer.run([library])
    (library / "sub" / "a.png").rename(library / "sub" / "a.png.nextcloud")
    (library / "sub" / "b.png").rename(library / "sub" / ".b.png.icloud")
    hollow(library / "sub" / "c.png")
    (library / "sub" / "d.png").unlink()
    changed = [library / "sub" / name for name in ("a.png", "b.png", "c.png", "d.png")]
    indexer.update(changed)
    known = {"sub/a.png": "indexed", "sub/b.png": "indexed", "sub/c.png": "indexed", "sub/d.png": "missing"}
    assert states(database) == known
    summary = indexer.run([library])
    assert states(database) == known
    assert any("3 photos are only in the cloud" in warning for warning in summary.warnings)


def test_where_blocks_are_not_counted_a_file_without_any_is_a_file(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hollow(library / "a.png")
    monkeypatch.setattr(mounts, "counts_blocks", lambda path: False)
    discovery._counting_device.cache_clear()
    try:
        assert [one.relative_path for one in discovery.discover(library, LibrarySettings())] == ["a.png"]
    finally:
        discovery._counting_device.cache_clear()


def test_a_marked_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = draw(tmp_path / "a.png", (5, 255))
    monkeypatch.setattr(placeholders, "is_marked", lambda path, info: True)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(UnreadableError, match=r"a\.png: the file is only in the cloud; download it"):
        decode.decode(path)
