"""One photo with its faces and tags, and the corrections that are made on its page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.corrections.kind_base import RowId
from rollcall.errors import ConflictError, NotFoundError, PictureError
from rollcall.host import Plugin
from rollcall.search.details import FaceDetails, PhotoDetails
from rollcall.web import history
from rollcall.web.forms import PhotoForm
from rollcall.web.inputs import history_of, plugin_of
from rollcall.web.messages import Toast
from rollcall.web.pages.rendering import curve, is_part, page
from rollcall.web.results import around, results_of
from rollcall.web.security import guest_of

router = APIRouter()


@router.get("/photo/{photo_id}", response_class=HTMLResponse)
def photo(request: Request, photo_id: RowId, face: Annotated[RowId | None, Query()] = None) -> Response:
    """Show one photo with its faces; `face` is the one that is open."""
    return shown(request, photo_id, face)


def shown(request: Request, photo_id: int, face_id: int | None, toast: Toast | None = None) -> Response:
    """Return the page of a photo, or its part that changes; `face_id` is the face that is open."""
    plugin = plugin_of(request)
    details = plugin.photo(photo_id)
    chosen = next((face for face in details.faces if face.face_id == face_id), None)
    if guest_of(request.scope) is not None:
        return page(request, "photo_guest.html", photo=details, around=around(plugin, photo_id, results_of(request)))
    values: dict[str, Any] = {
        "photo": details,
        "face": chosen,
        "shown_at": _shown_at(details, chosen),
        "dismissed": plugin.dismissed_faces(photo_id),
        "identities": plugin.face_identities(photo_id),
        "curve": None if chosen is None else curve(chosen.age_distribution),
        "waiting": chosen is not None and _awaits_predictions(plugin, chosen),
        "toast": toast,
        "around": around(plugin, photo_id, results_of(request)),
        "hidden_because": _why_hidden(request, photo_id),
    }
    return page(request, "_photo.html" if is_part(request) else "photo.html", **values)


def _shown_at(photo: PhotoDetails, face: FaceDetails | None) -> float | None:
    """Return where in a video the frame is that is shown, in seconds: the open face's, or the video's own."""
    return photo.poster_time if face is None or face.video_time is None else face.video_time


def _why_hidden(request: Request, photo_id: int) -> str:
    """Return why the picture cannot be shown, as far as its file tells without being read; "" if it can."""
    try:
        request.app.state.pictures.check(photo_id)
    except PictureError as error:
        return error.reason
    return ""


def _awaits_predictions(plugin: Plugin, face: FaceDetails) -> bool:
    """Return whether a face was drawn while a run goes on: the networks analyse it between two batches."""
    if face.score > 0 or face.groups.get("adults") or plugin.settings.attributes.age != "on":
        return False
    return plugin.service.state == "indexing"


@router.post("/photo/{photo_id}/say", response_class=HTMLResponse)
def correct(request: Request, photo_id: RowId, form: Annotated[PhotoForm, Form()]) -> Response:
    """Record a correction that was made on the page of a photo, and show the photo as it is now."""
    plugin = plugin_of(request)
    plugin.photo(photo_id)  # nothing is changed on behalf of a page of which there is no photo
    open_face, past, toast = form.face, history_of(request), None
    if form.what == "undo":
        toast = history.undone(past.undo(), photo_id)
    elif form.what == "redo":
        toast = history.redone(past.redo(), photo_id)
    else:
        result = past.correct(*form.corrections(photo_id))
        if form.what == "draw":
            open_face = result.face_ids[0]
    # A face that was dismissed is no longer among those of the photo, so that none is open.
    return shown(request, photo_id, open_face, toast)


@router.get("/face/{face_id}/similar", response_class=HTMLResponse)
def similar(request: Request, face_id: RowId) -> Response:
    """Show the faces most similar to one, or that it cannot be compared: it was drawn or moved, or that is off."""
    plugin = plugin_of(request)
    try:
        near = plugin.similar(face_id, limit=12)
    except ConflictError:
        return page(request, "_similar.html", similar=[], comparable=False)
    return page(request, "_similar.html", similar=list(with_details(plugin, near)), comparable=True)


def with_details(plugin: Plugin, faces: Iterable[tuple[int, float]]) -> Iterator[tuple[FaceDetails, float]]:
    """Yield the details of the faces that are visible, each with its probability."""
    for face_id, probability in faces:
        try:
            yield plugin.face(face_id), probability
        except NotFoundError:
            continue  # it was dismissed meanwhile
