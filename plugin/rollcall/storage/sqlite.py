"""The SQLite dialect: pragmas, backup copies, rewriting the file. Nothing outside this module depends on them."""

from __future__ import annotations

import glob
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, event

from rollcall.storage import failures, mounts, private

#: How long a writer waits for another before it gives up, in milliseconds.
BUSY_MS = 60_000
#: How much of the file is mapped into memory, in bytes.
_MAPPED = 1 << 28
#: How large the index of a write-ahead log is at least while a process has the database open, in bytes.
_INDEX_PAGE = 1 << 15


def prepare(engine: Engine, read_only: bool) -> None:
    """Make every connection of an SQLite engine able to read while another process writes, on a local disk."""
    file = file_of(engine.url)

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver begins transactions late: DDL and reads would be outside of them.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            _choose_log(connection, file)
        # In WAL mode a crash of the machine can lose the last transactions, never the database.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute(f"PRAGMA mmap_size = {_MAPPED}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A writer takes the lock at once: SQLite fails a reader that becomes a writer instead of letting it wait.
        immediate = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _choose_log(connection: sqlite3.Connection, file: Path | None) -> None:
    """Choose WAL, except on network mounts: it needs memory that all processes share, which machines do not.

    With the rollback journal, writers wait for readers.
    """
    if file is None or not mounts.is_remote(file.parent.resolve()):
        connection.execute("PRAGMA journal_mode = WAL")
        return
    with suppress(sqlite3.OperationalError):  # in use, still with WAL, by a process of an older version
        connection.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def unmapped(connection: Connection) -> Iterator[None]:
    """Read without mapping the file into memory meanwhile: of what is read once, nothing is to stay there."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA mmap_size = 0")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA mmap_size = {_MAPPED}")


def file_of(url: URL) -> Path | None:
    """Return the database's file, or None for one in memory."""
    return Path(url.database) if url.database and url.database != ":memory:" else None


def overwrite_deleted(connection: sqlite3.Connection) -> None:
    """Make this connection overwrite what it deletes with zeros."""
    connection.execute("PRAGMA secure_delete = ON")


def scrub(connection: sqlite3.Connection, wait: float) -> bool:
    """Rewrite the database's file and truncate its write-ahead log.

    Rows that were deleted earlier, without being overwritten, go with the old pages. Returns False if readers of an
    older state still need the log after `wait` seconds.
    """
    connection.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
    try:
        connection.execute("VACUUM")
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")


def empty_log(file: Path) -> None:
    """Move what a database's write-ahead log holds into its file, as far as others let it."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def is_open_elsewhere(file: Path, wait: float = 1.0) -> bool:
    """Return whether somebody else has a database open; False where that cannot be told: without a write-ahead log.

    Only who has it alone can leave that log, which the next to open it chooses again. What it holds goes into the file.
    """
    with closing(sqlite3.connect(file, timeout=wait, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        except sqlite3.DatabaseError:  # too damaged for anybody
            return False
    return False


def is_at_rest(file: Path) -> bool:
    """Return whether no process has a database open, so that its file is complete without a write-ahead log.

    What a process leaves that could not open it, for want of room, is an empty log and less than one page of its index.
    """
    return _size(file, "-wal") == 0 and _size(file, "-shm") < _INDEX_PAGE


def _size(file: Path, suffix: str) -> int:
    """Return the size of a file beside a database, in bytes, 0 where there is none."""
    try:
        return file.with_name(f"{file.name}{suffix}").stat().st_size
    except FileNotFoundError:
        return 0


def connect_at_rest(file: Path) -> sqlite3.Connection:
    """Open a database where nothing can be written, such as on a read-only medium, without files beside it."""
    return sqlite3.connect(f"{file.resolve().as_uri()}?immutable=1", uri=True, check_same_thread=False)


def _to_be_read(file: Path) -> sqlite3.Connection:
    """Open a database that is only read; from a full disk, where nothing can be written beside it, too."""
    return connect_at_rest(file) if is_at_rest(file) and failures.is_full(file.parent) else sqlite3.connect(file)


def copies(file: Path) -> list[Path]:
    """Return the files beside a database that hold copies of parts of it: its backups and their own files."""
    return sorted(file.parent.glob(f"{glob.escape(file.name)}.*.backup*"))


def copy(file: Path, target: Path) -> None:
    """Copy a database in use to another file: SQLite's online backup."""
    # Who may not read the database may not read its copies either.
    private.create(target, stat.S_IMODE(file.stat().st_mode))
    try:
        with closing(_to_be_read(file)) as source, closing(sqlite3.connect(target)) as destination:
            source.backup(destination)
    except BaseException:
        # Half a copy is none, and must not be taken for one.
        with suppress(OSError):
            target.unlink(missing_ok=True)
        raise


def back_up(file: Path, keep: int) -> Path:
    """Copy a database in use to a file beside it; delete all but the `keep` newest of such copies."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    target = file.with_name(f"{file.name}.{stamp}.backup")
    copy(file, target)
    made = sorted(file.parent.glob(f"{glob.escape(file.name)}.*.backup"))
    for old in [copy for copy in made if not copy.name.endswith(".daily.backup")][:-keep]:
        old.unlink(missing_ok=True)
    return target
