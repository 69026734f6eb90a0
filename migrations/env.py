"""Alembic's environment: migrate the database that is being opened, or one given by -x url=... for development."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from rollcall.storage.tables import Base


def _run(connection: Connection) -> None:
    # SQLite cannot alter most things in place; batch mode copies the table instead.
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as connection:
        _run(connection)
