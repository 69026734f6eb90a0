"""Choosing a folder of this machine, level by level, from where people keep their photos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import platformdirs
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.media import paths
from rollcall.web.pages.rendering import page
from rollcall.web.translation import gettext

router = APIRouter()
#: Folders of one level that are listed.
MOST: Final = 500
#: Where disks that are plugged in appear.
_DISKS: Final = ("/media", "/run/media", "/mnt", "/Volumes")


class Entry(NamedTuple):
    """A folder to go to."""

    path: str
    name: str


@router.get("/choose", response_class=HTMLResponse)
def choose(request: Request, path: Annotated[str, Query(max_length=4096)] = "") -> Response:
    """Show the folders in a folder; without one, where photos usually are."""
    here, problem = _here(path)
    folders: list[Entry] = []
    try:
        folders = _below(here)
    except OSError as error:
        problem = gettext("This folder cannot be opened: %(reason)s.", reason=error.strerror or error)
    places = [Entry(paths.to_text(str(one)), name) for one, name in _usual()]
    above = [Entry(paths.to_text(str(one)), one.name or str(one)) for one in reversed([here, *here.parents])]
    return page(request, "_choose.html", chosen=above[-1], above=above, folders=folders, places=places, problem=problem)


def _here(path: str) -> tuple[Path, str]:
    """Return the folder to show, and why it is not the one that was asked for."""
    start = next((one for one, _ in _usual()), Path.home())
    if not path:
        return start, ""
    try:
        wanted = Path(os.path.abspath(paths.from_text(path)))  # noqa: PTH100 (links stay: people know them by name)
        if wanted.is_dir():
            return wanted, ""
    except (OSError, ValueError):  # too long, or with characters that no file system has
        pass
    return start, gettext("That folder is not there any more.")


def _below(folder: Path) -> list[Entry]:
    with os.scandir(folder) as found:
        names = sorted(
            (one.name for one in found if not one.name.startswith(".") and one.is_dir()), key=lambda name: name.lower()
        )
    return [Entry(paths.to_text(str(folder / name)), paths.to_text(name)) for name in names[:MOST]]


def _usual() -> list[tuple[Path, str]]:
    """Return the folders that people keep photos in, as far as they are there."""
    home = Path.home()
    usual = [(Path(platformdirs.user_pictures_dir()), gettext("Pictures")), (home, gettext("Home"))]
    for parent in _DISKS:
        # Linux mounts disks below the user's name there.
        for one in (Path(parent), Path(parent, home.name)):
            try:
                usual += [
                    (disk, disk.name) for disk in sorted(one.iterdir()) if disk.is_dir() and disk != one / home.name
                ]
            except OSError:
                continue
    return [(path, name) for path, name in usual if path.is_dir()]
