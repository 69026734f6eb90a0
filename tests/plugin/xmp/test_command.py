"""`rollcall xmp` in its own words and exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from blobs import BlobAnalyzer, draw
from rollcall import Plugin
from rollcall.commands.xmp import xmp_group
from rollcall.errors import SettingsError
from sidecars import bag, packet, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two indexed photos, one with a sidecar of another program."""
    photos = tmp_path / "photos"
    draw(photos / "a.png", (5, 0))
    draw(photos / "b.png", (30, 0))
    (photos / "a.png.xmp").write_bytes(packet(bag("dc:subject", "Beach")))
    with Plugin({"database.url": str(tmp_path / "rollcall.db")}, analyzer=BlobAnalyzer()) as plugin:
        plugin.index(photos)
    return photos


def run(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(xmp_group, [*arguments, "--database", str(folder.parent / "rollcall.db")])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_sidecars_are_written_read_shown_and_taken_back(folder: Path) -> None:
    assert "Writing sidecars is off." in run(folder, "status")
    shown = run(folder, "write", str(folder), "--dry-run")
    assert str(folder / "b.png.xmp") in shown
    assert "2 sidecars would be written" in shown
    assert sorted(os.listdir(folder)) == ["a.png", "a.png.xmp", "b.png"]
    assert "2 sidecars written, 0 unchanged" in run(folder, "write", str(folder))
    assert read(folder / "a.png.xmp").subject == ("Beach", "Children")
    found: dict[str, Any] = json.loads(run(folder, "status", "--json"))
    assert (found["sidecars"], found["written"], found["problems"]) == (2, 2, {})
    assert "0 files with news" in run(folder, "read")
    assert json.loads(run(folder, "remove", "--json"))["deleted"] == 1
    assert sorted(os.listdir(folder)) == ["a.png", "a.png.xmp", "b.png"]


def test_nothing_is_written_before_it_is_turned_on(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"name a folder, or set xmp\.write_photos"):
        run(folder, "write")
    assert "1 sidecar written, 0 unchanged" in run(folder, "write", "--set", "xmp.write_tags=People/Chi*,Work")
    assert read(folder / "a.png.xmp").tags_list == ("People/Children",)
