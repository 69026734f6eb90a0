"""Whether something was committed since: cheap to ask, so that answers can be kept for as long as they hold."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path


class Commits:
    """Tells one state of an SQLite file from another. May be used from any thread.

    SQLite counts the commits of all other connections, also those of other processes, for each connection. The one here
    writes nothing, so it counts all of them.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def state(self) -> int | None:
        """Return a number that is another one after each commit; None if the file cannot be read at present."""
        with self._lock:
            try:
                if self._connection is None:
                    address = f"{self._file.resolve().as_uri()}?mode=ro"
                    self._connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
                return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error:
                return None

    def close(self) -> None:
        """Close the connection; the next question opens another one, whose numbers have nothing to do with these."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
