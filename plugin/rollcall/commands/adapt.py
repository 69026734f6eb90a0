"""`rollcall adapt`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.inference.adaptation_store import StoredAdaptation
from rollcall.inference.learning import AdaptationReport, HeadReport


@click.command("adapt")
@click.option("--dry-run", is_flag=True, help="Only report whether it would help.")
@click.option("--undo", "undone", is_flag=True, help="Withdraw the newest one in use; the estimates are as before.")
@click.option("--list", "listed", is_flag=True, help="Show all that were stored.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@common
def adapt_command(context: Context, dry_run: bool, undone: bool, listed: bool, as_json: bool) -> None:
    """Learn from corrections: a small change of the estimates of all faces, stored only if it helps.

    Whether it helps is measured on corrected faces that were held out. The networks never change, and --undo brings the
    estimates back as they were.
    """
    if sum((dry_run, undone, listed)) > 1:
        raise click.UsageError("give one of --dry-run, --undo and --list")
    with context.opened(read_only=listed) as plugin:
        if listed:
            for one in plugin.adaptations():
                click.echo(json.dumps(_plain(one)) if as_json else _line(one))
            return
        if undone:
            number = plugin.undo_adaptation()
            console.print("nothing is in use" if number is None else f"number {number} was withdrawn")
            return
        report = plugin.adapt(dry_run=dry_run)
    if as_json:
        heads = {"age": report.age._asdict(), "gender": report.gender._asdict()}
        click.echo(json.dumps({"id": report.id, **heads, "changed": report.changed}))
        return
    _print(report, dry_run)


def _plain(one: StoredAdaptation) -> dict[str, Any]:
    """Return an adaptation as plain values for JSON, in which `in_use` has the name "standing"."""
    return {("standing" if name == "in_use" else name): value for name, value in one._asdict().items()}


def _line(one: StoredAdaptation) -> str:
    return f"{one.id:>4}  {one.made_at}  {one.network}  {'in use' if one.in_use else 'withdrawn'}"


def _print(report: AdaptationReport, dry_run: bool) -> None:
    console.print(_about("age", report.age, lambda error: f"{error:.1f} years off"))
    console.print(_about("gender", report.gender, lambda error: f"{error:.0%} wrong"))
    if report.helps:
        console.print(f"about {plural(report.changed, 'face')} get another age or gender by it")
    if report.id is not None:
        console.print(f"stored as number {report.id}; all estimates were updated (`rollcall adapt --undo`)")
    elif report.helps and dry_run:
        console.print("it would be stored")
    else:
        console.print("nothing was changed")


def _about(name: str, head: HeadReport, describe: Callable[[float], str]) -> str:
    """Return the report of one head in a sentence; `describe` formats its error."""
    if not head.helps and head.loss_before == head.loss_after:
        return f"{name}: {plural(head.faces, 'correction')}, too few to learn from"
    change = f"{describe(head.error_before)} before, {describe(head.error_after)} after, on faces held out"
    return f"{name}: {plural(head.faces, 'correction')}, {change}; it {'helps' if head.helps else 'does not help'}"
