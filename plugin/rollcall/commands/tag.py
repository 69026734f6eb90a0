"""`rollcall tag`."""

from __future__ import annotations

import json

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.store import tags


@click.command("tag")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a change.")
@common
def tag_command(context: Context, dry_run: bool, as_json: bool) -> None:
    """Make the automatic tags of the whole library anew: after a change of `tags.precision`, or of a tag's name.

    What a person or a host set, and what a person rejected, stays as it is.
    """
    database = context.database(read_only=dry_run)
    settings = context.settings.tags
    count, after = 0, 0
    while True:
        with database.read() as session:
            part = next(tags.changes(session, settings, after), None)
        if part is None:
            break
        after, changes = part
        for change in changes:
            count += 1
            if as_json:
                click.echo(json.dumps(change._asdict(), ensure_ascii=False))
            else:
                sure = "" if change.probability is None else f" ({change.probability:.1%})"
                shown = change.path.encode("utf-8", "backslashreplace").decode()
                click.echo(f"{change.before or 'none'} -> {change.after or 'none'}: {change.tag}{sure}  {shown}")
        if changes and not dry_run:
            with database.write() as session:
                tags.apply(session, sorted({change.photo_id for change in changes}), settings)
    console.print(f"{plural(count, 'tag')} {'would change' if dry_run else 'changed'}")
