"""The folders of the library, and how far a run over them is."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.host import Plugin
from rollcall.media import paths
from rollcall.records import PhotoState
from rollcall.remote.paths import is_remote
from rollcall.web.inputs import activity_of, plugin_of
from rollcall.web.messages import Toast
from rollcall.web.pages.rendering import page
from rollcall.web.translation import gettext, ngettext

router = APIRouter()


class Folder(NamedTuple):
    """A folder of the library."""

    path: str
    note: str  # what a person should know of it
    known: bool  # else it only waits for its turn


@router.get("/indexing", response_class=HTMLResponse)
def indexing(request: Request) -> Response:
    """Show the progress of the run and the folders."""
    progress, left = activity_of(request).as_dict(), photos_left(plugin_of(request))
    return page(request, "indexing.html", folders=_folders(request), progress=progress, left=left)


@router.get("/indexing/folders", response_class=HTMLResponse)
def folders(request: Request) -> Response:
    """Show the folders."""
    return page(request, "_folders.html", folders=_folders(request))


@router.post("/indexing/remove", response_class=HTMLResponse)
def remove(request: Request, path: Annotated[str, Form(max_length=4096)]) -> Response:
    """Remove a folder from the library; the files stay, and what a person entered waits for them."""
    count = activity_of(request).remove(paths.from_text(path))
    toast = Toast(
        ngettext(
            "Removed from the library: %(num)s photo. Add the folder again to have it back.",
            "Removed from the library: %(num)s photos. Add the folder again to have them back.",
            count,
        )
    )
    return page(request, "_folders.html", folders=_folders(request), toast=toast)


def photos_left(plugin: Plugin) -> int:
    """Return how many photos are known and were not looked at yet: a run that ended early has left them."""
    return plugin.status().photos.get(PhotoState.PENDING, 0)


def _folders(request: Request) -> list[Folder]:
    waiting = activity_of(request).waiting()
    known = plugin_of(request).folders()
    found = []
    for folder in [*known, *(one for one in waiting if one.resolve() not in known)]:
        note = (
            gettext("waits for its turn") if folder in waiting or folder in [one.resolve() for one in waiting] else ""
        )
        if not note and not is_remote(folder) and not folder.is_dir():
            note = gettext("is not there at present: plug in its disk, or connect its share")
        found.append(Folder(paths.to_text(str(folder)), note, folder in known))
    return found
