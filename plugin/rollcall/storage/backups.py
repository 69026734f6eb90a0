"""Backups of an SQLite database: one a day, kept beside it, and restored when the database is damaged.

Predictions can be made again from the photos; corrections cannot.
"""

from __future__ import annotations

import glob
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import Timeout

from rollcall.errors import BusyError, StoreError
from rollcall.storage import failures, parts, private, sqlite

_DAY_SECONDS: Final = 24 * 3600.0
_SUFFIX: Final = ".daily.backup"


def make_daily(file: Path, keep: int) -> Path | None:
    """Copy a database in use, unless the newest copy is younger than a day; keep the newest `keep` copies.

    Returns the copy, None if none was due.

    Raises
    ------
    OSError, sqlite3.Error
        If it cannot be written.
    """
    found = _daily(file)
    if keep < 1 or (found and time.time() - found[-1].stat().st_mtime < _DAY_SECONDS):
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = file.with_name(f"{file.name}.{stamp}{_SUFFIX}")
    with parts.completed(target) as part:
        sqlite.copy(file, part)
    for old in _daily(file)[:-keep]:
        old.unlink(missing_ok=True)
    return target


def _daily(file: Path) -> list[Path]:
    return sorted(file.parent.glob(f"{glob.escape(file.name)}.*{_SUFFIX}"))


def newest_first(file: Path) -> list[Path]:
    """Return all backups beside a database, daily ones and those made before migrations, the newest first."""
    found = file.parent.glob(f"{glob.escape(file.name)}.*.backup")
    return sorted(found, key=lambda backup: backup.stat().st_mtime, reverse=True)


def is_sound(file: Path) -> bool:
    """Return whether a file is an SQLite database that holds something, without damage that SQLite can find."""
    try:
        # Nobody writes to a copy, and reading it must not make files beside it.
        how = "immutable=1&mode=ro" if sqlite.is_at_rest(file) else "mode=ro"
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?{how}", uri=True)) as connection:
            # To SQLite an empty file is a database, too: what a copy leaves that found the disk full.
            (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            return bool(tables and connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except (sqlite3.Error, OSError):
        return False


def restore(file: Path, backup: Path | None = None) -> tuple[Path, Path | None]:
    """Put a backup in the place of a database; what was there is kept under another name.

    Parameters
    ----------
    backup
        The newest sound one beside the database if None.

    Returns
    -------
    The backup that was used, and where the former database lies now (None if there was none).

    Raises
    ------
    BusyError
        If another process indexes into the database, or has it open.
    StoreError
        If there is no sound backup, or the files cannot be written.
    """
    candidates = newest_first(file) if backup is None else [backup]
    chosen = next((one for one in candidates if is_sound(one)), None)
    if chosen is None:
        if backup is not None:
            raise StoreError(str(file), f"{backup} is not a sound backup; name another one, nothing was changed")
        raise StoreError(
            str(file),
            "no backup of it is there, or none is sound; index the folders anew and import the corrections that you"
            " exported",
        )
    try:
        with private.lock_beside(file, timeout=0):
            if file.exists() and sqlite.is_open_elsewhere(file):
                # What it writes from now on would go into the former database, and be lost with it.
                raise BusyError(
                    str(file),
                    "another program has this database open, such as `rollcall serve`, a watcher or a photo manager;"
                    " stop it, restore, and start it again",
                    "another process",
                )
            return chosen, _replace(file, chosen)
    except Timeout as error:
        raise BusyError(
            str(file), "another Rollcall is indexing into this database; stop it first", "another process"
        ) from error
    except (OSError, sqlite3.Error) as error:
        reason = failures.reason(str(error), file)
        raise StoreError(str(file), f"the backup cannot be put in its place: {reason}") from error


def _replace(file: Path, backup: Path) -> Path | None:
    file.with_name(f"{file.name}.part").unlink(missing_ok=True)
    with parts.completed(file) as part, _marked(file):
        sqlite.copy(backup, part)
        former = None
        if file.exists():
            # A kill between the two must not leave a sound database without what stands in its log alone.
            if is_sound(file):
                sqlite.empty_log(file)
            former = file.with_name(f"{file.name}.{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%fZ')}.damaged")
            # It stays in its place until the backup takes it: a kill in between must not leave a library without
            # database.
            _keep_as(file, former)
        # A log of the former database must never be applied to the restored one; it stays with what it belongs to.
        for suffix in ("-wal", "-shm"):
            wal = file.with_name(file.name + suffix)
            if wal.exists():
                if former is not None:
                    wal.replace(former.with_name(former.name + suffix))
                else:
                    wal.unlink()
    return former


def replaced_at(file: Path) -> int:
    """Return when a backup last took a database's place, as `os.stat` gives it; 0 if never.

    Who has the database open since before writes into the former one. Where SQLite cannot tell `restore` that somebody
    has, as with the journal that network mounts get, this tells who has it open.
    """
    try:
        return _mark_of(file).stat().st_mtime_ns
    except OSError:
        return 0


def _mark_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.restored")


@contextmanager
def _marked(file: Path) -> Iterator[None]:
    """Change what `replaced_at` returns, before and after: who opens the database in between may have the former."""
    mark = _mark_of(file)
    private.create(mark)
    try:
        _touch(mark)
        yield
    finally:
        _touch(mark)


def _touch(mark: Path) -> None:
    with suppress(OSError):
        now = max(time.time_ns(), mark.stat().st_mtime_ns + 1_000_000)
        os.utime(mark, ns=(now, now))


def _keep_as(file: Path, name: Path) -> None:
    """Give a file a second name; a copy where the file system has no links."""
    try:
        os.link(file, name)
    except OSError:
        with parts.completed(name) as part:
            shutil.copy2(file, part)
