"""All that is SQLite's own: pragmas, functions, backup copies. Nothing outside this module knows of it."""

from __future__ import annotations

import math
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
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
        connection.create_function("ln_1m", 1, ln_complement, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A writer takes the lock at once: a reader that turns into a writer may not wait for it.
        immediate = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def age_mass(distribution: bytes | None, low: int, high: int) -> float | None:
    """Return the probability of an age from `low` to `high` of a stored distribution (SQL function)."""
    if distribution is None:
        return None
    return float(ages.mass(np.frombuffer(distribution, "<f2").astype(np.float32), int(low), int(high)))


def ln_complement(probability: float | None) -> float:
    """Return ln(1 - p), bounded, so that products of complements become sums (SQL function)."""
    return math.log(max(1.0 - (probability or 0.0), 1e-12))


def file_of(url: URL) -> Path | None:
    """Return the database's file, or None for one in memory."""
    return Path(url.database) if url.database and url.database != ":memory:" else None


def back_up(file: Path, keep: int) -> Path:
    """Copy a database in use to a file beside it, and keep only the newest `keep` of such copies."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    target = file.with_name(f"{file.name}.{stamp}.backup")
    with sqlite3.connect(file) as source, sqlite3.connect(target) as copy:
        source.backup(copy)
    source.close()
    copy.close()
    for old in sorted(file.parent.glob(f"{file.name}.*.backup"))[:-keep]:
        old.unlink(missing_ok=True)
    return target
