"""`rollcall xmp`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from rollcall.commands.common import Context, common, console, plural, stop_on_signals
from rollcall.xmp.report import SidecarReport

FOLDERS = click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group("xmp")
def xmp_group() -> None:
    """Exchange tags, face regions and names with other programs, by XMP.

    What they wrote is read when photos are indexed. What Rollcall knows is written to sidecars beside the photos, once
    a setting turns it on (xmp.write_photos, xmp.write_folders, xmp.write_tags) or a folder is named here. The photos
    themselves are never written.
    """


@xmp_group.command("write")
@FOLDERS
@DRY_RUN
@AS_JSON
@common
def write(context: Context, folders: tuple[Path, ...], dry_run: bool, as_json: bool) -> None:
    """Write sidecars: of the photos in FOLDER, or of all for which a setting turns it on.

    Only entries of Rollcall's own are changed; what others wrote stays.
    """
    with stop_on_signals() as stop, context.opened() as plugin:
        report = plugin.write_sidecars(folders, dry_run=dry_run, stop=stop)
    _print(report, as_json, dry_run)


@xmp_group.command("read")
@FOLDERS
@AS_JSON
@common
def read(context: Context, folders: tuple[Path, ...], as_json: bool) -> None:
    """Read photos and sidecars again, in FOLDER or all of them.

    For photos that were indexed before Rollcall could; indexing reads those that are new or changed.
    """
    with stop_on_signals() as stop, context.opened() as plugin:
        report = plugin.read_sidecars(folders, stop=stop)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), ensure_ascii=False))
        return
    click.echo(f"{plural(report.read, 'file')} with news, {plural(report.corrections, 'correction')} recorded")


@xmp_group.command("status")
@FOLDERS
@AS_JSON
@common
def status(context: Context, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show what is read and written, in FOLDER or everywhere, and what went wrong."""
    with context.opened(read_only=True) as plugin:
        found = plugin.sidecar_status(folders)
    if as_json:
        click.echo(json.dumps(found._asdict(), ensure_ascii=False))
        return
    click.echo(f"Writing sidecars is {'on' if found.writing else 'off'}.")
    click.echo(f"{plural(found.embedded, 'photo')} with keywords or regions of other programs in the file itself")
    click.echo(f"{plural(found.sidecars, 'sidecar')}, {found.written:,} of them with entries of Rollcall")
    click.echo(f"{plural(found.host_faces, 'face')} that only another program marked")
    for path, reason in found.problems.items():
        console.print(f"{path}: {reason}", style="yellow", markup=False)


@xmp_group.command("remove")
@FOLDERS
@DRY_RUN
@AS_JSON
@common
def remove(context: Context, folders: tuple[Path, ...], dry_run: bool, as_json: bool) -> None:
    """Take everything that Rollcall wrote out of sidecars again, in FOLDER or everywhere.

    Sidecars that Rollcall made are deleted if nobody else wrote into them. While a setting turns writing on, the next
    run writes them again.
    """
    with stop_on_signals() as stop, context.opened() as plugin:
        report = plugin.remove_from_sidecars(folders, dry_run=dry_run, stop=stop)
    _print(report, as_json, dry_run)


def _print(report: SidecarReport, as_json: bool, dry_run: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), ensure_ascii=False))
        return
    if dry_run:
        for path in report.files:
            click.echo(path)
    for path, reason in report.problems:
        console.print(f"{path}: {reason}", style="yellow", markup=False)
    would = "would be " if dry_run else ""
    parts = [f"{plural(report.written, 'sidecar')} {would}written", f"{report.unchanged:,} unchanged"]
    if report.deleted:
        parts.append(f"{report.deleted:,} {would}deleted")
    if report.problems:
        parts.append(f"{len(report.problems):,} not possible")
    click.echo(", ".join(parts))
