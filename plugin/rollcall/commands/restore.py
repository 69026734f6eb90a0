"""`rollcall restore`."""

from __future__ import annotations

from pathlib import Path

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.corrections import archive
from rollcall.errors import StoreError
from rollcall.storage import backups, sqlite
from rollcall.storage.database import to_url


@click.command("restore")
@click.argument("backup", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.option("--list", "listed", is_flag=True, help="Only show the backups that lie beside the database.")
@common
def restore_command(context: Context, backup: Path | None, listed: bool) -> None:
    """Put BACKUP, or the newest sound one, in the place of a damaged database.

    Corrections made since the backup are added from the archive beside the database. What was there is kept beside it
    under another name.
    """
    url = to_url(context.settings.database_url)
    file = sqlite.file_of(url) if url.get_backend_name() == "sqlite" else None
    if file is None:
        raise StoreError(url.render_as_string(), "only SQLite files can be restored; use the database server's own way")
    if listed:
        for found in backups.newest_first(file):
            click.echo(f"{found}{'' if backups.is_sound(found) else '  (damaged)'}")
        return
    used, former = backups.restore(file, backup)
    console.print(f"{file}: restored from {used}", markup=False)
    made_since = archive.archive_of(file)
    if made_since.exists():
        with context.opened() as plugin:
            imported = plugin.import_corrections(archive.read(made_since))
        if imported.added:
            console.print(f"{plural(imported.added, 'correction')} made since then, from {made_since}", markup=False)
    if former is not None:
        console.print(f"What was there: {former}", markup=False)
