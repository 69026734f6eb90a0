"""A file with several names, by hard links or by links, is one photo."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from blobs import draw
from rollcall.indexing.indexer import Indexer
from rollcall.storage.database import Database

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links are made as POSIX systems have them")


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row.path: row.state for row in session.execute(text("SELECT path, state FROM v1_photos"))}


def test_a_file_with_several_names_is_one_photo_and_a_copy_another(
    indexer: Indexer, database: Database, library: Path
) -> None:
    draw(library / "b.png", (5, 255))
    (library / "sub").mkdir()
    os.link(library / "b.png", library / "sub" / "c.png")
    (library / "a.png").symlink_to("b.png")
    shutil.copy2(library / "b.png", library / "copy.png")
    summary = indexer.run([library])
    assert states(database) == {"b.png": "indexed", "copy.png": "indexed"}
    assert (summary.photos, summary.indexed, summary.skipped) == (4, 2, 2)
    assert indexer.run([library]).skipped == 4


def test_a_name_that_comes_later_is_no_other_photo(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "b.png", (5, 255))
    indexer.run([library])
    os.link(library / "b.png", library / "a.png")
    indexer.update([library / "a.png"])
    indexer.run([library])
    assert states(database) == {"b.png": "indexed"}


@pytest.mark.parametrize("watched", [False, True])
def test_when_the_known_name_is_gone_another_one_is_that_photo(
    indexer: Indexer, database: Database, library: Path, watched: bool
) -> None:
    draw(library / "a.png", (5, 255))
    os.link(library / "a.png", library / "b.png")
    indexer.run([library])
    (library / "a.png").unlink()
    if watched:
        indexer.update([library / "a.png"])
    else:
        indexer.run([library])
    assert states(database) == {"b.png": "indexed"}


def test_a_name_that_is_another_file_by_then_is_a_photo(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    os.link(library / "a.png", library / "b.png")
    indexer.run([library])
    draw(library / "b.png", (6, 255), seed=1)
    indexer.update([library / "b.png"])
    assert states(database) == {"a.png": "indexed", "b.png": "indexed"}


def test_two_names_that_the_library_knows_stay(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    draw(library / "b.png", (6, 255), seed=1)
    indexer.run([library])
    (library / "b.png").unlink()
    os.link(library / "a.png", library / "b.png")
    indexer.run([library])
    assert states(database) == {"a.png": "indexed", "b.png": "indexed"}
