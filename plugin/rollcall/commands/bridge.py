"""`rollcall bridge`: other photo managers get tags, names and faces, and give theirs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from rollcall.bridges.imports.attach import ImportReport
from rollcall.bridges.sync import BridgeReport
from rollcall.commands.common import Context, common, console, plural, stop_on_signals

_SERVERS = ("immich", "photoprism", "nextcloud")
_READERS = ("digikam", "takeout", "osxphotos")


@click.command("bridge")
@click.argument("name", type=click.Choice([*_SERVERS, *_READERS, "lychee"]), metavar="NAME")
@click.argument("source", type=click.Path(path_type=Path), required=False, metavar="[SOURCE]")
@click.option("--dry-run", is_flag=True, help="Change nothing; only show what would be done.")
@click.option("--undo", is_flag=True, help="Take back everything that was ever sent to, or imported from, there.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@common
def bridge_command(context: Context, name: str, source: Path | None, dry_run: bool, undo: bool, as_json: bool) -> None:
    """Exchange tags, names and faces with another photo manager; see docs/bridges.md.

    NAME is immich, photoprism or nextcloud: applied tags, and confirmed names with their faces, are sent there. The
    settings bridges.* have address and key. What was sent once is not sent again; what a person changes there stays.

    Or digikam, takeout or osxphotos: names of people are imported from SOURCE, digiKam's database digikam4.db or the
    folder of an export, which is only read.

    Or lychee: serves as Lychee's face service, until Ctrl-C.
    """
    if (name in _READERS) != (source is not None):
        raise click.UsageError(
            f"{name} {'needs' if name in _READERS else 'takes no'} SOURCE; see rollcall bridge --help"
        )
    if name == "lychee":
        if dry_run or undo or as_json:
            raise click.UsageError("lychee takes none of these options; stop it with Ctrl-C")
        _serve_lychee(context)
        return
    with context.opened() as plugin, stop_on_signals() as stop:
        if source is not None:
            imported = plugin.import_names(name, source, dry_run=dry_run, undo=undo, stop=stop)
            values = dataclasses.asdict(imported)
        else:
            report = plugin.bridge(name, dry_run=dry_run, undo=undo, stop=stop)
            values = as_values(report)
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
    elif source is not None:
        show_import(imported, dry_run=dry_run, undo=undo)
    else:
        show(report, dry_run=dry_run)


def _serve_lychee(context: Context) -> None:
    with context.opened() as plugin:
        service = plugin.lychee_service()
        settings = context.settings.bridges
        console.print(f"Lychee's face service: http://{settings.lychee_listen}:{settings.lychee_port}. Ctrl-C ends it.")
        service.serve()


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
                noun = f"{count:,} people" if kind == "person" and count > 1 else plural(count, kind)
                click.echo(f"{noun} {what}")
    if not any((report.made, report.changed, report.taken_back)):
        click.echo("Nothing to send or to take back.")
    for reason, count in report.reasons.most_common():
        console.print(f"{plural(count, 'item')} left out: {reason}", style="yellow")
    if report.stopped:
        console.print("Stopped before the end; the next run goes on.", style="yellow")


def show_import(report: ImportReport, *, dry_run: bool, undo: bool) -> None:
    """Print the report of an import for people."""
    would = "would be " if dry_run else ""
    rows = (
        (report.named, "face", f"{would}named"),
        (report.drawn, "face", f"of these {would}added"),
        (report.ignored, "face", f"{would}ignored"),
        (report.proposed, "name", f"without a box {would}proposed for the only face of its photo"),
        (report.tagged, "name", f"without a box {would}kept as a tag of its photo"),
        (report.people, "person" if report.people == 1 else "people", f"{would}new"),
        (report.taken_back, "decision", f"{would}taken back"),
        (report.already_there, "name", "there already"),
    )
    if not any(count for count, _, _ in rows):
        click.echo("Nothing to take back." if undo else "Nothing new was found there for the photos that are indexed.")
    for count, noun, what in rows:
        if count:
            click.echo(f"{count:,} {noun if noun == 'people' else plural(count, noun).partition(' ')[2]} {what}")
    for reason, count in report.left_out.most_common():
        console.print(f"{plural(count, 'name')} left out: {reason}", style="yellow")
