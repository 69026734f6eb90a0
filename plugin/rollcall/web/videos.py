"""The files of videos for the browser to play, in parts, as browsers ask for them: as they are, but not for guests."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response

from rollcall.corrections.kind_base import RowId
from rollcall.errors import TooLargeError, UnreadableError, UnsupportedFormatError
from rollcall.media.formats import VIDEO_TYPES
from rollcall.web.problems import NOT_FOUND, Problem, Responses
from rollcall.web.security import guest_of

_VIDEO: Responses = {
    200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in VIDEO_TYPES.values()}},
    206: {"description": "The parts that the header Range asks for"},
    413: {"model": Problem, "description": "To guests: the video is too large for a copy without what it tells"},
    415: {"model": Problem, "description": "To guests: what the video tells cannot be taken out of its form"},
    416: {"description": "The header Range asks for no part of the file"},
}
router = APIRouter(prefix="/pictures/video", responses={**_VIDEO, **NOT_FOUND})


@router.get("/{video_id}", response_class=Response)
async def video(request: Request, video_id: RowId) -> Response:
    """Return the file of a video, by its number as a photo, or the part that the header `Range` asks for.

    Guests get a copy that tells nothing of places, people and cameras.
    """
    guest, path = guest_of(request.scope), None
    if guest is None or guest.everything:
        path, _ = await run_in_threadpool(request.app.state.pictures.file, video_id)
    else:
        try:
            path = await request.app.state.guest_videos.file(video_id, request.is_disconnected)
        except UnsupportedFormatError as error:
            raise HTTPException(415, error.reason) from error
        except TooLargeError as error:
            raise HTTPException(413, error.reason) from error
        if path is None:
            return Response(status_code=503)  # nobody is there to read it
    kind = VIDEO_TYPES.get(path.suffix.lower())
    if kind is None:
        raise UnreadableError(path, "this is a photo, not a video")
    info = await run_in_threadpool(path.stat)
    headers = {"Cache-Control": "private, max-age=60"}
    answer = FileResponse(path, media_type=kind, headers=headers, stat_result=info)
    etag = answer.headers["etag"]
    if "range" not in request.headers and etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={**headers, "ETag": etag})
    return answer
