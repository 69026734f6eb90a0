"""`rollcall forget`."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.privacy.erasure import WAIT_SECONDS, ErasureReport

_COUNTED = ("photos", "faces", "estimates", "embeddings", "corrections", "tags")


@click.command("forget")
@click.argument("targets", nargs=-1, metavar="[face:N|photo:N|person:N|PATH]...")
@click.option("--embeddings", is_flag=True, help="All identity embeddings, those stored with corrections too.")
@click.option("--ages", is_flag=True, help="All estimated ages.")
@click.option("--genders", is_flag=True, help="All estimated genders.")
@click.option("--all", "everything", is_flag=True, help="Everything that the database holds.")
@click.option("--dry-run", is_flag=True, help="Only report what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=WAIT_SECONDS,
    show_default=True,
    help="For how many seconds to wait for others that use the database.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@common
def forget_command(
    context: Context,
    targets: tuple[str, ...],
    embeddings: bool,
    ages: bool,
    genders: bool,
    everything: bool,
    dry_run: bool,
    yes: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Remove faces, people, photos, folders or estimates for good, corrections included; the photos themselves stay.

    The bytes are gone from the database's file, its journal and backups, and the caches. What was named is not stored
    again by later runs, until `rollcall index PATH` names it. Without anything named, what an earlier call could not
    finish is finished.
    """
    options: dict[str, Any] = {"embeddings": embeddings, "ages": ages, "genders": genders, "everything": everything}
    with context.opened() as plugin:
        nothing_named = not targets and not any(options.values())
        if dry_run or not (yes or nothing_named):
            planned = plugin.forget(*targets, dry_run=True, **options)
        if dry_run:
            _report(planned, as_json)
            return
        if not (yes or nothing_named):
            if not sys.stdin.isatty():
                raise click.UsageError(
                    "this removes data for good; give --yes to confirm, or --dry-run to see it first"
                )
            click.confirm(f"Remove for good: {_counted(planned)}?", abort=True, err=True)
        _report(plugin.forget(*targets, wait=wait, **options), as_json)


def _counted(report: ErasureReport) -> str:
    parts = [plural(getattr(report, name), name[:-1]) for name in _COUNTED if getattr(report, name)]
    parts += [plural(len(report.files), "file")] if report.files else []
    return ", ".join(parts) or "nothing"


def _report(report: ErasureReport, as_json: bool) -> None:
    if as_json:
        values = dataclasses.asdict(report) | {"files": list(map(str, report.files))}
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    click.echo(f"{'Would be removed' if report.dry_run else 'Removed'}: {_counted(report)} ({report.bytes:,} bytes)")
    for file in report.files:
        click.echo(f"  {file}")
    for note in report.notes:
        console.print(f"Note: {note}", markup=False)
