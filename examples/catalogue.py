"""A photo manager that never imports Rollcall: it keeps a catalogue of its own in step by reading the views.

Python's sqlite3 is all it needs, and the database may be written to meanwhile.

Usage: python examples/catalogue.py DATABASE CATALOGUE        keep the catalogue's tags in step, once
       python examples/catalogue.py DATABASE --tag TAG        page through the photos of a tag, newest first
       python examples/catalogue.py DATABASE --group children page through photos, the most probable first
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Iterator
from pathlib import Path

PAGE = 100

BY_TAG = """
SELECT t.photo_id, p.full_path, t.probability
FROM v1_tags t JOIN v1_photos p ON p.photo_id = t.photo_id
WHERE t.tag = :tag AND t.state = 'applied' AND t.photo_id > :after
ORDER BY t.photo_id LIMIT :size
"""

#: CROSS JOIN fixes the order of SQLite's loops: through the dates where most photos have the tag, else through the
#: tag's photos, which are then sorted.
MANY = "v1_photos p CROSS JOIN v1_tags t ON t.photo_id = p.photo_id"
FEW = "v1_tags t CROSS JOIN v1_photos p ON p.photo_id = t.photo_id"
IS_FEW = 3_000

COUNT = "SELECT COUNT(*) FROM (SELECT 1 FROM v1_tags WHERE tag = :tag AND state = 'applied' LIMIT :few)"

NEWEST = """
SELECT p.photo_id, p.full_path, p.taken_local
FROM {source}
WHERE (p.taken_local, p.photo_id) < (:taken, :before) AND t.tag = :tag AND t.state = 'applied'
ORDER BY p.taken_local DESC, p.photo_id DESC LIMIT :size
"""

UNDATED = """
SELECT p.photo_id, p.full_path, NULL
FROM {source}
WHERE p.taken_local IS NULL AND p.photo_id < :before AND t.tag = :tag AND t.state = 'applied'
ORDER BY p.photo_id DESC LIMIT :size
"""

LIKELIEST = """
SELECT g.photo_id, p.full_path, g.probability
FROM v1_groups g JOIN v1_photos p ON p.photo_id = g.photo_id
WHERE g.name = :name AND g.at_least = 1 AND g.probability >= :least
  AND g.probability <= :probability AND (g.probability < :probability OR g.photo_id > :after)
ORDER BY g.probability DESC, g.photo_id LIMIT :size
"""

CHANGES = "SELECT event_id, kind, photo_id FROM v1_events WHERE event_id > :cursor ORDER BY event_id LIMIT 10000"

Row = tuple[int, str, object]


def connect(database: Path) -> sqlite3.Connection:
    """Open the database for reading; a reader never waits for the writer, and never keeps it waiting."""
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)


def pages(connection: sqlite3.Connection, tag: str, size: int = PAGE) -> Iterator[list[Row]]:
    """Yield the photos of a tag in pages, each behind the last photo of the page before."""
    after = 0
    while page := connection.execute(BY_TAG, {"tag": tag, "after": after, "size": size}).fetchall():
        yield page
        after = page[-1][0]


def newest(connection: sqlite3.Connection, tag: str, size: int = PAGE) -> Iterator[list[Row]]:
    """Yield the photos of a tag in pages, the newest first; those without a date come last."""
    (count,) = connection.execute(COUNT, {"tag": tag, "few": IS_FEW}).fetchone()
    source = FEW if count < IS_FEW else MANY
    for query in (NEWEST.format(source=source), UNDATED.format(source=source)):
        values: dict[str, object] = {"tag": tag, "taken": "~", "before": 2**62, "size": size}
        while page := connection.execute(query, values).fetchall():
            yield page
            values["before"], _, values["taken"] = page[-1]


def likeliest(connection: sqlite3.Connection, name: str, least: float = 0.5, size: int = PAGE) -> Iterator[list[Row]]:
    """Yield the photos that show someone of a group in pages, the most probable first."""
    probability, after = 1.0, 0
    values = {"name": name, "least": least, "size": size}
    while page := connection.execute(LIKELIEST, values | {"probability": probability, "after": after}).fetchall():
        yield page
        after, _, probability = page[-1]


class Catalogue:
    """The host's own list of photos and their tags, and how far it has followed Rollcall's events."""

    def __init__(self, file: Path) -> None:
        self.own = sqlite3.connect(file)
        self.own.executescript(
            """
            CREATE TABLE IF NOT EXISTS cursor (event_id INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS photos (photo_id INTEGER PRIMARY KEY, path TEXT NOT NULL, state TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS tags (photo_id INTEGER, tag TEXT, PRIMARY KEY (photo_id, tag));
            """
        )

    def follow(self, connection: sqlite3.Connection) -> int:
        """Take over what changed since the last call; return how many photos were read."""
        row = self.own.execute("SELECT event_id FROM cursor").fetchone()
        cursor = row[0] if row else -1
        read = 0
        # One transaction: events and photos are of one state, whatever is written meanwhile.
        connection.execute("BEGIN")
        try:
            oldest, last = connection.execute("SELECT MIN(event_id), MAX(event_id) FROM v1_events").fetchone()
            if cursor < 0 or (oldest is not None and oldest > cursor + 1):
                # The first time, or after so long that events were dropped: everything is read.
                self.own.execute("DELETE FROM photos")
                self.own.execute("DELETE FROM tags")
                ids = [photo_id for (photo_id,) in connection.execute("SELECT photo_id FROM v1_photos")]
                read += self._take(connection, ids)
                cursor = last or 0
            while changes := connection.execute(CHANGES, {"cursor": cursor}).fetchall():
                read += self._take(connection, sorted({photo for _, _, photo in changes if photo is not None}))
                cursor = changes[-1][0]
        finally:
            connection.execute("COMMIT")
        self.own.execute("DELETE FROM cursor")
        self.own.execute("INSERT INTO cursor VALUES (?)", (cursor,))
        self.own.commit()
        return read

    def _take(self, connection: sqlite3.Connection, photo_ids: list[int]) -> int:
        for start in range(0, len(photo_ids), 500):
            part = photo_ids[start : start + 500]
            marks = ",".join("?" * len(part))
            self.own.execute(f"DELETE FROM photos WHERE photo_id IN ({marks})", part)
            self.own.execute(f"DELETE FROM tags WHERE photo_id IN ({marks})", part)
            # An erased photo has no rows in the views, and so gets none in the catalogue.
            self.own.executemany(
                "INSERT INTO photos VALUES (?, ?, ?)",
                connection.execute(
                    f"SELECT photo_id, full_path, state FROM v1_photos WHERE photo_id IN ({marks})", part
                ).fetchall(),
            )
            self.own.executemany(
                "INSERT INTO tags VALUES (?, ?)",
                connection.execute(
                    f"SELECT photo_id, tag FROM v1_tags WHERE state = 'applied' AND photo_id IN ({marks})", part
                ).fetchall(),
            )
        return len(photo_ids)


def main() -> None:
    """Follow the events, page through photos, or both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("catalogue", type=Path, nargs="?")
    parser.add_argument("--tag")
    parser.add_argument("--group")
    given = parser.parse_args()
    connection = connect(given.database)
    if given.catalogue is not None:
        print(f"{Catalogue(given.catalogue).follow(connection)} photos read")
    found = newest(connection, given.tag) if given.tag else iter(())
    found = likeliest(connection, given.group) if given.group else found
    for number, page in enumerate(found, 1):
        print(f"page {number}")
        for _, path, why in page:
            print(f"  {path}  {why}")


if __name__ == "__main__":
    main()
