"""`rollcall guests`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from rollcall.commands.common import Context, common, console, plural


@click.group("guests")
def guests_group() -> None:
    """Devices of the home network that were let in by `rollcall serve --lan`: list them, end their sessions."""


@guests_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a device.")
@common
def list_command(context: Context, as_json: bool) -> None:
    """List the devices, the one that was let in last first."""
    with context.opened(read_only=True) as plugin:
        found = plugin.guests()
        for one in found:
            if as_json:
                click.echo(json.dumps(asdict(one), ensure_ascii=False))
            else:
                sees = "all photos" if one.everything else "shared albums"
                click.echo(
                    f"{one.guest_id}  {one.name}: {sees}, since {one.made_at[:10]}, last here {one.seen_at[:16]}"
                )
    if not found:
        console.print("No device was let in yet.")


@guests_group.command("end")
@click.argument("devices", nargs=-1, type=click.IntRange(min=0), metavar="[NUMBER]...")
@click.option("--all", "everybody", is_flag=True, help="End all sessions.")
@common
def end_command(context: Context, devices: tuple[int, ...], everybody: bool) -> None:
    """End the sessions of devices: they have to be let in anew."""
    if everybody == bool(devices):
        raise click.UsageError("give the numbers of devices, or --all; `rollcall guests list` shows them")
    with context.opened() as plugin:
        ended = plugin.end_guest() if everybody else sum(plugin.end_guest(one) for one in devices)
    console.print(f"{plural(ended, 'session')} ended")
