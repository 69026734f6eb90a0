"""The review: one face after another, or many that look alike at once, each answer with one key."""

from __future__ import annotations

import threading
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from rollcall import corrections
from rollcall.ages import AGE_GROUPS
from rollcall.corrections import review_queue
from rollcall.corrections.kinds import Correction
from rollcall.corrections.review_queue import Question
from rollcall.errors import InvalidCorrectionError
from rollcall.host import Plugin
from rollcall.search.details import FaceDetails
from rollcall.web.api import plugin_of
from rollcall.web.pages import page, with_faces

router = APIRouter()
#: Questions that are weighed against each other in one go: weighing takes longer than answering.
AHEAD = 200
#: Faces on a screen of look-alikes.
ALIKE = 24


class Queue:
    """The questions of one library, weighed once and asked one by one. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.skipped: set[int] = set()
        self.answered = 0
        self._waiting: list[Question] = []
        self._lock = threading.Lock()

    def next(self, count: int = 1) -> list[Question]:
        """Return the next questions that are still open."""
        with self._lock:
            open_ = self._open()
            if not open_:
                self._waiting = self.plugin.review(limit=AHEAD, skip=self.skipped)
                open_ = self._open()
            return open_[:count]

    def _open(self) -> list[Question]:
        """Drop what was answered meanwhile, here or elsewhere, and return the first few that are left."""
        result: list[Question] = []
        kept = [one for one in self._waiting if one.face.face_id not in self.skipped]
        for position, one in enumerate(kept):
            now = self.plugin.photos([one.photo.photo_id])
            face = next((f for photo in now for f in photo.faces if f.face_id == one.face.face_id), None)
            wanted = any(tag.name == one.tag and tag.state == "suggested" for photo in now for tag in photo.tags)
            if face is not None and face.age_source == "model" and wanted:
                result.append(one)
            if len(result) == 4:
                self._waiting = result + kept[position + 1 :]
                return result
        self._waiting = result
        return result

    def skip(self, face_id: int) -> None:
        """Leave a face out until the next start."""
        self.skipped.add(face_id)

    def anew(self) -> None:
        """Weigh again: something was undone."""
        with self._lock:
            self._waiting = []


def _queue(request: Request) -> Queue:
    queue: Queue = request.app.state.queue
    return queue


@router.get("/review", response_class=HTMLResponse)
def show(request: Request) -> Response:
    """Show the next question."""
    return _asked(request)


def _asked(request: Request, message: str = "") -> Response:
    queue = _queue(request)
    found = queue.next(4)
    values: dict[str, Any] = {
        "question": found[0] if found else None,
        "coming": [one.face.face_id for one in found[1:]],
        "left": queue.plugin.left_to_review(),
        "answered": queue.answered,
        "skipped": len(queue.skipped),
        "message": message,
    }
    return page(request, "_question.html" if "hx-request" in request.headers else "review.html", **values)


@router.post("/review", response_class=HTMLResponse)
def answer(
    request: Request,
    face: Annotated[int, Form()],
    group: Annotated[str, Form()],
    what: Annotated[str, Form()],
) -> Response:
    """Take an answer and show the next question."""
    plugin, queue = plugin_of(request), _queue(request)
    message = ""
    try:
        if what == "undo":
            plugin.undo()
            queue.answered = max(queue.answered - 1, 0)
            queue.anew()
            message = "The last answer is undone."
        elif what == "skip":
            queue.skip(face)
        else:
            one = said(face, group, what)
            if one is None:
                # Which of the two sides it is, only an age can tell.
                message = "Say how old instead: baby, child, teenager, adult or older."
            else:
                plugin.correct(one)
                queue.answered += 1
    except InvalidCorrectionError as error:
        message = str(error)
    return _asked(request, message)


def said(face_id: int, group: str, what: str) -> Correction | None:
    """Return what an answer says of a face; None where it does not say enough."""
    if what == "not_a_face":
        return corrections.not_a_face(face_id)
    if what == "ignore":
        return corrections.ignore(face_id)
    if what in review_queue.ANSWERS:
        return corrections.age(face_id, *review_queue.ANSWERS[what])
    if group not in AGE_GROUPS:
        raise InvalidCorrectionError(f"{group!r} is no group of ages; load the page again")
    if what == "yes":
        return corrections.age_group(face_id, group)
    if what == "no":
        return review_queue.none_of(face_id, group)
    raise InvalidCorrectionError("the page said something that was not understood; load it again")


# ---- Look-alikes


@router.get("/review/alike/{face_id}", response_class=HTMLResponse)
def alike(request: Request, face_id: int, group: str) -> Response:
    """Show the faces that look like one and that nobody has spoken of yet."""
    return page(request, "alike.html", faces=_alike(plugin_of(request), face_id), face_id=face_id, group=group)


def _alike(plugin: Plugin, face_id: int) -> list[tuple[FaceDetails, float]]:
    near = [(face_id, 1.0), *plugin.similar(face_id, limit=4 * ALIKE)]
    unspoken = ((face, chance) for face, chance in with_faces(plugin, near) if face.age_source == "model")
    return list(islice(unspoken, ALIKE))


@router.post("/review/alike", response_class=HTMLResponse)
def answer_alike(
    request: Request,
    group: Annotated[str, Form()],
    what: Annotated[str, Form()],
    faces: Annotated[list[int] | None, Form()] = None,
) -> Response:
    """Say one thing of all the faces that are ticked, all in one go."""
    chosen = [one for one in (said(face, group, what) for face in faces or []) if one is not None]
    if chosen:
        plugin_of(request).correct(*chosen)
        _queue(request).answered += len(chosen)
    return _asked(request, f"{len(chosen)} faces answered in one go; u undoes all of it.")
