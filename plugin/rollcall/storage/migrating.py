"""Bring a database up to date: its tables by migrations, its views by making them again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, select, text

from rollcall import resources
from rollcall.errors import NewerDatabaseError, StoreError
from rollcall.storage import postgresql, sqlite, views
from rollcall.storage.tables import MetaRow, PhotoRow

if TYPE_CHECKING:
    from alembic.config import Config


def state(engine: Engine) -> tuple[str | None, str | None]:
    """Return a database's revision and the fingerprint of its views; None for what it does not have.

    Raises
    ------
    StoreError
        If a file has the tables of another program: nothing is to be added to these.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            _refuse_others(connection)
        return _revision(connection), _fingerprint(connection)


def _refuse_others(connection: Connection) -> None:
    # In one statement: another process may be making the tables at this moment.
    found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    tables = {name for name in found if not name.startswith("sqlite_")}
    if tables and "alembic_version" not in tables:
        raise StoreError(
            connection.engine.url.render_as_string(),
            "it is the database of another program; name another file with the option --database, which is created",
        )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _fingerprint(connection: Connection) -> str | None:
    if not inspect(connection).has_table("meta"):
        return None
    return connection.execute(select(MetaRow.value).where(MetaRow.key == "views")).scalar()


def bring_up_to_date(engine: Engine, head: str, file: Path | None, backups: int) -> None:
    """Migrate a database to the revision `head` and create its views again if their text changed."""
    # The write lock is taken first and the revision read again under it: of two processes that
    # open an old database at once, one migrates and the other finds nothing left to do.
    dialect = engine.dialect.name
    with engine.execution_options(writes=True).begin() as connection:
        found = _revision(connection)
        if found is None and dialect == "postgresql":
            postgresql.check_encoding(connection, engine.url.render_as_string())
        if found is not None and found != head:
            _check_known(found, engine.url.render_as_string())
            if file is not None and connection.execute(select(PhotoRow.id).limit(1)).first():
                sqlite.back_up(file, backups)
        if found is None and dialect == "sqlite":
            found = _make_tables(connection)
        if found != head:
            _migrate(connection)
        if _fingerprint(connection) != views.fingerprint(dialect):
            for statement in views.statements(dialect):
                connection.execute(text(statement))
            connection.execute(MetaRow.__table__.delete().where(MetaRow.key == "views"))  # type: ignore[attr-defined]
            connection.execute(
                MetaRow.__table__.insert().values(key="views", value=views.fingerprint(dialect))  # type: ignore[attr-defined]
            )


def _make_tables(connection: Connection) -> str | None:
    """Make the tables of a new SQLite database as all migrations would; return the revision that they are of.

    Alembic and its migrations take 0.2 s of a processor, these statements a hundredth of that.
    """
    for statement in resources.find("migrations").joinpath("newest.sql").read_text(encoding="utf-8").split(";\n"):
        if statement:
            connection.exec_driver_sql(statement)
    return _revision(connection)


def _migrate(connection: Connection) -> None:
    from alembic import command

    config = _configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def refuse_other(revision: str | None, head: str, url: str) -> None:
    """Raise if a database that is only read has not the newest revision: it is not migrated.

    Raises
    ------
    NewerDatabaseError
        If a newer program wrote it.
    StoreError
        If it is of an older one, or empty.
    """
    if revision == head:
        return
    if revision is None:
        raise StoreError(
            url,
            "it holds no library yet; begin one with `rollcall index FOLDER`, or name the right one with the option"
            " --database",
        )
    _check_known(revision, url)
    raise StoreError(url, "the database is of an older Rollcall; any `rollcall index` brings it up to date")


def _check_known(revision: str, url: str) -> None:
    """Raise if a newer program wrote a database.

    Raises
    ------
    NewerDatabaseError
        If no migration of this program leads to its revision.
    """
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_configuration()).walk_revisions()}
    if revision not in known:
        raise NewerDatabaseError(
            url, f"the database was written by a newer Rollcall (revision {revision}); update Rollcall to open it"
        )


def _configuration() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")).replace("%", "%%"))
    return config
