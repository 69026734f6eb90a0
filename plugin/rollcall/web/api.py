"""The HTTP API: what the host's object offers, over HTTP; its OpenAPI document is at /api/openapi.json."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Final, Literal

from fastapi import APIRouter, BackgroundTasks, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from rollcall.corrections.kind_base import RowId
from rollcall.errors import RollcallError
from rollcall.media import paths
from rollcall.search import MIN_PROBABILITY, Order
from rollcall.web.inputs import (
    CorrectionsIn,
    FolderIn,
    Origin,
    Probability,
    QueryText,
    TagName,
    activity_of,
    language_of,
    plugin_of,
)
from rollcall.web.models import (
    CorrectionResultModel,
    HitModel,
    LogEntryModel,
    PhotoModel,
    QuestionModel,
    SearchModel,
    SimilarModel,
    StatusModel,
    TagCountModel,
)
from rollcall.web.pictures import Pictures, Wanted
from rollcall.web.problems import CONFLICT, INVALID_QUERY, NOT_FOUND, UNREADABLE_BODY, Responses
from rollcall.web.typed_paths import folder_of

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api")


# ---- Reading


@router.get("/search", responses={**INVALID_QUERY, **NOT_FOUND, **CONFLICT})
def search(
    request: Request,
    q: QueryText = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[RowId, Query()] = 0,
    min_probability: Annotated[Probability, Query()] = MIN_PROBABILITY,
    order: Order = "probability",
    album: Annotated[RowId | None, Query()] = None,
) -> SearchModel:
    """Return the photos that match a query, the most probable or the newest first.

    A query that several languages understand is taken in that of `Accept-Language`; `album` is the number of an album
    that they are in, too.
    """
    plugin = plugin_of(request)
    language = language_of(request)
    hits = plugin.search(
        q,
        limit=limit,
        offset=offset,
        min_probability=min_probability,
        order=order,
        language=language,
        album=album,
    )
    return SearchModel(
        total=plugin.count(q, min_probability=min_probability, language=language, album=album),
        hits=[HitModel.of(hit) for hit in hits],
        notices=plugin.notices(q, language=language),
    )


@router.get("/photos/{photo_id}", responses=NOT_FOUND)
def photo(request: Request, photo_id: RowId) -> PhotoModel:
    """Return a photo with its faces and tags."""
    return PhotoModel.of(plugin_of(request).photo(photo_id))


@router.get("/faces/{face_id}/similar", responses={**NOT_FOUND, **CONFLICT})
def similar(request: Request, face_id: RowId, limit: Annotated[int, Query(ge=1, le=500)] = 24) -> list[SimilarModel]:
    """Return the faces most similar to one; 409 if it has no embedding."""
    found = plugin_of(request).similar(face_id, limit=limit)
    return [SimilarModel(face_id=face, probability=probability) for face, probability in found]


@router.get("/tags")
def tags(request: Request) -> list[TagCountModel]:
    """Return every tag in use."""
    return [TagCountModel(**tag._asdict()) for tag in plugin_of(request).tags()]


@router.get("/review")
def review(request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> list[QuestionModel]:
    """Return the faces to ask a person about next, the highest expected gain first."""
    return [QuestionModel.of(question) for question in plugin_of(request).review(limit=limit)]


@router.get("/status")
def status(request: Request) -> StatusModel:
    """Return what Rollcall does, and what the database holds."""
    plugin = plugin_of(request)
    now = plugin.status()
    folders = [paths.to_text(str(folder)) for folder in plugin.folders()]
    return StatusModel(state=now.state, photos=dict(now.photos), faces=now.faces, error=now.error, folders=folders)


# ---- Corrections and tags


@router.post("/corrections", responses={**NOT_FOUND, **CONFLICT, **UNREADABLE_BODY})
def correct(request: Request, given: CorrectionsIn) -> CorrectionResultModel:
    """Record corrections as one batch; they are effective at once and win over every prediction."""
    return CorrectionResultModel.of(plugin_of(request).correct(*given.corrections, by=given.by, origin=given.origin))


@router.get("/corrections")
def corrections(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[RowId | None, Query()] = None,
) -> list[LogEntryModel]:
    """Return the log of corrections, the newest line first, from below line `before` on."""
    return [LogEntryModel.of(entry) for entry in plugin_of(request).corrections(limit=limit, before=before)]


@router.post("/undo", responses=CONFLICT)
def undo(
    request: Request,
    by: Annotated[str | None, Query(max_length=100)] = None,
    origin: Annotated[Origin | None, Query()] = None,
) -> CorrectionResultModel:
    """Undo the newest batch of corrections, with `by` and `origin` of one person or place; 409 if there is none."""
    return CorrectionResultModel.of(plugin_of(request).undo(by=by, origin=origin))


@router.post("/redo", responses=CONFLICT)
def redo(request: Request, origin: Annotated[Origin | None, Query()] = None) -> CorrectionResultModel:
    """Make the batch effective again that was undone last, from `origin` if that is given; 409 if there is none."""
    return CorrectionResultModel.of(plugin_of(request).redo(origin=origin))


@router.put("/photos/{photo_id}/tags/{name:path}", responses=NOT_FOUND)
def add_tag(request: Request, photo_id: RowId, name: TagName) -> bool:
    """Set a tag of the host's; false, and nothing is done, if a person has rejected it."""
    return plugin_of(request).add_tag(photo_id, name)


@router.delete("/photos/{photo_id}/tags/{name:path}")
def remove_tag(request: Request, photo_id: RowId, name: TagName) -> bool:
    """Remove a tag of the host's; false if the host has set none."""
    return plugin_of(request).remove_tag(photo_id, name)


# ---- Indexing


@router.post("/index")
def index(request: Request) -> bool:
    """Begin a run over all known folders, or go on with one that was paused; false if one runs already."""
    return activity_of(request).start()


@router.post("/pause")
def pause(request: Request) -> None:
    """End the run after the photos in flight; nothing is lost."""
    activity_of(request).pause()


@router.post("/folders", responses=UNREADABLE_BODY)
def add_folder(request: Request, folder: FolderIn) -> bool:
    """Index one more folder, now or after the run that goes on; it belongs to the library from now on."""
    path = folder_of(folder.path)
    plugin_of(request).add_folder(path)
    return activity_of(request).start([path])


@router.post("/retry")
def retry(request: Request) -> int:
    """Analyse the photos that failed again; return how many there are."""
    count = plugin_of(request).retry()
    activity_of(request).start()
    return count


@router.post("/warm-up", status_code=202)
def warm_up(request: Request, tasks: BackgroundTasks) -> None:
    """Load the networks in the background: somebody is about to draw a face."""
    if not request.app.state.warm.is_set():
        request.app.state.warm.set()
        tasks.add_task(_warm_up, request)


def _warm_up(request: Request) -> None:
    try:
        plugin_of(request).warm_up()
    except RollcallError as error:
        # No request waits for it; `events.Warned` reports networks that cannot be used when a face is drawn.
        log.info("the networks are not loaded yet: %s", error)
        request.app.state.warm.clear()


#: How often who listens is told that the server is there, in seconds.
STILL_HERE: Final = 5.0
#: How often it is seen whether there is anything to tell, in seconds.
POLL_SECONDS: Final = 0.25


@router.get("/progress", responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}})
async def progress(request: Request) -> StreamingResponse:
    """Stream the progress of indexing as server-sent events, one object whenever it changed."""
    activity = activity_of(request)

    async def stream() -> AsyncIterator[str]:
        seen, quiet, ends = -1, 0.0, False
        while not ends:
            running = activity.progress.state in ("running", "pausing")
            if activity.changed != seen or (running and quiet >= 1):
                seen, quiet = activity.changed, 0.0
                yield f"data: {json.dumps(activity.as_dict())}\n\n"
            elif quiet >= STILL_HERE:
                quiet = 0.0
                yield "event: here\ndata: {}\n\n"
            ends = await request.app.state.closing.wait(POLL_SECONDS)
            quiet += POLL_SECONDS

    return StreamingResponse(stream(), media_type="text/event-stream")


# ---- Pictures


_Small = Literal["thumb", "screen"]
_At = Annotated[float | None, Query(ge=0, le=1e7)]
_FILE: Final = {"schema": {"type": "string", "format": "binary"}}
_WEBP: Responses = {200: {"content": {"image/webp": _FILE}}}
_JPEG: Responses = {200: {"content": {"image/jpeg": _FILE}}}
pictures_router = APIRouter(prefix="/pictures", responses={**_WEBP, **NOT_FOUND})


def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.pictures
    return pictures


@pictures_router.get("/photo/{photo_id}/{kind}.webp", response_class=Response)
async def photo_picture(
    request: Request, photo_id: RowId, kind: Literal["thumb", "screen"], at: _At = None
) -> Response:
    """Return a photo, upright, as WebP; of a video a frame, with `at` the one at a time in seconds."""
    return await _picture(request, partial(_pictures(request).photo, photo_id, kind, at))


@pictures_router.get("/photo/{photo_id}/large.jpg", response_class=Response, responses=_JPEG)
async def large_photo(request: Request, photo_id: RowId, at: _At = None) -> Response:
    """Return a photo in nearly all its pixels, upright, as JPEG; of a video a frame, as above."""
    return await _picture(request, partial(_pictures(request).photo, photo_id, "large", at), "image/jpeg")


@pictures_router.get("/face/{face_id}.webp", response_class=Response)
async def face_picture(request: Request, face_id: RowId) -> Response:
    """Return a face, as WebP."""
    return await _picture(request, partial(_pictures(request).face, face_id))


async def _picture(request: Request, find: Callable[[], Wanted], media_type: str = "image/webp") -> Response:
    wanted = await run_in_threadpool(find)
    # What is asked for as it was before, or will be, is not to be kept as that.
    versioned = wanted.version and request.query_params.get("v") == wanted.version
    cache = "private, max-age=31536000, immutable" if versioned else "private, max-age=60"
    headers = {"Cache-Control": cache, "ETag": wanted.etag}
    if wanted.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await run_in_threadpool(wanted.stored)
    if data is None:
        data = await _pictures(request).jobs.result(wanted.key, wanted.make, request.is_disconnected)
    if data is None:
        return Response(status_code=503)  # nobody is there to read it
    return Response(data, media_type=media_type, headers=headers)
