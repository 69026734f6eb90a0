"""The review: one face after another, or many similar ones at once, each answer with one key."""

from __future__ import annotations

import threading
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.corrections.kind_base import RowId
from rollcall.corrections.review_queue import Question
from rollcall.errors import RequestError
from rollcall.host import Plugin
from rollcall.search.details import FaceDetails
from rollcall.web.forms import review_correction
from rollcall.web.inputs import GroupName, plugin_of
from rollcall.web.pages.photo import with_details
from rollcall.web.pages.rendering import is_part, page

router = APIRouter()
#: Questions that are ranked in one go: ranking takes longer than answering.
AHEAD: Final = 200
#: The question that is shown and those whose pictures are loaded meanwhile.
SHOWN: Final = 4
#: Similar faces on a screen.
SIMILAR: Final = 24
Answer = Annotated[str, Form(max_length=50)]


class Queue:
    """The questions of one library, ranked once and asked one by one. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.skipped: set[int] = set()
        self.answered = 0
        self._waiting: list[Question] = []
        self._lock = threading.Lock()

    def next(self) -> list[Question]:
        """Return the next questions that are still open."""
        with self._lock:
            found = self._open()
            if not found:
                self._waiting = self.plugin.review(limit=AHEAD, skip=self.skipped)
                found = self._open()
            return found

    def _open(self) -> list[Question]:
        """Drop the questions that were answered meanwhile, here or elsewhere; return the first of the others."""
        result: list[Question] = []
        waiting = [question for question in self._waiting if question.face.face_id not in self.skipped]
        for position, question in enumerate(waiting):
            if self._is_open(question):
                result.append(question)
            if len(result) == SHOWN:
                self._waiting = result + waiting[position + 1 :]
                return result
        self._waiting = result
        return result

    def _is_open(self, question: Question) -> bool:
        now = self.plugin.photos([question.photo.photo_id])
        predicted = any(
            face.face_id == question.face.face_id and face.age_source == "model"
            for photo in now
            for face in photo.faces
        )
        return predicted and any(
            tag.name == question.tag and tag.state == "suggested" for photo in now for tag in photo.tags
        )

    def skip(self, face_id: int) -> None:
        """Leave a face out until the next start."""
        self.skipped.add(face_id)

    def reset(self) -> None:
        """Rank again: a correction was undone."""
        with self._lock:
            self._waiting = []


def _queue(request: Request) -> Queue:
    queue: Queue = request.app.state.queue
    return queue


@router.get("/review", response_class=HTMLResponse)
def show(request: Request) -> Response:
    """Show the next question."""
    return _question(request)


def _question(request: Request, message: str = "", code: int = 200) -> Response:
    queue = _queue(request)
    found = queue.next()
    values: dict[str, Any] = {
        "question": found[0] if found else None,
        "coming": [question.face.face_id for question in found[1:]],
        "left": queue.plugin.left_to_review(),
        "answered": queue.answered,
        "skipped": len(queue.skipped),
        "message": message,
    }
    return page(request, "_question.html" if is_part(request) else "review.html", code, **values)


@router.post("/review", response_class=HTMLResponse)
def answer(
    request: Request, face: Annotated[RowId, Form()], group: Annotated[GroupName, Form()], what: Answer
) -> Response:
    """Record an answer and show the next question."""
    try:
        return _question(request, _record(request, face, group, what))
    except RequestError as error:
        # Shown with the next question: the review goes on.
        return _question(request, str(error), error.status)


def _record(request: Request, face_id: int, group: str, what: str) -> str:
    """Record an answer; return a message for the person, or an empty text."""
    plugin, queue = plugin_of(request), _queue(request)
    if what == "skip":
        queue.skip(face_id)
        return ""
    if what == "undo":
        plugin.undo()
        queue.answered = max(queue.answered - 1, 0)
        queue.reset()
        return "The last answer is undone."
    correction = review_correction(face_id, group, what)
    if correction is None:
        return "Say how old instead: baby, child, teenager, adult or older."
    plugin.correct(correction)
    queue.answered += 1
    return ""


# ---- Similar faces


@router.get("/review/alike/{face_id}", response_class=HTMLResponse)
def show_similar(request: Request, face_id: RowId, group: Annotated[GroupName, Query()]) -> Response:
    """Show the faces similar to one whose ages nobody has corrected yet."""
    return page(
        request, "review_similar.html", faces=_uncorrected(plugin_of(request), face_id), face_id=face_id, group=group
    )


def _uncorrected(plugin: Plugin, face_id: int) -> list[tuple[FaceDetails, float]]:
    near = [(face_id, 1.0), *plugin.similar(face_id, limit=4 * SIMILAR)]
    predicted = (one for one in with_details(plugin, near) if one[0].age_source == "model")
    return list(islice(predicted, SIMILAR))


@router.post("/review/alike", response_class=HTMLResponse)
def answer_similar(
    request: Request,
    group: Annotated[GroupName, Form()],
    what: Answer,
    faces: Annotated[list[RowId] | None, Form()] = None,
) -> Response:
    """Record one answer for all faces that are ticked, as one batch."""
    given = [review_correction(face, group, what) for face in faces or []]
    chosen = [correction for correction in given if correction is not None]
    if chosen:
        plugin_of(request).correct(*chosen)
        _queue(request).answered += len(chosen)
    return _question(request, f"{len(chosen)} faces answered in one go; u undoes all of it.")
