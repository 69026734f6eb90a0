"""The library: photos that match a query, page by page as one scrolls."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from rollcall import search
from rollcall.corrections.kind_base import RowId
from rollcall.errors import InvalidQueryError
from rollcall.host import Plugin
from rollcall.search.grammar import FIELDS
from rollcall.search.vocabulary import NOUNS
from rollcall.web.inputs import Probability, QueryText, plugin_of
from rollcall.web.pages.rendering import page

router = APIRouter()
#: Photos that come with one scroll.
PAGE: Final = 60
#: Completions that the search box offers at most.
COMPLETIONS: Final = 400
_EVERYDAY: Final = ("photos of children", "two children", "a woman and a baby", "only adults", "women over 60")


@router.get("/", response_class=HTMLResponse)
@router.get("/embed", response_class=HTMLResponse)
def library(
    request: Request,
    q: QueryText = "",
    order: str = "",
    sure: Annotated[Probability, Query()] = search.MIN_PROBABILITY,
    offset: Annotated[RowId, Query()] = 0,
    after: Annotated[RowId | None, Query()] = None,
) -> Response:
    """Show the photos that match a query; from `offset` on, or `after` a photo, only the next part of them."""
    plugin = plugin_of(request)
    further = offset > 0 or after is not None
    # Without a query all photos are equally probable: then the newest come first.
    chosen: search.Order = "date" if order == "date" or not q.strip() else "probability"
    values: dict[str, Any] = {
        "q": q,
        "order": chosen,
        "sure": sure,
        "ranked": bool(q.strip()),
        "counting": "/count?" + urlencode({"q": q, "sure": sure}),
        "photos": [],
        "next": "",
    }
    try:
        hits = plugin.search(
            q, limit=PAGE + 1, offset=offset, min_probability=sure, order=chosen, faces=False, after=after
        )
        values |= {
            "notices": [] if further else plugin.notices(q, readings=False),
            "readings": () if further else plugin.interpret(q).notes,
            "total": None if further else _total(plugin, q, hits),
            "photos": plugin.photos([hit.photo_id for hit in hits[:PAGE]]),
            "chances": {hit.photo_id: hit.probability for hit in hits},
            "next": _next_address(request, values, hits, offset),
        }
    except InvalidQueryError as error:
        # Shown where the query was typed: the page itself is whole.
        values["error"] = error
    if further or request.headers.get("hx-target") == "results":
        return page(request, "_grid.html" if further else "_results.html", **values)
    return page(request, "library.html", completions=_completions(plugin), **values)


def _total(plugin: Plugin, q: str, hits: list[search.Hit]) -> int | None:
    """Return how many photos match; None where counting takes long: the page then asks for the number by itself."""
    if len(hits) <= PAGE:
        return len(hits)
    return None if q.strip() else plugin.count(q)


def _next_address(request: Request, values: dict[str, Any], hits: list[search.Hit], offset: int) -> str:
    """Return the address of the next part; empty if there is none."""
    if len(hits) <= PAGE:
        return ""
    address = {name: values[name] for name in ("q", "order", "sure")}
    if request.url.path == "/embed" or request.query_params.get("embed"):
        address["embed"] = "1"
    place = {"offset": offset + PAGE} if values["ranked"] else {"after": hits[PAGE - 1].photo_id}
    return "/?" + urlencode({**address, **place})


def _completions(plugin: Plugin) -> list[str]:
    """Return what the search box offers to complete."""
    tags = [f'tag:"{tag.name}"' for tag in plugin.tags() if '"' not in tag.name]
    fields = [f"{field}:" for field in FIELDS]
    return [*_EVERYDAY, "group photos", "no people", *sorted(set(NOUNS)), *fields, *tags][:COMPLETIONS]


@router.get("/count", response_class=HTMLResponse)
def count(
    request: Request, q: QueryText = "", sure: Annotated[Probability, Query()] = search.MIN_PROBABILITY
) -> Response:
    """Show how many photos match a query."""
    return page(request, "_count.html", total=plugin_of(request).count(q, min_probability=sure))


@router.get("/favicon.ico")
def favicon() -> Response:
    """Redirect to the icon that browsers ask for."""
    return RedirectResponse("/static/icon.svg")
