"""Files that travel with the program: in an installed package inside it, in a checkout beside it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def find(name: str) -> Path:
    """Return the path of `migrations` or `plugin.toml`: the installed package is looked in first.

    Raises
    ------
    FileNotFoundError
        If the installation is broken.
    """
    for place in (_PACKAGE / name, _PACKAGE.parent.parent / name):
        if place.exists():
            return place
    raise FileNotFoundError(f"{_PACKAGE / name}: missing from the installation; reinstall Rollcall")
