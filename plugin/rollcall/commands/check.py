"""`rollcall check`."""

from __future__ import annotations

import dataclasses
import json

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.indexing.check import CheckReport


@click.command("check")
@click.option("--repair", is_flag=True, help="Mend what can be mended; damaged databases need a backup.")
@click.option("--all", "every_file", is_flag=True, help="Compare every photo's file, not a sample.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@common
@click.pass_context
def check_command(
    click_context: click.Context, context: Context, repair: bool, every_file: bool, as_json: bool
) -> None:
    """Check the database, the files that searches read, and whether photos are still the files that were analysed.

    Ends with exit code 1 if something is wrong and was not repaired.
    """
    with context.opened(read_only=not repair) as plugin:
        report = plugin.check(every_file=every_file, repair=repair)
    if as_json:
        values = dataclasses.asdict(report)
        for name in ("wrong_content", "unreadable"):
            values[name] = list(map(str, values[name]))
        click.echo(json.dumps(values | {"healthy": report.healthy}, ensure_ascii=False))
    else:
        _print(report)
    if report.integrity or not (report.healthy or repair):
        click_context.exit(1)


def _print(report: CheckReport) -> None:
    click.echo(f"{plural(report.files, 'file')} compared")
    for message in report.integrity:
        click.echo(f"The database is damaged: {message}; restore a backup with `rollcall restore`")
    mended = ", will be analysed again" if report.repaired else ""
    for path in report.wrong_content:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        click.echo(f"{shown}: the database is of another content of this file{mended}")
    deleted = " deleted" if report.repaired else ""
    if report.orphans:
        click.echo(f"{plural(report.orphans, 'row')} of photos or faces that are gone{deleted}")
    if report.wrong_counts:
        click.echo(f"{plural(report.wrong_counts, 'photo')} with a wrong number of faces{mended}")
    if report.embeddings_file:
        click.echo(f"The file of embeddings is wrong: {report.embeddings_file}{deleted}")
    if report.columns:
        click.echo(f"The columns for searches are wrong: {report.columns}{deleted}")
    if report.unreadable:
        console.print(f"{plural(len(report.unreadable), 'file')} could not be read and were left as they are")
    # Nobody shall take a disk that is not there for one whose photos are sound.
    well = "All is well." if not report.unreadable else "All else is well; plug the disk in, and run it again."
    click.echo(well if report.healthy else "Run `rollcall check --repair`." if not report.repaired else "Mended.")
