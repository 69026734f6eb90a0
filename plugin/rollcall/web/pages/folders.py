"""Choosing a folder of this machine, level by level, from where people keep their photos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import platformdirs
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.indexing.folder_counts import FolderCount, count_photos
from rollcall.media import paths
from rollcall.web.formats import number
from rollcall.web.inputs import plugin_of
from rollcall.web.names import counted
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
    photos: str = ""  # how many it has, as far as that is known


@router.get("/choose", response_class=HTMLResponse)
def choose(request: Request, path: Annotated[str, Query(max_length=4096)] = "") -> Response:
    """Show the folders in a folder; without one, where photos usually are."""
    here, problem = _here(path)
    names: list[str] = []
    closed = False
    try:
        names = _below(here)
    except OSError as error:
        closed = True
        problem = gettext("This folder cannot be opened: %(reason)s.", reason=error.strerror or error)
    inside = [here / name for name in names]
    whole, *counts = count_photos([here, *inside], plugin_of(request).settings.videos)
    folders = [
        Entry(paths.to_text(str(path)), paths.to_text(path.name), _counted(count))
        for path, count in zip(inside, counts, strict=True)
    ]
    places = [Entry(paths.to_text(str(one)), name) for one, name in _usual()]
    above = [Entry(paths.to_text(str(one)), one.name or str(one)) for one in reversed([here, *here.parents])]
    values: dict[str, Any] = {"above": above, "folders": folders, "places": places, "problem": problem}
    return page(request, "_choose.html", chosen=above[-1], photos=_counted(whole), closed=closed, **values)


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


def _below(folder: Path) -> list[str]:
    with os.scandir(folder) as found:
        names = sorted(
            (one.name for one in found if not one.name.startswith(".") and one.is_dir()), key=lambda name: name.lower()
        )
    return names[:MOST]


def _counted(count: FolderCount) -> str:
    if count.complete:
        return counted(count.photos, count.videos) if count.photos else gettext("No photos")
    return gettext("%(count)s+ photos", count=number(count.photos)) if count.photos else ""


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
