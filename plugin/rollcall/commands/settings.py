"""`rollcall settings` and `rollcall status`."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rollcall.commands.common import Context, common, plural
from rollcall.server_settings import shown
from rollcall.settings import config_path, describe


@click.command("settings")
@click.option("--json", "as_json", is_flag=True, help="Print all settings as one JSON object.")
@common
def settings_command(context: Context, as_json: bool) -> None:
    """List every setting with its value and what it means."""
    values = context.settings.model_dump()
    rows = [(info, shown(info.name, values[info.name.split(".")[0]][info.name.split(".")[1]])) for info in describe()]
    if as_json:
        click.echo(json.dumps({info.name: value for info, value in rows}, ensure_ascii=False))
        return
    table = Table("setting", "value", "what it means", show_lines=False)
    for info, value in rows:
        # As it is: what stands in square brackets would be taken for a style.
        text = Text(json.dumps(value, ensure_ascii=False), style="dim" if value == info.default else "")
        table.add_row(info.name, text, Text(info.help))
    Console().print(table)
    click.echo(f"Settings file: {config_path()}")


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@common
def status_command(context: Context, as_json: bool) -> None:
    """Show what the database holds: photos by state, faces, tags, failures with their reasons."""
    with context.opened(read_only=True) as plugin:
        status = plugin.status()
        roots, failures = plugin.overview()
        tags = plugin.tags()
    found = {
        "database": status.database,
        "roots": roots,
        "photos": dict(status.photos),
        "faces": status.faces,
        "tags": [tag._asdict() for tag in tags],
        "failures": [{"path": path, "error": error} for path, error in failures],
    }
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(f"Database: {found['database']}")
    for root in roots:
        click.echo(f"Folder:   {root}")
    click.echo(
        f"Photos:   {', '.join(f'{count:,} {state}' for state, count in sorted(status.photos.items())) or 'none'}"
    )
    click.echo(f"Faces:    {status.faces:,}")
    for tag in tags:
        photos = plural(tag.applied, "photo")
        click.echo(f"Tag:      {tag.name}: {photos}, {tag.suggested:,} suggested, {tag.rejected:,} rejected")
    for path, error in failures:
        click.echo(f"Failed:   {path}: {error}")
