"""The files of videos, as they are, for the browser to play; in parts, as browsers ask for them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response

from rollcall.corrections.kind_base import RowId
from rollcall.errors import UnreadableError
from rollcall.media.formats import VIDEO_TYPES
from rollcall.web.problems import NOT_FOUND, Responses

_VIDEO: Responses = {
    200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in VIDEO_TYPES.values()}},
    206: {"description": "The parts that the header Range asks for"},
    416: {"description": "The header Range asks for no part of the file"},
}
router = APIRouter(prefix="/pictures/video", responses={**_VIDEO, **NOT_FOUND})


@router.get("/{video_id}", response_class=Response)
async def video(request: Request, video_id: RowId) -> Response:
    """Return the file of a video, by its number as a photo, or the part that the header `Range` asks for."""
    path, _ = await run_in_threadpool(request.app.state.pictures.file, video_id)
    kind = VIDEO_TYPES.get(path.suffix.lower())
    if kind is None:
        raise UnreadableError(path, "this is a photo, not a video")
    return FileResponse(path, media_type=kind, headers={"Cache-Control": "private, max-age=60"})
