"""`rollcall doctor`: what a bug report needs, whatever is broken, and nothing personal."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from blobs import BlobAnalyzer, draw
from rollcall.cli import cli
from rollcall.host import Plugin, diagnostics, machine
from rollcall.inference import devices
from rollcall.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home" / "josephine"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("ROLLCALL_CACHE__FOLDER", str(folder / "cache"))
    return folder


@pytest.fixture
def database(home: Path) -> Path:
    draw(home / "Secret Holidays" / "me.png", (30, 255))
    (home / "Secret Holidays" / "broken.jpg").write_bytes(b"x")
    plugin = Plugin({"database.url": f"sqlite:///{home / 'x.db'}"}, analyzer=BlobAnalyzer())
    plugin.start()
    plugin.index(home / "Secret Holidays")
    plugin.stop()
    return home / "x.db"


def report_of(database: Path, *options: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["doctor", "--json", "-d", str(database), *options])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_report_has_what_matters_and_nothing_personal(home: Path, database: Path) -> None:
    report = report_of(database, "--set", "detector.min_face=33")
    assert list(report) == [
        *("machine", "packages", "decoders", "devices", "cache", "database", "watching", "settings")
    ]
    assert not [values for values in report.values() if isinstance(values, dict) and "trouble" in values]
    assert report["decoders"][".jpg"] == report["decoders"][".png"] == "works"
    assert report["devices"] and "not start" not in report["devices"][0]
    assert report["database"]["photos by state"] == {"failed": 1, "indexed": 1}
    assert report["database"]["damage"] == "none" and report["database"]["write-ahead log"] is True
    assert report["database"]["revision"] == report["database"]["newest revision"]
    assert [backup["sound"] for backup in report["database"]["backups"]] == [True]
    assert report["settings"]["detector.min_face"] == 33
    assert report["database"]["url"] == "sqlite:///~/x.db"
    text = json.dumps(report)
    for personal in ("josephine", "Secret", "me.png", "broken.jpg"):
        assert personal not in text


def test_it_reads_as_a_page(database: Path) -> None:
    done = CliRunner().invoke(cli, ["doctor", "-d", str(database)])
    assert done.exit_code == 0
    assert "Machine\n  system: " in done.stdout and "\n  .png: works\n" in done.stdout
    assert all(len(line) < 400 for line in done.stdout.splitlines())
    assert "{" not in done.stdout


def test_a_damaged_database_is_reported(home: Path, database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[4096 : 3 * 4096] = bytes(2 * 4096)
    database.write_bytes(data)
    report = report_of(database)
    assert report["database"]["damage"] != "none" or "trouble" in report["database"]
    database.write_bytes(b"no database" * 1000)
    assert "not a database" in report_of(database)["database"]["damage"]


def test_nothing_is_made_or_changed(home: Path, database: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if "cache" not in path.parts}
    report_of(database)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*") if "cache" not in path.parts} == before
    missing = report_of(home / "nowhere" / "none.db")
    assert missing["database"]["file"] == "there is none yet"
    assert not (home / "nowhere").exists()


def test_a_database_in_use_is_read_as_it_is(home: Path, database: Path) -> None:
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("INSERT INTO meta (key, value) VALUES ('x', 'y')")
    assert report_of(database)["database"]["rows"]["photos"] == 2
    other.close()


def test_what_breaks_stands_in_the_report(home: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("no such thing")

    monkeypatch.setattr(machine, "system", broken)
    monkeypatch.setattr(machine, "watches", broken)
    monkeypatch.setattr(devices, "describe", lambda: ["none"])
    report = report_of(database)
    assert report["machine"] == {"trouble": "OSError: no such thing"}
    assert report["database"]["damage"] == "none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/jo/photos/a", "<library 1>/a"),
        ("/home/jo/x", "~/x"),
        ("/home/john/x", "/home/john/x"),
        ("sqlite:////home/jo", "sqlite:///~"),
        ("/mnt/photos2/b", "/mnt/photos2/b"),
        ("/media/jo/disk", "/media/<user>/disk"),
    ],
)
def test_paths_are_shortened(monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/jo")
    names = diagnostics.shortened_names(["/home/jo/photos", "/mnt/photos"])
    assert diagnostics.shorten({"a": [text]}, names) == {"a": [expected]}


def test_only_changed_settings_are_shown() -> None:
    assert diagnostics.changed(Settings()) == {}
