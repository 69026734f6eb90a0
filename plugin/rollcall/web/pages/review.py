"""The review: one face after another, or many similar ones at once, each answer with one key."""

from __future__ import annotations

import threading
from itertools import islice
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from rollcall.ages import AGE_GROUPS
from rollcall.corrections.kind_base import RowId
from rollcall.corrections.review_queue import Question, none_of
from rollcall.errors import RequestError
from rollcall.host import Plugin
from rollcall.search.details import FaceDetails
from rollcall.web import history, names
from rollcall.web.forms import review_correction
from rollcall.web.inputs import GroupName, history_of, plugin_of, remembered_of
from rollcall.web.messages import Done, Toast
from rollcall.web.pages.photo import with_details
from rollcall.web.pages.rendering import is_part, page
from rollcall.web.security import base_of
from rollcall.web.translation import gettext, ngettext, sentence_of

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
        self._denied: set[tuple[int, str]] = set()
        self.answered = 0
        self._waiting: list[Question] = []
        self._lock = threading.Lock()

    @property
    def ranked(self) -> bool:
        """Whether questions are ranked already, which takes longer than a page may let anybody wait."""
        return bool(self._waiting)

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

    def deny(self, face_id: int, group: str) -> None:
        """Ask whether a face is younger or older than a group, and not whether it belongs to it: the answer was no."""
        with self._lock:
            self._denied.add((face_id, group))

    def is_denied(self, face_id: int, group: str) -> bool:
        """Return whether it is known that a face does not belong to a group, and not whether it is younger or older."""
        return (face_id, group) in self._denied

    def take_back(self, face_id: int, group: str) -> None:
        """Ask again whether a face belongs to a group: the no was a mistake."""
        with self._lock:
            self._denied.discard((face_id, group))

    def reset(self) -> None:
        """Rank again: a correction was undone. What it was answered after stays so."""
        with self._lock:
            self._waiting = []


def _queue(request: Request) -> Queue:
    queue: Queue = request.app.state.queue
    return queue


@router.get("/review", response_class=HTMLResponse)
def show(request: Request) -> Response:
    """Show the next question."""
    if not is_part(request) and not _queue(request).ranked and remembered_of(request).is_large():
        return page(request, "later.html", title=gettext("Review"), part="question", address="/review")
    return _question(request)


def _question(request: Request, message: str = "", code: int = 200, toast: Toast | None = None) -> Response:
    queue = _queue(request)
    found = queue.next()
    values: dict[str, Any] = {
        "question": found[0] if found else None,
        "further": _further(queue, found[0]) if found else None,
        "toast": toast,
        "coming": [question.face.face_id for question in found[1:]],
        "left": queue.plugin.left_to_review(),
        "answered": queue.answered,
        "skipped": len(queue.skipped),
        "message": message,
        "unindexed": not found and not queue.plugin.status().photos.get("indexed"),
    }
    return page(request, "_question.html" if is_part(request) else "review.html", code, **values)


@router.post("/review", response_class=HTMLResponse)
def answer(
    request: Request, face: Annotated[RowId, Form()], group: Annotated[GroupName, Form()], what: Answer
) -> Response:
    """Record an answer and show the next question."""
    try:
        return _question(request, *_record(request, face, group, what))
    except RequestError as error:
        # Shown with the next question: the review goes on.
        return _question(request, sentence_of(error), error.status)


class Further(NamedTuple):
    """The years on both sides of a group in the middle: who is not of it is younger or older."""

    below: int  # the highest age below the group
    above: int  # the lowest age above it


def _further(queue: Queue, question: Question) -> Further | None:
    if not queue.is_denied(question.face.face_id, question.group):
        return None
    ages = AGE_GROUPS[question.group]
    return Further(ages.low - 1, ages.high + 1)


class Answered(NamedTuple):
    """What is to be shown beside the next question."""

    message: str = ""
    code: int = 200
    toast: Toast | None = None


def _record(request: Request, face_id: int, group: str, what: str) -> Answered:
    plugin, queue = plugin_of(request), _queue(request)
    if what == "skip":
        queue.skip(face_id)
        return Answered()
    if what == "take_back":
        queue.take_back(face_id, group)
        return Answered()
    if what == "undo":
        done = history_of(request).undo()
        queue.answered = max(queue.answered - done.count, 0)
        queue.reset()
        return Answered(toast=history.undone(done))
    correction = review_correction(face_id, group, what)
    if plugin.face(face_id).age_source != "model":
        return Answered(_stays(1))
    if correction is None:
        queue.deny(face_id, group)
        return Answered()
    history_of(request).correct(correction)
    queue.answered += 1
    return Answered()


def _stays(count: int) -> str:
    return ngettext(
        "%(num)s was answered meanwhile and stays as it is.",
        "%(num)s were answered meanwhile and stay as they are.",
        count,
    )


# ---- Similar faces


@router.get("/review/alike/{face_id}", response_class=HTMLResponse)
def show_similar(request: Request, face_id: RowId, group: Annotated[GroupName, Query()]) -> Response:
    """Show the faces similar to one whose ages nobody has corrected yet."""
    faces = _uncorrected(_queue(request), face_id, group)
    if not faces or faces[0].face.face_id != face_id:
        # It was answered, here or elsewhere, and a page that is loaded again asks what is asked now.
        return RedirectResponse(f"{base_of(request.scope)}/review", 303)
    likely = (faces[0].face.groups[group] or 0.0) >= 0.5
    middle = none_of(face_id, group) is None
    values: dict[str, Any] = {"faces": faces, "face_id": face_id, "group": group, "likely": likely, "middle": middle}
    return page(request, "review_similar.html", **values)


class Similar(NamedTuple):
    """A face that looks like the one in question."""

    face: FaceDetails
    same: float  # the probability, 0..1, that the answer for it is the same


def _uncorrected(queue: Queue, face_id: int, group: str) -> list[Similar]:
    """Return the face in question, and those similar to it, those first whose answer is most likely the same."""
    near = [(face_id, 1.0), *queue.plugin.similar(face_id, limit=4 * SIMILAR)]
    asked_of = [(face, similarity) for face, similarity in near if not queue.is_denied(face, group)]
    predicted = (face for face, _ in with_details(queue.plugin, asked_of) if face.age_source == "model")
    faces = list(islice(predicted, SIMILAR))
    asked = next((face for face in faces if face.face_id == face_id), None)
    if asked is None:
        return []
    # What the person sees of the first face is what they will answer for it, and so is what is likely of it.
    yes = (asked.groups[group] or 0.0) >= 0.5

    def same(face: FaceDetails) -> float:
        p = face.groups[group] or 0.0
        return p if yes else 1.0 - p

    ranked = [Similar(face, 1.0 if face is asked else same(face)) for face in faces]
    return sorted(ranked, key=lambda one: (one.face is not asked, -one.same))


@router.post("/review/alike", response_class=HTMLResponse)
def answer_similar(
    request: Request,
    group: Annotated[GroupName, Form()],
    what: Answer,
    faces: Annotated[list[RowId] | None, Form()] = None,
) -> Response:
    """Record one answer for all faces that are ticked, as one batch; what was answered meanwhile stays as it is."""
    ticked = list(dict.fromkeys(faces or []))
    still = [
        face.face_id
        for face, _ in with_details(plugin_of(request), [(one, 1.0) for one in ticked])
        if face.age_source == "model"
    ]
    given = [review_correction(face, group, what) for face in still]
    chosen = [correction for correction in given if correction is not None]
    if chosen:
        history_of(request).correct(*chosen)
        _queue(request).answered += len(chosen)
    elif not given:
        message = gettext("Nothing is recorded: no face was ticked that is still open.")
        return _question(request, message)
    else:
        message = gettext(
            "Nothing is recorded: being none of %(group)s, they are younger or older. Say which.",
            group=names.group(group),
        )
        return _question(request, message)
    message = ngettext("%(num)s face answered in one go.", "%(num)s faces answered in one go.", len(chosen))
    if left := len(ticked) - len(still):
        message = f"{message} {_stays(left)}"
    return _question(request, Done(message))
