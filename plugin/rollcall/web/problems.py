"""Errors as answers: their models and where the OpenAPI document declares them."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

Responses = dict[int | str, dict[str, Any]]


class Problem(BaseModel):
    """Why a request could not be served, in one sentence."""

    model_config = ConfigDict(extra="forbid")

    detail: str


class QueryProblem(Problem):
    """Why a query was not understood.

    `position` is the zero-based index of the offending character, `suggestions` holds up to three queries
    that are understood, and `suggestion` the first of them or is empty; `expected` names what fits there.
    """

    position: int
    expected: list[str]
    suggestion: str
    suggestions: list[str]


class FieldProblem(BaseModel):
    """What is wrong with one field of a request; `loc` leads to it."""

    model_config = ConfigDict(extra="forbid")

    type: str
    loc: list[str | int]
    msg: str


class FieldProblems(BaseModel):
    """The fields of a request that are missing or have invalid values."""

    model_config = ConfigDict(extra="forbid")

    detail: list[FieldProblem]


def _declared(status: int, model: Any, description: str) -> Responses:
    return {status: {"model": model, "description": description}}


#: Every route can answer these.
COMMON: Final[Responses] = {
    403: {
        "description": "The token is missing, or the request comes from another page or host.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    },
    **_declared(422, Problem | FieldProblems, "The request cannot be served as it is."),
    **_declared(500, Problem, "Rollcall failed; its log has the traceback."),
    **_declared(503, Problem, "The database or the networks cannot be used at present."),
}
#: Routes that take a query.
INVALID_QUERY: Final = _declared(422, QueryProblem | Problem | FieldProblems, "The query is not understood.")
#: Routes that take a body.
UNREADABLE_BODY: Final = _declared(400, Problem, "The body is not JSON that can be read.")
NOT_FOUND: Final = _declared(404, Problem, "There is no such photo or face.")
CONFLICT: Final = _declared(409, Problem, "The state of the library does not allow it, or other work runs.")
