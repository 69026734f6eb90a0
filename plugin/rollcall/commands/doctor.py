"""`rollcall doctor`."""

from __future__ import annotations

import json
from typing import Any

import click

from rollcall.commands.common import Context, common


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@common
def doctor_command(context: Context, as_json: bool) -> None:
    """Print a page for a bug report: machine, versions, decoders, devices, cache, database, limits, settings.

    Nothing is changed, and nothing is sent anywhere. Paths below your home folder begin with ~, and the folders of
    your library are called <library 1>, <library 2>; no file's name is in it.
    """
    from rollcall.host import diagnostics

    report = diagnostics.collect(context.settings)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    for section, values in report.items():
        click.echo(f"{section.capitalize()}")
        for line in _lines(values, section):
            click.echo(f"  {line}")


def _lines(values: Any, section: str) -> list[str]:
    if isinstance(values, dict):
        if not values:
            return ["all as by default" if section == "settings" else "none"]
        return [line for name, value in values.items() for line in _entry(name, value)]
    return [str(value) for value in values]


def _entry(name: str, value: Any) -> list[str]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [f"{name}:", *("  " + _in_one_line(one) for one in value)]
    if isinstance(value, int) and not isinstance(value, bool) and ("bytes" in name or "memory" in name):
        return [f"{name}: {_size(value)}"]
    return [f"{name}: {_in_one_line(value)}"]


def _in_one_line(value: Any) -> str:
    if isinstance(value, dict):
        parts = (f"{name} {_size(one) if name == 'bytes' else _in_one_line(one)}" for name, one in value.items())
        return ", ".join(parts) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
