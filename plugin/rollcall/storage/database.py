"""Open databases: created when missing, migrated when old, refused when written by a newer program."""

from __future__ import annotations

import glob
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from rollcall import resources
from rollcall.errors import BusyError, NewerDatabaseError, StoreError
from rollcall.storage import change_feed, mounts, sqlite, views
from rollcall.storage.change_feed import Change
from rollcall.storage.private import private_file, private_folder
from rollcall.storage.tables import MetaRow, PhotoRow

#: The newest revision in `migrations/versions`; a test holds the two together.
HEAD = "0011"


class Database:
    """An open database: transactions for reading and for writing."""

    def __init__(self, engine: Engine, read_only: bool) -> None:
        self.engine = engine
        self.read_only = read_only
        self._writing = engine.execution_options(writes=True)
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

    @contextmanager
    def dry_run(self) -> Iterator[Session]:
        """Give a session like `write`'s whose work is rolled back at the end.

        Raises
        ------
        StoreError
            If the database refuses a statement.
        """
        with Session(self._writing) as session, _store_errors(self.url):
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
        with _store_errors(self.url):
            connection = self.engine.raw_connection()
            try:
                return sqlite.scrub(connection.dbapi_connection, wait)  # type: ignore[arg-type]
            except sqlite3.Error as error:
                raise StoreError(self.url, f"its file cannot be rewritten ({error})") from error
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
            raise StoreError(self.url, "only SQLite files can be backed up; use the database server's own backup")
        if file.exists():
            raise StoreError(self.url, f"{file} exists already; choose another name for the backup")
        part = file.with_name(f"{file.name}.part")
        try:
            sqlite.copy(self.file, part)
            part.replace(file)
        except (OSError, sqlite3.Error) as error:
            part.unlink(missing_ok=True)
            raise StoreError(
                self.url, f"the backup {file} cannot be written ({error}); choose another place"
            ) from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one state of the database, whatever others write meanwhile.

        Raises
        ------
        StoreError
            If the database refuses a statement.
        """
        with Session(self.engine) as session, _store_errors(self.url):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end, or not at all when an error ends it.

        Raises
        ------
        StoreError
            If the database refuses a statement, or other writers hold it for a minute.
        """
        with Session(self._writing) as session, _store_errors(self.url), session.begin():
            yield session
            changes = change_feed.write(session)
        if self.on_commit is not None and changes:
            self.on_commit(changes)

    def close(self) -> None:
        """Close all connections."""
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
        file = self.file
        if file is None:
            yield
            return
        lock = FileLock(f"{file}.lock")
        try:
            lock.acquire(timeout=wait)
        except Timeout as error:
            raise BusyError(
                self.url,
                "another Rollcall is indexing into this database; wait for it, or stop it first",
                "another process",
            ) from error
        except OSError as error:
            raise StoreError(
                self.url,
                f"{lock.lock_file} cannot be written ({error.strerror}); it belongs to another user, or the"
                " folder is read-only",
            ) from error
        try:
            yield
        finally:
            lock.release()


@contextmanager
def _store_errors(url: str) -> Iterator[None]:
    """Raise the driver's errors as `StoreError`."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(url, _sentence(str(error.orig))) from error


#: What SQLite says, and what that means for a person.
_MESSAGES: Final = (
    ("malformed", "the database is damaged ({}); `rollcall restore` puts its newest backup in its place"),
    (
        "not a database",
        "refused, as the file is damaged or not a database ({}); `rollcall restore` puts its newest backup there",
    ),
    ("is full", "the disk is full ({}); make room, and run it again: nothing is lost"),
    ("readonly", "the database may not be written ({}); allow it, or choose another place with the option --database"),
    ("locking protocol", "the share that it lies on does not lock files ({}); put it on a local disk: --database FILE"),
    ("unable to open", "its file cannot be opened ({}); check that it, and files beside it, may be written"),
    ("is locked", "another program has kept the database locked for too long ({}); close it, and run it again"),
    ("disk I/O error", "the disk, or the share, that the database lies on does not work ({}); check it"),
)


def _sentence(message: str) -> str:
    """Return a database's message as a sentence with what to do."""
    for part, sentence in _MESSAGES:
        if part in message:
            return sentence.format(message)
    return f"the database refused ({message})"


def to_url(text_or_path: str) -> URL:
    """Return the URL for an SQLAlchemy URL or the path of an SQLite file.

    Raises
    ------
    StoreError
        If it contains :// and is not a URL.
    """
    if "://" not in text_or_path:
        return URL.create("sqlite", database=str(Path(text_or_path).expanduser()))
    try:
        return make_url(text_or_path)
    except ArgumentError as error:
        raise StoreError(text_or_path, "this is not a database URL; give one like sqlite:///photos.db") from error


def open_database(text_or_path: str, *, read_only: bool = False, backups: int = 3) -> Database:
    """Open a database; create or migrate it unless `read_only`.

    Before a database with content is migrated, a copy is put beside it; the newest `backups` copies are retained.

    Raises
    ------
    StoreError
        If it cannot be opened; with `read_only` also if it does not exist or is of an older program.
    NewerDatabaseError
        If a newer Rollcall wrote it.
    """
    url = to_url(text_or_path)
    shown = url.render_as_string()
    file = sqlite.file_of(url) if url.get_backend_name() == "sqlite" else None
    options: dict[str, Any] = {}
    if file is not None:
        options = _file_options(file, shown, read_only)
    elif url.get_backend_name() == "sqlite":
        options["poolclass"] = StaticPool
    try:
        engine = create_engine(url, **options)
    except ArgumentError as error:
        raise StoreError(shown, f"no such kind of database is known ({error}); give a URL of SQLAlchemy's") from error
    except ImportError as error:
        raise StoreError(shown, f"its driver is not installed ({error.name}); install it with pip") from error
    if url.get_backend_name() == "sqlite":
        sqlite.prepare(engine, read_only)
    with _store_errors(shown):
        found, fingerprint = _state(engine)
        if found != HEAD or fingerprint != views.fingerprint():
            if read_only and found != HEAD:
                raise StoreError(
                    shown, "the database is of an older Rollcall; any `rollcall index` brings it up to date"
                )
            if not read_only:
                _bring_up_to_date(engine, file, backups)
    return Database(engine, read_only)


def _file_options(file: Path, shown: str, read_only: bool) -> dict[str, Any]:
    """Return the engine's options for an SQLite file.

    Raises
    ------
    StoreError
        If the file does not exist and is to be read, or it or its folder cannot be written.
    """
    if read_only:
        if not file.exists():
            raise StoreError(shown, "there is no database yet; index a folder first with `rollcall index FOLDER`")
        if sqlite.is_at_rest(file) and not _may_write(file.parent):
            return {"creator": partial(sqlite.connect_at_rest, file)}
        return {}
    try:
        private_folder(file.parent)
    except OSError as error:
        raise StoreError(shown, f"its folder cannot be made ({error.strerror})") from error
    for path in (file.parent, file):
        if path.exists() and not _may_write(path):
            raise StoreError(
                shown, f"{path} may not be written; allow it, or choose another place with the option --database"
            )
    if mounts.is_remote(file.parent.resolve()) and not mounts.can_lock(file.parent):
        raise StoreError(
            shown,
            "the share that it lies on does not lock files, so two programs would damage it; choose a place on a local"
            " disk with the option --database (the photos may stay on the share)",
        )
    private_file(file)
    for path in sorted(file.parent.glob(f"{glob.escape(file.name)}[-.]*")):
        if path.suffix != ".lock":
            private_file(path)
    return {}


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _state(engine: Engine) -> tuple[str | None, str | None]:
    """Return a database's revision and the fingerprint of its views; None for what it does not have."""
    with engine.connect() as connection:
        return _revision(connection), _fingerprint(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _fingerprint(connection: Connection) -> str | None:
    if not inspect(connection).has_table("meta"):
        return None
    return connection.execute(select(MetaRow.value).where(MetaRow.key == "views")).scalar()


def _bring_up_to_date(engine: Engine, file: Path | None, backups: int) -> None:
    """Migrate a database to `HEAD` and create its views again if their text changed."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    # The write lock is taken first and the revision read again under it: of two processes that
    # open an old database at once, one migrates and the other finds nothing left to do.
    with engine.execution_options(writes=True).begin() as connection:
        found = _revision(connection)
        if found is not None and found not in known:
            raise NewerDatabaseError(
                engine.url.render_as_string(),
                f"the database was written by a newer Rollcall (revision {found}); update Rollcall to open it",
            )
        if found != HEAD:
            if found is not None and file is not None and connection.execute(select(PhotoRow.id).limit(1)).first():
                sqlite.back_up(file, backups)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        if _fingerprint(connection) != views.fingerprint():
            for statement in views.statements():
                connection.execute(text(statement))
            connection.execute(MetaRow.__table__.delete().where(MetaRow.key == "views"))  # type: ignore[attr-defined]
            connection.execute(
                MetaRow.__table__.insert().values(key="views", value=views.fingerprint())  # type: ignore[attr-defined]
            )
