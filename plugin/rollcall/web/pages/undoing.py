"""Undo and redo from any page: the answer is a message, and the page shows itself anew."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.web import history
from rollcall.web.inputs import history_of
from rollcall.web.messages import Toast
from rollcall.web.pages.rendering import page

router = APIRouter()
#: What the page hears when something was changed that it may show.
CHANGED = {"HX-Trigger": "rollcall-changed"}


@router.post("/undo", response_class=HTMLResponse)
def undo(request: Request) -> Response:
    """Undo what was done here last."""
    return _answer(request, history.undone(history_of(request).undo()))


@router.post("/redo", response_class=HTMLResponse)
def redo(request: Request) -> Response:
    """Do again what was undone last."""
    return _answer(request, history.redone(history_of(request).redo()))


def _answer(request: Request, toast: Toast) -> Response:
    answer = page(request, "_toast.html", toast=toast)
    answer.headers.update(CHANGED)
    return answer
