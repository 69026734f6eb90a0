"""All that is written beside a database, in the cache and as an export is for its owner alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.bridges.lychee.store import LycheeStore, StoredFace, store_file
from rollcall.corrections import transfer
from rollcall.errors import UnreadableError
from rollcall.host import Plugin
from rollcall.inference import devices
from rollcall.media import annotate
from rollcall.search.columns import library as columns
from rollcall.storage import backups
from rollcall.storage.private import lock_beside


@pytest.fixture(autouse=True)
def _others_may_read() -> Iterator[None]:
    """Give files that say nothing else the permissions that most systems give."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the permissions of all files below a folder."""
    return {
        str(one.relative_to(folder)): stat.S_IMODE(one.stat().st_mode) for one in folder.rglob("*") if one.is_file()
    }


def test_the_folder_of_programs_that_are_run_is_closed_whatever_the_umask(tmp_path: Path) -> None:
    os.umask(0)
    folder = devices.usable(tmp_path / "cache" / "compiled")
    assert folder is not None
    assert {stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)} == {0o700}


def test_every_file_that_is_written_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "SMALLEST", 1)  # so that columns are stored of few photos
    photos = tmp_path / "photos"
    draw(photos / "child.png", (5, 0))
    draw(photos / "woman.png", (40, 255), (41, 0), seed=1)
    written = tmp_path / "written"
    file = written / "data" / "all.db"
    plugin = Plugin(
        {"database.url": f"sqlite:///{file}", "cache.folder": str(written / "cache")}, analyzer=BlobAnalyzer()
    )
    plugin.start()
    plugin.index([photos])
    (photo,) = (hit.photo_id for hit in plugin.search("photos of children"))
    plugin.correct(corrections.tag(photo, "Seen", True))
    plugin.search("people aged 20 to 30")
    plugin.search("similar:face:1")
    out = written / "out"
    out.mkdir()
    plugin.backup(out / "copy.db")
    transfer.write_file(plugin.export_corrections(), out / "corrections.jsonl")
    album = plugin.save_album("Children", "photos of children")
    plugin.export_album(album.album_id, out / "children.zip")
    annotate.save(Image.new("RGB", (9, 9)), out / "faces.png")
    lychee = LycheeStore(store_file(file), "blobs-1")
    lychee.replace_photo("1", [StoredFace("a", "1", np.ones(4, np.float32) / 2, 1.0)])
    with lock_beside(file, "bridge"):
        found = modes(written)
    lychee.close()
    plugin.stop()
    backups.restore(file)
    found |= modes(written)
    names = " ".join(found)
    parts = (".bridge.lock", ".jsonl", "0.segment", ".vectors", ".zip", ".png", ".backup", ".lychee-wal", "db.lock")
    for part in parts:
        assert part in names
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}


def test_a_lock_that_was_left_to_all_is_closed_and_one_of_a_group_is_the_groups(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.touch(mode=0o600)
    (tmp_path / "a.db.lock").touch(mode=0o644)
    with lock_beside(file):
        assert modes(tmp_path)["a.db.lock"] == 0o600
    file.chmod(0o660)
    (tmp_path / "a.db.lock").unlink()
    with lock_beside(file):
        assert modes(tmp_path)["a.db.lock"] == 0o660


def test_a_picture_of_an_unknown_kind_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="unknown file extension"):
        annotate.save(Image.new("RGB", (9, 9)), tmp_path / "faces.xyz")
    assert modes(tmp_path) == {}
