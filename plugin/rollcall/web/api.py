"""The HTTP API: what the host's object offers, over HTTP; its OpenAPI document is at /api/openapi.json."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, BackgroundTasks, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from rollcall import corrections
from rollcall.corrections.kinds import Correction
from rollcall.errors import InvalidCorrectionError, PictureError
from rollcall.host import Plugin
from rollcall.media import paths
from rollcall.records import Box
from rollcall.search import MIN_PROBABILITY, Order
from rollcall.web.activity import Activity
from rollcall.web.models import (
    CorrectionIn,
    DoneModel,
    EntryModel,
    FolderIn,
    HitModel,
    PhotoModel,
    QuestionModel,
    SaidIn,
    SearchAnswer,
    SimilarModel,
    StatusModel,
    TagCountModel,
)
from rollcall.web.pictures import Kind, Pictures

T = TypeVar("T")
router = APIRouter(prefix="/api")


def plugin_of(request: Request) -> Plugin:
    """Return the plugin that the application serves."""
    plugin: Plugin = request.app.state.plugin
    return plugin


def activity_of(request: Request) -> Activity:
    """Return what goes on in the background."""
    activity: Activity = request.app.state.activity
    return activity


@router.get("/search")
def search(
    request: Request,
    q: Annotated[str, Query(max_length=2000)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
    min_probability: Annotated[float, Query(ge=0, le=1)] = MIN_PROBABILITY,
    order: Order = "probability",
) -> SearchAnswer:
    """Return the photos that a query means, the likeliest or the newest first."""
    plugin = plugin_of(request)
    hits = plugin.search(q, limit=limit, offset=offset, min_probability=min_probability, order=order)
    return SearchAnswer(
        total=plugin.count(q, min_probability=min_probability),
        hits=[HitModel.of(hit) for hit in hits],
        notices=plugin.notices(q),
    )


@router.get("/photos/{photo_id}")
def photo(request: Request, photo_id: int) -> PhotoModel:
    """Return a photo with its faces and tags."""
    return PhotoModel.of(plugin_of(request).photo(photo_id))


@router.get("/faces/{face_id}/similar")
def similar(request: Request, face_id: int, limit: Annotated[int, Query(ge=1, le=500)] = 24) -> list[SimilarModel]:
    """Return the faces that look most like one."""
    found = plugin_of(request).similar(face_id, limit=limit)
    return [SimilarModel(face_id=face, probability=chance) for face, chance in found]


def said(one: CorrectionIn) -> Correction:
    """Return a correction from what came over HTTP.

    Raises
    ------
    InvalidCorrectionError
        If it lacks what its kind needs.
    """
    if one.kind == "take_back":
        kind: corrections.Kind = _needed(one.of, one, "of, the kind that is taken back")
        return corrections.take_back(kind, face_id=one.face_id, photo_id=one.photo_id, name=one.name)
    if one.kind == "tag":
        return corrections.tag(_needed(one.photo_id, one, "photo_id"), one.name, one.accepted)
    if one.kind == "box" and one.face_id is None:
        return corrections.draw(_needed(one.photo_id, one, "face_id or photo_id"), _box(one))
    face_id = _needed(one.face_id, one, "face_id")
    if one.kind == "age" and one.group is not None:
        return corrections.age_group(face_id, one.group)
    match one.kind:
        case "age":
            return corrections.age(face_id, _needed(one.low, one, "low (and high), or group"), one.high)
        case "gender":
            return corrections.gender(face_id, one.label)
        case "not_a_face":
            return corrections.not_a_face(face_id)
        case "ignore":
            return corrections.ignore(face_id)
        case _:
            return corrections.move(face_id, _box(one))


def _needed(value: T | None, one: CorrectionIn, name: str) -> T:
    if value is None:
        raise InvalidCorrectionError(f"a correction of the kind {one.kind} needs {name}")
    return value


def _box(one: CorrectionIn) -> Box:
    box = _needed(one.box, one, "box")
    return Box(box.x, box.y, box.width, box.height)


@router.post("/corrections")
def correct(request: Request, what: SaidIn) -> DoneModel:
    """Record what a person says, all in one go; it holds at once and wins over every estimate."""
    return DoneModel.of(plugin_of(request).correct(*map(said, what.said), by=what.by))


@router.get("/corrections")
def log(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100, before: int | None = None
) -> list[EntryModel]:
    """Return the log of corrections, the newest first, from below line `before` on."""
    return [EntryModel.of(entry) for entry in plugin_of(request).corrections(limit=limit, before=before)]


@router.post("/undo")
def undo(request: Request) -> DoneModel:
    """Undo what was said last."""
    return DoneModel.of(plugin_of(request).undo())


@router.post("/redo")
def redo(request: Request) -> DoneModel:
    """Let hold again what was undone last."""
    return DoneModel.of(plugin_of(request).redo())


@router.get("/review")
def review(request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> list[QuestionModel]:
    """Return the faces to ask a person about next, the most telling first."""
    return [QuestionModel.of(question) for question in plugin_of(request).review(limit=limit)]


@router.get("/tags")
def tags(request: Request) -> list[TagCountModel]:
    """Return every tag in use."""
    return [TagCountModel(**tag._asdict()) for tag in plugin_of(request).tags()]


@router.put("/photos/{photo_id}/tags/{name:path}")
def add_tag(request: Request, photo_id: int, name: str) -> bool:
    """Set a tag of the host's; false, and nothing is done, if a person has rejected it."""
    return plugin_of(request).add_tag(photo_id, name)


@router.delete("/photos/{photo_id}/tags/{name:path}")
def remove_tag(request: Request, photo_id: int, name: str) -> bool:
    """Take away a tag of the host's; false if it has set none."""
    return plugin_of(request).remove_tag(photo_id, name)


@router.get("/status")
def status(request: Request) -> StatusModel:
    """Return what Rollcall does, and what the database holds."""
    plugin = plugin_of(request)
    now = plugin.status()
    folders = [paths.to_text(str(folder)) for folder in plugin.folders()]
    return StatusModel(state=now.state, photos=dict(now.photos), faces=now.faces, error=now.error, folders=folders)


@router.post("/index")
def index(request: Request) -> bool:
    """Begin a run over all known folders, or go on with one that was paused; false if one goes on already."""
    return activity_of(request).start()


@router.post("/warm-up", status_code=202)
def warm_up(request: Request, tasks: BackgroundTasks) -> None:
    """Load the networks meanwhile: somebody is about to draw a face."""
    if not request.app.state.warm.is_set():
        request.app.state.warm.set()
        tasks.add_task(plugin_of(request).warm_up)


@router.post("/pause")
def pause(request: Request) -> None:
    """End the run after the photos in flight; nothing is lost."""
    activity_of(request).pause()


@router.post("/folders")
def add_folder(request: Request, folder: FolderIn) -> bool:
    """Index one more folder; it belongs to the library from then on."""
    path = Path(paths.from_text(os.path.expanduser(folder.path.strip())))  # noqa: PTH111 (a text, not yet a path)
    if not path.is_absolute():
        raise HTTPException(422, "give the whole path of the folder, from the root on")
    if not path.is_dir():
        raise HTTPException(422, f"{folder.path}: the folder is not there; check the path")
    return activity_of(request).start([path])


@router.post("/retry")
def retry(request: Request) -> int:
    """Try the photos that failed again; return how many there are."""
    count = plugin_of(request).retry()
    activity_of(request).start()
    return count


@router.get("/progress")
async def progress(request: Request) -> StreamingResponse:
    """Stream the progress of indexing as server-sent events, one object whenever it changed."""
    activity = activity_of(request)

    async def stream() -> AsyncIterator[str]:
        seen, quiet = -1, 0.0
        while not request.app.state.closing.is_set():
            running = activity.progress.state in ("running", "pausing")
            if activity.changed != seen or (running and quiet >= 1):
                seen, quiet = activity.changed, 0.0
                yield f"data: {json.dumps(activity.as_dict())}\n\n"
            elif quiet >= 15:
                quiet = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(0.25)
            quiet += 0.25

    return StreamingResponse(stream(), media_type="text/event-stream")


pictures_router = APIRouter(prefix="/pictures")


def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.pictures
    return pictures


@pictures_router.get("/photo/{photo_id}/{kind}.webp", response_class=Response)
def picture(request: Request, photo_id: int, kind: Kind) -> Response:
    """Return a photo, upright, as WebP."""
    return _webp(lambda: _pictures(request).photo(photo_id, kind), "v" in request.query_params)


@pictures_router.get("/face/{face_id}.webp", response_class=Response)
def face_picture(request: Request, face_id: int) -> Response:
    """Return a face, as WebP."""
    return _webp(lambda: _pictures(request).face(face_id), "v" in request.query_params)


def _webp(make: object, versioned: bool) -> Response:
    assert callable(make)
    try:
        data = make()
    except PictureError as error:
        raise HTTPException(404, error.reason) from error
    cache = "private, max-age=31536000, immutable" if versioned else "private, max-age=60"
    return Response(data, media_type="image/webp", headers={"Cache-Control": cache})
