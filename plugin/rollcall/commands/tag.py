"""`rollcall tag`."""

from __future__ import annotations

import json

import click

from rollcall.commands.common import Context, common, console, plural


@click.command("tag")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a change.")
@common
def tag_command(context: Context, dry_run: bool, as_json: bool) -> None:
    """Recompute the automatic tags of the whole library: after a change of `tags.precision`, or of a tag's name.

    Tags that a person or a host set, and tags that a person rejected, stay as they are.
    """
    count = 0
    with context.opened(read_only=dry_run) as plugin:
        for change in plugin.retag(dry_run=dry_run):
            count += 1
            if as_json:
                click.echo(json.dumps(change._asdict(), ensure_ascii=False))
            else:
                probability = "" if change.probability is None else f" ({change.probability:.1%})"
                shown = change.path.encode("utf-8", "backslashreplace").decode()
                click.echo(f"{change.before or 'none'} -> {change.after or 'none'}: {change.tag}{probability}  {shown}")
    console.print(f"{plural(count, 'tag')} {'would change' if dry_run else 'changed'}")
