"""Tags: all of them, and the suggestions of one, accepted or rejected one by one or together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall import corrections
from rollcall.corrections.kind_base import RowId
from rollcall.tags.store import TagCount
from rollcall.web import history
from rollcall.web.inputs import Probability, TagName, history_of, plugin_of, remembered_of
from rollcall.web.messages import Toast
from rollcall.web.names import tags_with_levels
from rollcall.web.pages.rendering import page

router = APIRouter()
#: Photos whose tag is accepted with one press.
MOST_ACCEPTED: Final = 2000
#: Suggestions that are shown.
SHOWN: Final = 24
#: From which probabilities on suggestions are shown at first: the highest that some have.
FIRST: Final = (0.8, 0.5, 0.25, 0.0)


@router.get("/tags", response_class=HTMLResponse)
def tags(request: Request) -> Response:
    """Show every tag."""
    found = {tag.name: tag for tag in remembered_of(request).get("tags", plugin_of(request).tags)}
    # Levels that no photo has as a tag of its own are shown, since all below them are searched by them.
    rows = [found.get(name, TagCount(name, 0, 0, 0)) for name in tags_with_levels(found)]
    return page(request, "tags.html", tags=rows)


@router.get("/tag", response_class=HTMLResponse)
def tag(
    request: Request, name: Annotated[TagName, Query()], above: Annotated[Probability | None, Query()] = None
) -> Response:
    """Show the photos for which a tag is suggested with at least a probability, the lowest first."""
    return _tag(request, name, FIRST if above is None else (above,))


def _tag(request: Request, name: str, tried: Sequence[float], toast: Toast | None = None) -> Response:
    """Show suggestions from the first of these probabilities on that some have; if none has any, the first."""
    plugin = plugin_of(request)
    for above in tried:
        found = plugin.suggestions(name, above, limit=MOST_ACCEPTED)
        if found.count:
            break
    else:
        above = tried[0]
    values: dict[str, Any] = {
        "name": name,
        "above": above,
        "count": found.count,
        "videos": found.videos,
        "applied": found.applied,
        "applied_videos": found.applied_videos,
        "most": MOST_ACCEPTED,
        "photos": plugin.photos([photo_id for photo_id, _ in found.photos[:SHOWN]]),
        "chances": dict(found.photos),
        "toast": toast,
    }
    part = request.headers.get("hx-target") == "preview"
    return page(request, "_preview.html" if part else "tag.html", **values)


@router.post("/tag", response_class=HTMLResponse)
def answer_tag(
    request: Request,
    name: Annotated[TagName, Form()],
    above: Annotated[Probability, Form()],
    what: Annotated[Literal["accept", "reject", "undo"], Form()],
    photo_id: Annotated[RowId | None, Form()] = None,
) -> Response:
    """Accept or reject a tag of one photo, or accept it of all from a probability on."""
    plugin, past = plugin_of(request), history_of(request)
    if what == "undo":
        return _tag(request, name, (above,), history.undone(past.undo()))
    if photo_id is not None:
        past.correct(corrections.tag(photo_id, name, what == "accept"))
    elif what == "accept":
        found = plugin.suggestions(name, above, limit=MOST_ACCEPTED).photos
        if found:
            past.correct(*(corrections.tag(one, name, True) for one, _ in found))
    return _tag(request, name, (above,))
