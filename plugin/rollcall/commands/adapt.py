"""`rollcall adapt`."""

from __future__ import annotations

import json

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.inference.learning import AdaptationReport, HeadReport


@click.command("adapt")
@click.option("--dry-run", is_flag=True, help="Only say whether it would help.")
@click.option("--undo", "undone", is_flag=True, help="Take back the newest one in use; the estimates are as before.")
@click.option("--list", "listed", is_flag=True, help="Show those that were kept.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@common
def adapt_command(context: Context, dry_run: bool, undone: bool, listed: bool, as_json: bool) -> None:
    """Learn from corrections: a small correction of the estimates of all faces, kept only if it helps.

    Whether it helps is judged on corrected faces that were held out. The networks never change, and the estimates can
    be had back as they were with --undo.
    """
    if sum((dry_run, undone, listed)) > 1:
        raise click.UsageError("give one of --dry-run, --undo and --list")
    with context.opened() as plugin:
        if listed:
            for one in plugin.adaptations():
                click.echo(
                    json.dumps(one._asdict())
                    if as_json
                    else f"{one.id:>4}  {one.made_at}  {one.network}  {'in use' if one.standing else 'taken back'}"
                )
            return
        if undone:
            number = plugin.undo_adaptation()
            console.print("nothing is in use" if number is None else f"number {number} was taken back")
            return
        report = plugin.adapt(dry_run=dry_run)
    if as_json:
        heads = {"age": report.age._asdict(), "gender": report.gender._asdict()}
        click.echo(json.dumps({"id": report.id, **heads}))
        return
    _print(report, dry_run)


def _print(report: AdaptationReport, dry_run: bool) -> None:
    console.print(_about("age", report.age, lambda error: f"{error:.1f} years off"))
    console.print(_about("gender", report.gender, lambda error: f"{error:.0%} wrong"))
    if report.id is not None:
        console.print(f"kept as number {report.id}; all estimates were written anew (`rollcall adapt --undo`)")
    elif report.helps and dry_run:
        console.print("it would be kept")
    else:
        console.print("nothing was changed")


def _about(name: str, head: HeadReport, words: object) -> str:
    assert callable(words)
    if not head.helps and head.loss_before == head.loss_after:
        return f"{name}: {plural(head.faces, 'correction')}, too few to learn from"
    change = f"{words(head.error_before)} before, {words(head.error_after)} after, on faces held out"
    return f"{name}: {plural(head.faces, 'correction')}, {change}; it {'helps' if head.helps else 'does not help'}"
