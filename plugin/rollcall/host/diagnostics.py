"""A report for bug reports: everything that matters, and nothing that says whose photos they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rollcall.host import machine
from rollcall.inference import devices
from rollcall.server_settings import shown
from rollcall.settings import Settings, describe
from rollcall.storage import diagnosis

#: A report: sections by name, each of named values.
Report = dict[str, Any]


def collect(settings: Settings) -> Report:
    """Return the report; what cannot be found out stands in it as the reason why.

    Paths below the home folder begin with ~, and folders of the library are called <library 1>, <library 2>.
    """
    sections: dict[str, Callable[[], Any]] = {
        "machine": machine.system,
        "packages": machine.packages,
        "decoders": machine.decoders,
        "devices": devices.describe,
        "cache": lambda: machine.folder(settings.cache_folder),
        "database": lambda: diagnosis.describe(settings.database_url),
        "watching": machine.watches,
        "settings": lambda: changed(settings),
    }
    report = {name: _guarded(section) for name, section in sections.items()}
    names = shortened_names(_library_folders(settings))
    return {name: shorten(values, names) for name, values in report.items()}


def _guarded(section: Callable[[], Any]) -> Any:
    try:
        return section()
    except Exception as error:  # a report of trouble must not end in it
        return {"trouble": f"{type(error).__name__}: {error}"}


def _library_folders(settings: Settings) -> list[str]:
    found = _guarded(lambda: diagnosis.library_folders(settings.database_url))
    return found if isinstance(found, list) else []


def changed(settings: Settings) -> dict[str, Any]:
    """Return the settings that differ from their defaults, by their dotted names."""
    values = settings.model_dump()
    found = {}
    for info in describe():
        group, name = info.name.split(".")
        if values[group][name] != info.default:
            found[info.name] = shown(info.name, values[group][name])
    return found


def shortened_names(library_folders: Sequence[str]) -> list[tuple[str, str]]:
    """Return what replaces personal paths, the longest path first."""
    names = {folder: f"<library {number}>" for number, folder in enumerate(library_folders, 1)}
    home = str(Path.home())
    if home not in ("/", ""):
        names.setdefault(home, "~")
    result = sorted(names.items(), key=lambda item: -len(item[0]))
    # Removable disks lie below the user's name.
    return [*result, (f"/{Path.home().name}", "/<user>")] if Path.home().name else result


def shorten(value: Any, names: Sequence[tuple[str, str]]) -> Any:
    """Return a value with the paths in all of its texts replaced."""
    if isinstance(value, dict):
        return {key: shorten(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shorten(one, names) for one in value]
    if isinstance(value, str | Path):
        text = str(value)
        for path, name in names:
            # Whole names of folders only: /home/jo is not the beginning of /home/john.
            text = re.sub(rf"{re.escape(path)}(?![\w.-])", lambda _, name=name: name, text)  # type: ignore[misc]
        return text
    return value
