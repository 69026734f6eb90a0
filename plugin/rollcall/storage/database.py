"""Open databases: created when missing, migrated when old, refused when written by a newer program."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import Timeout
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from rollcall.errors import BusyError, StoreError, not_written, reason_of
from rollcall.storage import backups as backups_of
from rollcall.storage import change_feed, migrating, parts, postgresql, private, sqlite, sqlite_files, views
from rollcall.storage.change_feed import Change
from rollcall.storage.commits import Commits
from rollcall.storage.failures import of_other, store_errors

#: The newest revision in `migrations/versions`; a test holds the two together.
HEAD = "0016"


class Database:
    """An open database: transactions for reading and for writing."""

    def __init__(self, engine: Engine, read_only: bool, beside: Path | None = None, *, replaced_at: int = 0) -> None:
        self.engine = engine
        self.read_only = read_only
        self._writing = engine.execution_options(writes=True)
        self._reading = engine if self.is_sqlite else postgresql.reading(engine)
        self._beside = beside
        self._right: postgresql.ServerLock | None = None  # while this process indexes into a server's database
        self._replaced_at = replaced_at
        self._commits = None if self.file is None else Commits(self.file)
        #: Called with the changes that this process has committed, on the thread that wrote them.
        self.on_commit: Callable[[Sequence[Change]], None] | None = None

    @property
    def url(self) -> str:
        """The database's URL, without a password."""
        return self.engine.url.render_as_string()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is an SQLite database."""
        return self.engine.dialect.name == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None for one in memory or on a server."""
        return sqlite.file_of(self.engine.url) if self.is_sqlite else None

    @property
    def beside(self) -> Path | None:
        """The file that what searches read lies beside: the database's own, or of this machine for one on a server.

        None for a database in memory, or where this machine has no place for such files.
        """
        return self.file or self._beside

    @property
    def threads(self) -> bool:
        """Whether several threads can use the database at once: one in memory has a single connection."""
        return self.file is not None or not self.is_sqlite

    @contextmanager
    def dry_run(self) -> Iterator[Session]:
        """Give a session like `write`'s whose work is rolled back at the end.

        Raises
        ------
        StoreError
            If the database refuses a statement.
        """
        with Session(self._writing) as session, store_errors(self.url):
            yield session
            session.rollback()

    @contextmanager
    def erase(self) -> Iterator[Session]:
        """Give a session like `write`'s whose deletions overwrite the deleted bytes, where the database can.

        Raises
        ------
        StoreError
            If the database refuses a statement.
        """
        with self.write() as session:
            if self.is_sqlite:
                sqlite.overwrite_deleted(session.connection().connection.dbapi_connection)  # type: ignore[arg-type]
            yield session

    def scrub(self, wait: float) -> bool:
        """Remove the bytes of deleted rows from the database's file and its write-ahead log.

        Returns False if others still read an older state after `wait` seconds: the log then still holds it.

        Raises
        ------
        StoreError
            If the database is busy for longer, or the disk is full.
        """
        if self.file is None:
            return True
        with store_errors(self.url):
            connection = self.engine.raw_connection()
            try:
                return sqlite.scrub(connection.dbapi_connection, wait)  # type: ignore[arg-type]
            except sqlite3.Error as error:
                raise StoreError(self.url, f"its file cannot be rewritten ({reason_of(error)})") from error
            finally:
                connection.close()

    def backup(self, file: Path) -> None:
        """Copy the database, while it is in use, to a new file.

        Raises
        ------
        StoreError
            If the database is not an SQLite file, or `file` exists or cannot be written.
        """
        if self.file is None:
            raise StoreError(self.url, "only SQLite files can be backed up; use the server's own way: pg_dump")
        if file.exists():
            raise StoreError(self.url, f"{file} exists already; choose another name for the backup")
        try:
            with parts.completed(file) as part:
                sqlite.copy(self.file, part)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(self.url, f"the backup {file} {_not_copied(error)}") from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one state of the database, whatever others write meanwhile.

        Raises
        ------
        StoreError
            If the database refuses a statement.
        """
        with Session(self._reading) as session, store_errors(self.url):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end, or not at all when an error ends it.

        Raises
        ------
        StoreError
            If the database refuses a statement, or other writers hold it for a minute.
        """
        if self._right is not None:
            self._right.check()
        with Session(self._writing) as session, store_errors(self.url), session.begin():
            if self.file is not None and backups_of.replaced_at(self.file) != self._replaced_at:
                raise StoreError(
                    self.url,
                    "a backup took its place while it was open here, and what is written now would be lost with the"
                    " former one; start Rollcall again",
                )
            yield session
            changes = change_feed.write(session)
        if self.on_commit is not None and changes:
            self.on_commit(changes)

    def outside_transactions(self, *statements: str) -> None:
        """Run statements that cannot run in a transaction, one after the other on one connection.

        Raises
        ------
        StoreError
            If the database refuses a statement.
        """
        with store_errors(self.url), self.engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                alone.exec_driver_sql(statement)

    def state(self) -> int | None:
        """Return a number that is another one after each commit, whoever makes it; None where that is not known."""
        return None if self._commits is None else self._commits.state()

    def close(self) -> None:
        """Close all connections."""
        if self._commits is not None:
            self._commits.close()
        self.engine.dispose()

    @contextmanager
    def indexing(self, wait: float = 0.0) -> Iterator[None]:
        """Hold the lock that lets one process at a time index into this database.

        The operating system releases it when the process ends, however it ends.

        Raises
        ------
        BusyError
            If another process still holds it after `wait` seconds.
        StoreError
            If the lock file cannot be written.
        """
        if not self.is_sqlite:
            with self.alone("index", wait) as right:
                if right is None:
                    raise _indexed_by_another(self.url)
                self._right = right
                try:
                    yield
                finally:
                    self._right = None
            return
        if self.file is None:
            yield
            return
        lock = private.lock_beside(self.file)
        try:
            lock.acquire(timeout=wait)
        except Timeout as error:
            raise _indexed_by_another(self.url) from error
        except OSError as error:
            advice = "it belongs to another user, or the folder is read-only"
            raise StoreError(self.url, f"{lock.lock_file} {not_written(error, advice)}") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def alone(self, name: str, wait: float) -> Iterator[postgresql.ServerLock | None]:
        """Hold a lock by name of a database on a server; give None if another process has it after `wait` seconds.

        Raises
        ------
        StoreError
            If the server cannot be reached.
        """
        lock = postgresql.ServerLock(self.engine, name)
        with store_errors(self.url):
            got = lock.acquire(wait)
        try:
            yield lock if got else None
        finally:
            lock.release()


def _not_copied(error: OSError | sqlite3.Error) -> str:
    """Return why a backup cannot be written, and what to do."""
    if isinstance(error, sqlite3.Error):
        error = OSError(errno.ENOSPC if "is full" in str(error) else 0, of_other(error))
    return not_written(error, "choose another place")


def _indexed_by_another(url: str) -> BusyError:
    return BusyError(
        url, "another Rollcall is indexing into this database; wait for it, or stop it first", "another process"
    )


def to_url(text_or_path: str) -> URL:
    """Return the URL for an SQLAlchemy URL or the path of an SQLite file.

    Raises
    ------
    StoreError
        If it contains :// and is not a URL.
    """
    if "://" not in text_or_path:
        return _without_link(URL.create("sqlite", database=str(Path(text_or_path).expanduser())))
    try:
        return _without_link(make_url(text_or_path))
    except ArgumentError as error:
        raise StoreError(text_or_path, "this is not a database URL; give one like sqlite:///photos.db") from error


def _without_link(url: URL) -> URL:
    """Return the URL of the file that a link leads to.

    What lies beside a database is named after its file, above all the lock: by two names it would be two.
    """
    file = sqlite.file_of(url) if url.get_backend_name() == "sqlite" else None
    return url if file is None or parts.resolved(file) is file else url.set(database=str(parts.resolved(file)))


def open_database(
    text_or_path: str, *, read_only: bool = False, backups: int = 3, cache: Path | None = None
) -> Database:
    """Open a database; create or migrate it unless `read_only`.

    Before a database in a file is migrated, if it has content, a copy is put beside it; the newest `backups` copies are
    retained. What searches read of a database on a server is kept in the folder `cache`, without one in memory.

    Raises
    ------
    StoreError
        If it cannot be opened; with `read_only` also if it does not exist or is of an older program.
    NewerDatabaseError
        If a newer Rollcall wrote it.
    """
    url = to_url(text_or_path)
    shown = url.render_as_string()
    if url.get_backend_name() not in ("sqlite", "postgresql"):  # before its driver is asked for
        raise StoreError(shown, "databases of this kind are not supported; use SQLite or PostgreSQL")
    file = sqlite.file_of(url) if url.get_backend_name() == "sqlite" else None
    options: dict[str, Any] = {}
    replaced_at = 0
    if postgresql.is_postgresql(url):
        url = postgresql.with_driver(url)
        options["connect_args"] = {"client_encoding": "utf8"}
    if file is not None:
        replaced_at = backups_of.replaced_at(file)  # before anything is opened
        try:
            sqlite_files.refuse_emptied(file, shown)
            options = sqlite_files.options(file, shown, read_only)
        except OSError as error:
            raise StoreError(
                shown, f"its file cannot be reached ({error.strerror}); allow it, or choose another: --database FILE"
            ) from error
    elif url.get_backend_name() == "sqlite":
        options["poolclass"] = StaticPool
    try:
        engine = create_engine(url, **options)
    except ArgumentError as error:
        raise StoreError(shown, f"no such kind of database is known ({error}); give a URL of SQLAlchemy's") from error
    except ImportError as error:
        needed = "rollcall[postgresql]" if postgresql.is_postgresql(url) else error.name
        raise StoreError(shown, f"its driver is not installed ({error.name}); pip install '{needed}'") from error
    if url.get_backend_name() == "sqlite":
        sqlite.prepare(engine, read_only)
    else:
        postgresql.prepare(engine)
    with store_errors(shown):
        found, fingerprint = migrating.state(engine)
        if found != HEAD or fingerprint != views.fingerprint(engine.dialect.name):
            if read_only:
                migrating.refuse_other(found, HEAD, shown)
            else:
                migrating.bring_up_to_date(engine, HEAD, file, backups)
    server = None if file is not None or cache is None else postgresql.beside(url, cache)
    beside = server if engine.dialect.name == "postgresql" else None
    return Database(engine, read_only, beside, replaced_at=replaced_at)
