"""The PostgreSQL dialect: sessions, locks, and what its views say differently.

Writers take turns by an advisory lock, as they do in an SQLite file: what is projected from the log, the numbers of
revisions and the order of the change feed rely on it.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from rollcall.errors import StoreError
from rollcall.storage.private import private_file, private_folder

#: How long a statement waits for the locks of others, in milliseconds: as long as with SQLite.
BUSY_MS: Final = 60_000
#: The first key of all advisory locks, so that they meet no other program's in the same database.
_CLASS: Final = int.from_bytes(b"roll")
#: How often a lock is asked for while another process has it, in seconds.
_POLL: Final = 0.05
#: How long a lock is asked for at least, in seconds: the server needs a moment to notice that a process was killed.
_PATIENCE: Final = 0.5
#: After so many seconds without a sign of life the server takes a machine that indexes as gone.
_ALIVE: Final = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")
#: What the views say differently: text in place of JSON values, and whole numbers that are cut off, not rounded.
_VIEWS: Final = (
    ("f.landmarks,", "CAST(f.landmarks AS TEXT),"),
    (
        "SELECT json_group_array(o.name) FROM\n"
        "            (SELECT n.name FROM person_names n WHERE n.person_id = q.id ORDER BY n.position) o",
        "SELECT '[' || COALESCE(string_agg(CAST(to_json(n.name) AS TEXT), ',' ORDER BY n.position), '') || ']'\n"
        "            FROM person_names n WHERE n.person_id = q.id",
    ),
    ("CAST(CAST(q.birth_estimate AS INTEGER) AS TEXT)", "CAST(CAST(TRUNC(q.birth_estimate) AS INTEGER) AS TEXT)"),
)


def is_postgresql(url: URL) -> bool:
    """Return whether a URL is one of PostgreSQL."""
    return url.get_backend_name() == "postgresql"


def with_driver(url: URL) -> URL:
    """Return a URL with the driver that Rollcall uses, where it names none."""
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def prepare(engine: Engine) -> None:
    """Set up every connection of an engine; a transaction that writes waits for its turn when it begins."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {BUSY_MS}")
            # Compiling a statement takes longer than the statements of a library.
            cursor.execute("SET jit = off")
            # So does starting processes to help with a page of photos, which an index has in its order.
            cursor.execute("SET max_parallel_workers_per_gather = 0")
            # A plan for any value knows neither how rare a group is nor how short a page.
            cursor.execute("SET plan_cache_mode = force_custom_plan")
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_key('write')})")


def reading(engine: Engine) -> Engine:
    """Return an engine whose transactions see one state of the database, and write nothing."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _key(name: str) -> str:
    """Return the keys of an advisory lock: one for each schema of a database."""
    return f"{_CLASS}, hashtext(current_schema() || ':{name}')"


def check_encoding(connection: Connection, shown: str) -> None:
    """Raise StoreError if a database cannot hold every name of a file."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise StoreError(
            shown,
            f"its encoding is {encoding}, which cannot hold all names; make one with CREATE DATABASE … ENCODING 'UTF8'"
            " TEMPLATE template0",
        )


class ServerLock:
    """A lock by name that one process holds at a time; the server takes it back when that, or its machine, ends."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._connection: Connection | None = None
        self._keys = _key(name)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def acquire(self, wait: float) -> bool:
        """Return whether the lock was got within `wait` seconds, or a moment."""
        connection = self._engine.connect()
        try:
            for setting in _ALIVE:
                connection.exec_driver_sql(f"SET {setting}")
            until = time.monotonic() + max(wait, _PATIENCE)
            statement = f"SELECT pg_try_advisory_lock({self._keys})"
            while not connection.exec_driver_sql(statement).scalar():
                if time.monotonic() >= until:
                    connection.close()
                    return False
                time.sleep(_POLL)
        except BaseException:
            connection.invalidate()
            raise
        self._connection = connection
        return True

    def check(self) -> None:
        """Raise StoreError if the server was restarted, or lost the connection: another process may have it by now."""
        if self._connection is None:
            return
        try:
            # The driver's own connection, which threads may share.
            self._connection.connection.execute("SELECT 1")
        except Exception as error:
            raise StoreError(
                self._engine.url.render_as_string(),
                "the connection that holds the right to index was lost; run it again: nothing is lost",
            ) from error

    def release(self) -> None:
        """Give the lock back; a connection that is broken has given it back already."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({self._keys})")
            connection.close()
        except DBAPIError:
            connection.invalidate()


def in_views(sql: str) -> str:
    """Return the SQL of a view as PostgreSQL understands it."""
    for ours, theirs in _VIEWS:
        sql = sql.replace(ours, theirs)
    return sql


def beside(url: URL, folder: Path) -> Path | None:
    """Return a file of this machine that stands for a database on a server; None where it cannot be made.

    What searches read lies beside it. It holds the database's URL, without a password, so that a person knows what the
    files are for.
    """
    shown = url.render_as_string()
    name = hashlib.blake2b(shown.encode(), digest_size=8).hexdigest()
    file = folder / "servers" / f"{name}.database"
    try:
        private_folder(file.parent)
        private_file(file)
        file.write_text(f"{shown}\n", encoding="utf-8")
    except OSError:
        return None
    return file


#: What PostgreSQL says, by the class of its message, and what that means for a person.
_SENTENCES: Final = {
    "08": "the server cannot be reached, or closed the connection ({}); check that it runs, and try again",
    "28": "the server does not let this user in ({}); check the user's name and password in the URL",
    "3D": "there is no such database on the server ({}); make it with createdb",
    "42501": "the user may not do this ({}); give it the right, or make it the database's owner",
    "53": "the server has no room, memory or connections left ({}); make some, and run it again: nothing is lost",
    "55P03": "another program has kept the database locked for too long ({}); close it, and run it again",
    "57": "the server is being stopped or started ({}); try again in a moment",
}


def sentence(error: DBAPIError) -> str | None:
    """Return an error of the server as a sentence with what to do; None if nothing is known of it."""
    code = getattr(error.orig, "sqlstate", None) or ("08" if error.connection_invalidated else "")
    message = " ".join(str(error.orig).split())
    if not code and type(error.orig).__name__ == "OperationalError":
        # Nobody answered, or what did refused before there was a session.
        code = next((key for key, part in _REFUSALS if part in message), "08")
    found = next((_SENTENCES[key] for key in (code, code[:2]) if key in _SENTENCES), None)
    return None if found is None else found.format(message)


_REFUSALS: Final = (("28", "authentication"), ("28", "role"), ("3D", "does not exist"), ("53", "too many"))
