"""Show in folder: a photo in the file manager of this machine, for whoever sits at it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.corrections.kind_base import RowId
from rollcall.errors import ConflictError
from rollcall.media.file_manager import show_in_folder
from rollcall.remote.paths import is_remote
from rollcall.sentences import Sentence
from rollcall.web.inputs import plugin_of
from rollcall.web.messages import Toast
from rollcall.web.pages.rendering import page
from rollcall.web.security import is_sent_from_here
from rollcall.web.translation import gettext

router = APIRouter()


@router.post("/photo/{photo_id}/folder", response_class=HTMLResponse)
def show(request: Request, photo_id: RowId) -> Response:
    """Show a photo in its folder; where no file manager can be asked, say so, with the path."""
    return shown(request, photo_id)


def shown(request: Request, photo_id: int) -> Response:
    """Show a photo in its folder, and return the message on it.

    Raises
    ------
    NotFoundError
        If there is no such photo.
    UnreadableError
        If its file is gone, or is not shown because it lies outside of the library.
    ConflictError
        If the request comes from another machine, or the file lies on one.
    """
    if not is_sent_from_here(request.scope):
        raise ConflictError(Sentence("a folder is shown on the machine that Rollcall runs on; open the page there"))
    path = plugin_of(request).photo(photo_id).path
    if is_remote(path):
        raise ConflictError(Sentence("the photo lies on a server, not on this machine; download it"))
    request.app.state.pictures.check(photo_id)
    if show_in_folder(path):
        return page(request, "_toast.html", toast=Toast(gettext("The folder is shown in the file manager.")))
    text = gettext("No file manager of this machine can be asked. The photo lies here: %(path)s", path=str(path))
    return page(request, "_toast.html", toast=Toast(text, copy=str(path)))
