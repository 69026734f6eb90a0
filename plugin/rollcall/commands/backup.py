"""`rollcall backup`."""

from __future__ import annotations

from pathlib import Path

import click

from rollcall.commands.common import Context, common


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@common
def backup_command(context: Context, file: Path) -> None:
    """Copy the database to a new FILE, also while it is being indexed into.

    FILE is a complete database of one moment: use it with --database, or put it back in place of a lost one. A file
    that exists is never overwritten.
    """
    with context.opened(read_only=True) as plugin:
        plugin.backup(file)
    click.echo(f"{file}: {file.stat().st_size:,} bytes")
