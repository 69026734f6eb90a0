"""The switch of the page's language, which the browser remembers."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from rollcall.web.translation import COOKIE, LANGUAGES

router = APIRouter()
_YEAR: Final = 365 * 24 * 3600


@router.post("/language", response_class=Response)
def choose(request: Request, language: Annotated[str, Form(max_length=20)] = "") -> Response:
    """Remember the language that was chosen; any other text goes back to the browser's."""
    answer = Response(headers={"HX-Refresh": "true"})
    if language in LANGUAGES:
        answer.set_cookie(COOKIE, language, max_age=_YEAR, httponly=True, samesite="strict", path="/")
    else:
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
    return answer
