"""A library of millions of faces in SQLite and in PostgreSQL: bytes, searches, nearest faces, corrections.

The rows are drawn at random by benchmarks/rows.py into an SQLite file, and copied to the server as they are. Times of
searches are those that a caller waits; the processor's time of the server and EXPLAIN ANALYZE's are given beside them,
which other work on the machine disturbs less.

    python benchmarks/scale.py [--faces 1000000] [--folder FOLDER] [--postgresql URL] [--runs 15] [--out FOLDER]

The server's database has to be empty, or one that this program filled.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import measuring
import rows
from sqlalchemy import JSON, Boolean, Table, text

from rollcall import Plugin, corrections
from rollcall.storage import pgvector
from rollcall.storage.bulk import copy_rows
from rollcall.storage.database import Database, open_database
from rollcall.storage.tables import EmbeddingRow, FaceRow, PhotoGroupRow, PhotoRow, PredictionRow, RootRow, TagRow

COPIED = (RootRow, PhotoRow, FaceRow, PredictionRow, EmbeddingRow, PhotoGroupRow, TagRow)
CHILDREN = (
    "SELECT d.photo_id, p.full_path, d.probability FROM photo_groups d JOIN v1_photos p ON p.photo_id = d.photo_id"
    " WHERE d.name = 'children' AND d.at_least = 1 AND d.probability >= 0.05"
    " AND COALESCE(p.state, '') IN ('indexed', 'pending') AND p.faces IS NOT NULL"
    " ORDER BY probability DESC, photo_id LIMIT 100"
)


def copied(file: Path, url: str) -> Database:
    """Return a server's database with the rows of an SQLite file, copied unless they are there already."""
    database = open_database(url)
    with database.read() as session:
        if session.scalar(text("SELECT 1 FROM photos LIMIT 1")):
            return database
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source:
        for model in COPIED:
            table = model.__table__
            assert isinstance(table, Table)
            began = time.perf_counter()
            with database.write() as session:
                copy_rows(session.connection(), table, _rows(source, table))
                if "id" in table.columns:
                    session.execute(
                        text(
                            f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'),"
                            f" (SELECT MAX(id) FROM {table.name}))"
                        )
                    )
            print(f"  {table.name}: copied in {time.perf_counter() - began:.0f} s", flush=True)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    return database


def _rows(source: sqlite3.Connection, table: Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table of SQLite's as values of Python."""
    names = [column.name for column in table.columns]
    flags = [column.name for column in table.columns if isinstance(column.type, Boolean)]
    texts = [column.name for column in table.columns if isinstance(column.type, JSON)]
    for row in source.execute(f"SELECT {', '.join(names)} FROM {table.name}"):
        found = dict(zip(names, row, strict=True))
        found |= {name: bool(found[name]) for name in flags} | {name: json.loads(found[name]) for name in texts}
        yield found


def size(database: Database) -> int:
    """Return how many bytes a database takes, with its indexes."""
    if database.file is not None:
        return database.file.stat().st_size
    with database.read() as session:
        return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def explained(database: Database) -> float | None:
    """Return the milliseconds that the server takes for the photos of children; None for SQLite."""
    if database.is_sqlite:
        return None
    with database.read() as session:
        lines = [row[0] for row in session.execute(text(f"EXPLAIN ANALYZE {CHILDREN}"))]
    return next(float(line.split()[2]) for line in lines if line.startswith("Execution Time"))


def measure(name: str, plugin: Plugin, faces: int, runs: int) -> list[measuring.Line]:
    """Return what one database does."""
    corrected = iter(range(7, 10**9, 13))
    works: dict[str, Callable[[], object]] = {
        "photos of children": lambda: plugin.search("photos of children", limit=100),
        "women over 60 in 2012": lambda: plugin.search("women over 60 in 2012", limit=100),
        "24 nearest faces": lambda: plugin.similar(5, limit=24),
        "similar:face:5": lambda: plugin.search("similar:face:5", limit=100),
        "a correction": lambda: plugin.correct(corrections.age(next(corrected), 7)),
    }
    lines = []
    for work, done in works.items():
        times = measuring.seconds(done, runs)
        began = time.process_time()
        done()
        note = f"{1000 * (time.process_time() - began):.0f} ms of this process"
        lines.append(
            measuring.Line(f"{name}, {faces:,}: {work}", tuple(1000 * one for one in times), "milliseconds", note)
        )
    found = explained(plugin.database)
    if found is not None:
        lines.append(
            measuring.Line(f"{name}, {faces:,}: photos of children, EXPLAIN ANALYZE", (found,), "milliseconds")
        )
    lines.append(measuring.Line(f"{name}, {faces:,}: the database", (size(plugin.database) / faces,), "bytes a face"))
    return lines


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--postgresql", help="the URL of a database on a server; without it SQLite alone is measured")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="Keep the file here, and use one that is there.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where, lines = measuring.machine(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{given.faces}.db"
        rows.fill(file, given.faces).close()
        kinds = {"SQLite": f"sqlite:///{file}"}
        if given.postgresql:
            copied(file, given.postgresql).close()
            kinds["PostgreSQL"] = given.postgresql
        for name, url in kinds.items():
            with Plugin({"database.url": url, "cache.folder": str(folder / "cache")}) as plugin:
                began = time.perf_counter()
                if pgvector.prepare(plugin.database):
                    seconds = (time.perf_counter() - began,)
                    lines.append(
                        measuring.Line(f"{name}, {given.faces:,}: vectors and their index", seconds, "seconds")
                    )
                lines += measure(name, plugin, given.faces, given.runs)
    measuring.report("Many faces", "rows drawn at random by benchmarks/rows.py", lines, given.out, "scale", where)


if __name__ == "__main__":
    main()
