"""All that is SQLite's own: pragmas, functions, backup copies. Nothing outside this module knows of it."""

from __future__ import annotations

import glob
import sqlite3
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, event

from rollcall import ages

#: How long a writer waits for another before it gives up, in milliseconds.
BUSY_MS = 60_000


def prepare(engine: Engine, read_only: bool) -> None:
    """Make every connection of an SQLite engine safe to read while another process writes."""

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own idea of when a transaction begins would leave DDL and reads outside of it.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode a crash of the machine can lose the last transactions, never the database.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA mmap_size = 268435456")
        connection.create_function("age_mass", 3, age_mass, deterministic=True)
        connection.create_function("age_share", 4, age_share, deterministic=True)
        connection.create_function("least_of", -1, least_of, deterministic=True)
        connection.create_aggregate("at_least", 2, AtLeast)  # type: ignore[arg-type]
        connection.create_aggregate("all_of", 1, AllOf)  # type: ignore[arg-type]

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A writer takes the lock at once: a reader that turns into a writer may not wait for it.
        immediate = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def age_mass(distribution: bytes | None, low: int, high: int) -> float | None:
    """Return the probability of an age from `low` to `high` of a stored distribution (SQL function)."""
    if distribution is None:
        return None
    low, high = min(max(int(low), 0), ages.AGES), min(int(high), ages.OLDEST)
    # For a few numbers NumPy takes ten times as long, and this is asked of every face.
    return float(min(sum(struct.unpack_from(f"<{max(high - low + 1, 0)}e", distribution, 2 * low)), 1.0))


def age_share(said_low: float, said_high: float, low: int, high: int) -> float:
    """Return the probability of an age from `low` to `high` where a person gave a range (SQL function)."""
    top = max(high, said_high) if high >= ages.OLDEST else high
    return max(min(said_high, top) - max(said_low, low) + 1, 0) / (said_high - said_low + 1)


def least_of(*values: float) -> float:
    """Return the smallest of some values (SQL function; MIN with one argument is another thing)."""
    return min(values)


class AtLeast:
    """SQL aggregate: the probability that at least `count` of the rows' independent events happen."""

    def __init__(self) -> None:
        self.count = 1
        self.chances: list[float] = []

    def step(self, count: int, chance: float | None) -> None:
        """Take one row's probability."""
        self.count = count
        self.chances.append(chance or 0.0)

    def finalize(self) -> float:
        """Return the probability."""
        if self.count > len(self.chances):
            return 0.0
        if self.count == 1:
            return ages.any_of(self.chances)
        return float(ages.at_least(self.chances)[self.count - 1])


class AllOf:
    """SQL aggregate: the probability that the events of all rows happen; null for no rows."""

    def __init__(self) -> None:
        self.result: float | None = None

    def step(self, chance: float | None) -> None:
        """Take one row's probability."""
        self.result = (1.0 if self.result is None else self.result) * (chance or 0.0)

    def finalize(self) -> float | None:
        """Return the product."""
        return self.result


def set_alike(connection: sqlite3.Connection, found: Mapping[int, Mapping[int, float]]) -> None:
    """Let SQL on this connection know which photos show someone like which faces: alike(face, photo)."""

    def alike(face_id: int, photo_id: int) -> float:
        return found.get(face_id, {}).get(photo_id, 0.0)

    connection.create_function("alike", 2, alike)


def file_of(url: URL) -> Path | None:
    """Return the database's file, or None for one in memory."""
    return Path(url.database) if url.database and url.database != ":memory:" else None


def overwrite_deleted(connection: sqlite3.Connection) -> None:
    """Let whatever this connection deletes be overwritten with zeros."""
    connection.execute("PRAGMA secure_delete = ON")


def scrub(connection: sqlite3.Connection, wait: float) -> bool:
    """Write the database's file anew and empty its journal; False if readers of an older state keep the journal.

    Rows that were deleted earlier, without being overwritten, go with the old pages.
    """
    connection.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
    try:
        connection.execute("VACUUM")
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")


def is_at_rest(file: Path) -> bool:
    """Say whether nobody has a database open, so that all of it is in its one file."""
    return not any(file.with_name(f"{file.name}{suffix}").exists() for suffix in ("-wal", "-shm"))


def connect_at_rest(file: Path) -> sqlite3.Connection:
    """Open a database where nothing can be written, such as a read-only medium: without a journal beside it."""
    return sqlite3.connect(f"{file.resolve().as_uri()}?immutable=1", uri=True, check_same_thread=False)


def copies(file: Path) -> list[Path]:
    """Return the files beside a database that hold copies of parts of it: backups, and what came with them."""
    return sorted(file.parent.glob(f"{glob.escape(file.name)}.*.backup*"))


def back_up(file: Path, keep: int) -> Path:
    """Copy a database in use to a file beside it, and keep only the newest `keep` of such copies."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    target = file.with_name(f"{file.name}.{stamp}.backup")
    with sqlite3.connect(file) as source, sqlite3.connect(target) as copy:
        source.backup(copy)
    source.close()
    copy.close()
    for old in sorted(file.parent.glob(f"{glob.escape(file.name)}.*.backup"))[:-keep]:
        old.unlink(missing_ok=True)
    return target
