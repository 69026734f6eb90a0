"""Bring a database up to date: its tables by migrations, its views by making them again."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, text

from rollcall import resources
from rollcall.errors import NewerDatabaseError
from rollcall.storage import postgresql, sqlite, views
from rollcall.storage.tables import MetaRow, PhotoRow


def state(engine: Engine) -> tuple[str | None, str | None]:
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


def bring_up_to_date(engine: Engine, head: str, file: Path | None, backups: int) -> None:
    """Migrate a database to the revision `head` and create its views again if their text changed."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    # The write lock is taken first and the revision read again under it: of two processes that
    # open an old database at once, one migrates and the other finds nothing left to do.
    dialect = engine.dialect.name
    with engine.execution_options(writes=True).begin() as connection:
        found = _revision(connection)
        if found is None and dialect == "postgresql":
            postgresql.check_encoding(connection, engine.url.render_as_string())
        if found is not None and found not in known:
            raise NewerDatabaseError(
                engine.url.render_as_string(),
                f"the database was written by a newer Rollcall (revision {found}); update Rollcall to open it",
            )
        if found != head:
            if found is not None and file is not None and connection.execute(select(PhotoRow.id).limit(1)).first():
                sqlite.back_up(file, backups)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        if _fingerprint(connection) != views.fingerprint(dialect):
            for statement in views.statements(dialect):
                connection.execute(text(statement))
            connection.execute(MetaRow.__table__.delete().where(MetaRow.key == "views"))  # type: ignore[attr-defined]
            connection.execute(
                MetaRow.__table__.insert().values(key="views", value=views.fingerprint(dialect))  # type: ignore[attr-defined]
            )
