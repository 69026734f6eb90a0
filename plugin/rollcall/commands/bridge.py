"""`rollcall bridge`: other photo managers get tags, names and faces, and give theirs."""

from __future__ import annotations

import json

import click

from rollcall.bridges.sync import BridgeReport
from rollcall.commands.common import Context, common, console, plural, stop_on_signals

_SERVERS = ("immich", "photoprism", "nextcloud")


@click.command("bridge")
@click.argument("name", type=click.Choice(_SERVERS))
@click.option("--dry-run", is_flag=True, help="Change nothing; only show what would be done.")
@click.option("--undo", is_flag=True, help="Take back everything that was ever sent to this server.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@common
def bridge_command(context: Context, name: str, dry_run: bool, undo: bool, as_json: bool) -> None:
    """Send applied tags, and confirmed names with their faces, to another photo manager.

    Its address and key are settings: bridges.immich_url, bridges.immich_key and so on; see docs/bridges.md. What was
    sent once is not sent again, and what a person changes there stays as it is.
    """
    with context.opened() as plugin, stop_on_signals() as stop:
        report = plugin.bridge(name, dry_run=dry_run, undo=undo, stop=stop)
    if as_json:
        click.echo(json.dumps(as_values(report), ensure_ascii=False))
    else:
        show(report, dry_run=dry_run)


def as_values(report: BridgeReport) -> dict[str, object]:
    """Return a report as JSON holds it."""
    return {
        "made": dict(report.made),
        "changed": dict(report.changed),
        "taken_back": dict(report.taken_back),
        "already_there": dict(report.already_there),
        "left_out": [{"kind": kind, "key": key, "reason": reason} for kind, key, reason in report.left_out],
        "requests": report.sent,
        "stopped": report.stopped,
    }


def show(report: BridgeReport, *, dry_run: bool) -> None:
    """Print a report for people."""
    would = "would be " if dry_run else ""
    for what, counts in (
        (f"{would}made", report.made),
        (f"{would}changed", report.changed),
        (f"{would}taken back", report.taken_back),
        ("there already", report.already_there),
    ):
        for kind, count in sorted(counts.items()):
            if count:
                click.echo(f"{plural(count, kind)} {what}")
    for reason, count in report.reasons.most_common():
        console.print(f"{plural(count, 'item')} left out: {reason}", style="yellow")
    if report.stopped:
        console.print("Stopped before the end; the next run goes on.", style="yellow")
