"""Errors become answers: JSON for programs, a page or a part of one for browsers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollcall.errors import InvalidQueryError, PictureError, RollcallError
from rollcall.sentences import Sentence
from rollcall.web.pages.rendering import explained, is_part, problem
from rollcall.web.problems import FieldProblem, FieldProblems, Problem, QueryProblem
from rollcall.web.translation import for_people, gettext, language, sentence_of, translated

log = logging.getLogger(__name__)
UNEXPECTED: Final = Sentence("Rollcall failed at this; its log has the details. Please report it.")
NOT_UNICODE: Final = Sentence("The address has bytes that are not UTF-8.")
#: Below these, programs are answered; everywhere else, people.
_JSON_PATHS: Final = ("/api/", "/pictures/", "/static/")


def install(app: FastAPI) -> None:
    """Make an application answer with the status and the sentence of what it raises."""
    app.add_exception_handler(RollcallError, _rollcall_error)
    app.add_exception_handler(RequestValidationError, _invalid_fields)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_middleware(UnexpectedErrors)


class UnexpectedErrors:
    """Answers 500 where the application fails, and 422 where the address of a request is not UTF-8.

    An exception handler for `Exception` would run outside of all middleware, and its answer would lack the security
    headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if not _is_utf8(scope):
            await _answer(request, 422, Problem(detail=translated(NOT_UNICODE)))(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception:
            if started:
                raise  # too late for another answer: the server logs it and ends the connection
            log.exception("%s %r failed", scope["method"], scope["path"])
            await _answer(request, 500, Problem(detail=translated(UNEXPECTED)))(scope, receive, send)


def _is_utf8(scope: Scope) -> bool:
    try:
        unquote_to_bytes((scope.get("raw_path") or b"") + b"?" + scope["query_string"]).decode()
    except UnicodeDecodeError:
        return False
    return True


def _rollcall_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RollcallError)
    if isinstance(error, InvalidQueryError):
        answer: Problem = QueryProblem(
            detail=str(error) if language() == "en" else explained(error),
            position=error.position,
            expected=list(error.expected),
            suggestion=error.suggestion,
            suggestions=list(error.suggestions),
        )
    elif isinstance(error, PictureError):
        # A client asked for a number, not for the path.
        answer = Problem(detail=translated(error.reason))
    else:
        answer = Problem(detail=sentence_of(error))
    return _answer(request, error.status, answer)


def _invalid_fields(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Without the values that were sent: JSON has no form for some of them, such as NaN.
    fields = [FieldProblem(type=one["type"], loc=list(one["loc"]), msg=one["msg"]) for one in error.errors()]
    return _answer(request, 422, FieldProblems(detail=fields))


def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, Problem(detail=_refused(request, error)), error.headers)


def _refused(request: Request, error: HTTPException) -> str:
    """Return what HTTP's own refusals say; people see the one of a page that is not there, programs its English."""
    english = request.url.path.startswith(_JSON_PATHS) and language() == "en"
    return str(error.detail) if error.status_code != 404 or english else gettext("There is no such page.")


def _answer(
    request: Request, status: int, content: Problem | FieldProblems, headers: Mapping[str, str] | None = None
) -> Response:
    if request.url.path.startswith(_JSON_PATHS):
        return JSONResponse(content.model_dump(), status, headers)
    message = content.detail if isinstance(content, Problem) else _sentence(content.detail)
    response = problem(request, for_people(message), status)
    if is_part(request):
        # What is shown stays: the refusal is a message over it.
        response.headers.update({"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"})
    response.headers.update(headers or {})
    return response


def _sentence(fields: Iterable[FieldProblem]) -> str:
    """Return what is wrong with the fields of a form or an address, for people."""
    fields = list(fields)
    if any(field.loc and field.loc[0] == "path" for field in fields):
        return gettext("There is no such page.")
    wrong: dict[str, Any] = {str(field.loc[-1]): field.msg for field in fields if field.loc}
    # The messages are those of the validation, in English: elsewhere the names of the fields have to do.
    fields_wrong = "; ".join(f"{name}: {message}" if language() == "en" else name for name, message in wrong.items())
    return gettext("This cannot be read: %(fields)s", fields=fields_wrong)
