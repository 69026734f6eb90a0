"""Questions about people with names, one at a time: what settles the most faces comes first."""

from __future__ import annotations

import threading
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.errors import InvalidCorrectionError, RequestError
from rollcall.host import Plugin
from rollcall.people.persons import Person
from rollcall.people.questions import Question, in_rows
from rollcall.web.forms import NOT_UNDERSTOOD
from rollcall.web.history import History
from rollcall.web.inputs import history_of, plugin_of, remembered_of
from rollcall.web.messages import Done, Toast
from rollcall.web.pages.rendering import is_part, page
from rollcall.web.people_forms import ProposalForm
from rollcall.web.translation import gettext, sentence_of

router = APIRouter()
#: Faces that are shown of a question.
ROW: Final = 12
#: Questions that the rows are made of: faces of one person stand in one row.
ASKED: Final = 500
#: The keys of whom else the faces may be.
KEYS: Final = "bcdef"
#: Answers after which the library is asked anew: each tells something about other faces.
ANSWERS: Final = 5


class PeopleQueue:
    """What is asked next. All faces are compared for it, so some questions are kept. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self._waiting: list[Question] = []
        self._skipped: set[tuple[int, int]] = set()  # person and face
        self._lock = threading.Lock()

    def next(self) -> Question | None:
        """Return the question that is worth the most; None if there is none left."""
        with self._lock:
            if not self._waiting:
                # Rows are made of other questions each time: a face that was skipped comes back in none.
                found = [one for one in self.plugin.people_questions(ASKED) if not self._skipped & self._of(one)]
                self._waiting = in_rows(found, ROW)[:ANSWERS]
            return self._waiting[0] if self._waiting else None

    def find(self, person: int | None, face: int) -> Question | None:
        """Return the question that a form shows, by its person and one of its faces."""
        with self._lock:
            return next((one for one in self._waiting if one.person == person and face in one.faces), None)

    def answered(self, question: Question) -> None:
        """Leave a question out, and others about its faces."""
        with self._lock:
            self._waiting = [one for one in self._waiting if not set(one.faces) & set(question.faces)]

    def skip(self, question: Question) -> None:
        """Leave a question out until the next start."""
        with self._lock:
            self._skipped |= self._of(question)
            self._waiting = [one for one in self._waiting if one is not question]

    def reset(self) -> None:
        """Ask anew: something changed."""
        with self._lock:
            self._waiting = []

    @staticmethod
    def _of(question: Question) -> set[tuple[int, int]]:
        return {(question.person, face) for face in question.faces}


def _queue(request: Request) -> PeopleQueue:
    queue: PeopleQueue = request.app.state.people_queue
    return queue


@router.get("/people/questions", response_class=HTMLResponse)
def show(request: Request) -> Response:
    """Show what is worth asking the most."""
    if not is_part(request) and remembered_of(request).is_large():
        return page(request, "later.html", title=gettext("Who is it?"), part="question", address="/people/questions")
    _queue(request).reset()
    return _asked(request)


def _asked(request: Request, message: str = "", code: int = 200, toast: Toast | None = None) -> Response:
    question = _queue(request).next()
    values: dict[str, Any] = {
        "person": None if question is None else plugin_of(request).person(question.person),
        "faces": [] if question is None else question.faces[:ROW],
        "more": 0 if question is None else max(len(question.faces) - ROW, 0),
        "candidates": [] if question is None else _candidates(request, question),
        "chance": 0.0 if question is None else question.probability,
        "message": message,
        "toast": toast,
    }
    return page(request, "_people_question.html" if is_part(request) else "people_question.html", code, **values)


def _candidates(request: Request, question: Question) -> list[tuple[str, Person]]:
    """Return key and person of whom else the faces of a question may be."""
    return [(key, plugin_of(request).person(one.person)) for key, one in zip(KEYS, question.candidates, strict=False)]


@router.post("/people/questions", response_class=HTMLResponse)
def answer(request: Request, form: Annotated[ProposalForm, Form()]) -> Response:
    """Record one answer for the faces that are ticked, and show the next question."""
    queue = _queue(request)
    if form.what == "undo":
        toast = history_of(request).step("undo")
        queue.reset()
        return _asked(request, toast=toast)
    try:
        message = _answer(queue, history_of(request), form)
    except RequestError as error:
        queue.reset()
        return _asked(request, sentence_of(error), error.status)
    return _asked(request, message)


def _answer(queue: PeopleQueue, past: History, form: ProposalForm) -> str:
    question = queue.find(form.person, form.faces[0]) if form.faces else None
    if form.what == "skip":
        question = question or queue.next()
        if question is not None:
            queue.skip(question)
        return ""
    if not form.faces:
        return gettext("No face was ticked.")
    if question is None:
        # Another tab answered it, or the server was started anew.
        queue.reset()
        return gettext("This was asked too long ago; here is what is asked now.")
    shown = [one.person for one in question.candidates[: len(KEYS)]]
    if form.what == "instead" and form.instead not in shown:
        raise InvalidCorrectionError(NOT_UNDERSTOOD)
    name = past.plugin.person(question.person).name
    seen = [face for face in question.faces if face in form.faces]
    yes = form.what == "yes"
    # Who was unticked in a row that is the person is somebody else.
    others = [face for face in question.faces[:ROW] if face not in seen] if yes else []
    instead = form.instead if form.what == "instead" else None
    # With a no, none of those who were shown is it.
    nor = shown if form.what == "no" else []
    them = past.plugin.answer_question(
        question, yes, seen=seen, others=others, instead=instead, nor=nor, origin=past.tab
    )
    queue.answered(question)
    if yes or instead is not None:
        return Done(gettext("This is %(name)s.", name=them.name))
    if nor:
        return Done(gettext("This is nobody of them."))
    return Done(gettext("This is not %(name)s.", name=name))
