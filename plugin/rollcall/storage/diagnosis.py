"""What can be said of a database without trusting it: for reports of errors."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from rollcall.storage import backups, mounts, sqlite
from rollcall.storage.database import HEAD, to_url

_COUNTED: Final = ("photos", "faces", "corrections", "tags", "embeddings", "events", "forgotten")


def describe(text_or_path: str) -> dict[str, Any]:
    """Return size, revision, rows, damage and backups of a database, as far as it can be read; nothing is changed.

    Raises
    ------
    StoreError
        If it looks like a URL and is none.
    """
    url = to_url(text_or_path)
    result: dict[str, Any] = {"url": url.render_as_string(), "newest revision": HEAD}
    file = sqlite.file_of(url) if url.get_backend_name() == "sqlite" else None
    if file is None:
        return result
    if not file.exists():
        return result | {"file": "there is none yet"}
    log = file.with_name(f"{file.name}-wal")
    result |= {
        "bytes": file.stat().st_size,
        "bytes of the write-ahead log": log.stat().st_size if log.exists() else 0,
        "write-ahead log": _has_wal(file),
        "file system": mounts.file_system(file.resolve()) or "unknown",
    }
    try:
        with closing(_opened(file)) as connection:
            result |= _content(connection)
    except sqlite3.Error as error:
        result["damage"] = f"it cannot be read ({error})"
    return result | {"backups": _backups(file)}


def _opened(file: Path) -> sqlite3.Connection:
    """Open a database for reading; where no process has it open, without making files beside it."""
    if sqlite.is_at_rest(file):
        return sqlite.connect_at_rest(file)
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)


def _content(connection: sqlite3.Connection) -> dict[str, Any]:
    found: dict[str, Any] = {"damage": _damage(connection)}
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" in tables:
        found["revision"] = next(
            (row[0] for row in connection.execute("SELECT version_num FROM alembic_version")), None
        )
    found["rows"] = {
        name: connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in _COUNTED if name in tables
    }
    if "photos" in tables:
        found["photos by state"] = dict(connection.execute("SELECT state, COUNT(*) FROM photos GROUP BY state"))
    return found


def _has_wal(file: Path) -> bool:
    """Return whether a database uses WAL, which its header says: connections that only read do not know."""
    with file.open("rb") as opened:
        return opened.read(20)[18:20] == b"\x02\x02"


def _damage(connection: sqlite3.Connection) -> str:
    """Return what SQLite finds wrong, "none" where that is nothing."""
    lines = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    return "none" if lines == ["ok"] else "; ".join(lines)


def _backups(file: Path) -> list[dict[str, Any]]:
    return [
        {"name": backup.name, "bytes": backup.stat().st_size, "sound": backups.is_sound(backup)}
        for backup in backups.newest_first(file)
    ]


def library_folders(text_or_path: str) -> list[str]:
    """Return the folders of the library; none where the database cannot be read."""
    url = to_url(text_or_path)
    file = sqlite.file_of(url) if url.get_backend_name() == "sqlite" else None
    if file is None or not file.exists():
        return []
    try:
        with closing(_opened(file)) as connection:
            return [str(row[0]) for row in connection.execute("SELECT path FROM roots ORDER BY id")]
    except sqlite3.Error:
        return []
