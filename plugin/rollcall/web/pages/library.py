"""The library: photos that match a query or all of them by time, part by part as one scrolls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from rollcall import search
from rollcall.corrections.kind_base import RowId
from rollcall.errors import InvalidQueryError
from rollcall.host import Plugin
from rollcall.records import PhotoState
from rollcall.search import Interpretation
from rollcall.search.details import PhotoDetails
from rollcall.search.grammar import FIELDS, LANGUAGES, Note
from rollcall.search.grammar.tokens import quoted
from rollcall.search.grammar.translation import name_of
from rollcall.search.terms.base import SqlParameters
from rollcall.search.vocabulary import NOUNS
from rollcall.web.inputs import Probability, QueryText, language_of, plugin_of, remembered_of
from rollcall.web.names import tags_with_levels
from rollcall.web.pages.indexing import photos_left
from rollcall.web.pages.rendering import page
from rollcall.web.remembered import Remembered
from rollcall.web.results import LIKELY, Results
from rollcall.web.security import base_of
from rollcall.web.translation import language, pgettext

router = APIRouter()
#: Photos that come with one scroll.
PAGE: Final = 60
#: Completions that the search box offers at most.
COMPLETIONS: Final = 400
Month = Annotated[str | None, Query(pattern=r"^(\d{4}(-\d{2})?)?$", max_length=7)]


@dataclass
class Part:
    """A part of the photos, and the addresses of the parts around it; empty where there are none."""

    photos: list[int]
    chances: dict[int, float] = field(default_factory=dict)
    newer: str = ""  # what comes before it
    next: str = ""
    less: str = ""  # what is less likely than what was asked for
    first: int = 0  # the place of the first photo in the results


@router.get("/", response_class=HTMLResponse)
@router.get("/embed", response_class=HTMLResponse)
def library(
    request: Request,
    q: QueryText = "",
    order: str = "",
    sure: Annotated[Probability, Query()] = LIKELY,
    offset: Annotated[RowId, Query()] = 0,
    after: Annotated[RowId | None, Query()] = None,
    near: Annotated[RowId | None, Query()] = None,
    newer: Annotated[RowId | None, Query()] = None,
    until: Month = None,
    at: Annotated[RowId, Query()] = 0,
    before: Annotated[RowId, Query()] = 0,
) -> Response:
    """Show the photos that match a query, or all of them by time.

    `offset` and `before` a place of the results, `after` a photo and `newer` than one give only that part of them; `at`
    a place of the results, `near` a photo and `until` the end of a month begin the page there.
    """
    plugin, remembered, language = plugin_of(request), remembered_of(request), language_of(request)
    further = offset > 0 or before > 0 or after is not None or newer is not None
    values: dict[str, Any] = {
        "part": Part([]),
        "photos": [],
        "q": q,
        "sure": sure,
        "ranked": bool(q.strip()),
        "order": "date",
        "further": further,
        "results": Results(),
    }
    try:
        meaning = remembered.get(("meaning", q, language), lambda: plugin.interpret(q, language=language))
        uncertain = values["uncertain"] = bool(q.strip()) and _is_uncertain(meaning)
        # Of photos that all match for certain none is better than another: then the newest come first.
        values["order"] = "probability" if uncertain and order != "date" else "date"
        if q.strip():
            values["results"] = Results(q, values["order"], sure, at, language)
            first = max(before - PAGE, 0) if before else offset or at // PAGE * PAGE
            part = _found(remembered, values["results"], first, further, before)
        else:
            part = _by_time(plugin, after=after, near=near, newer=newer, until=until)
        values |= _shown(plugin, part)
        if not further:
            values |= {
                "notices": plugin.notices(q, readings=False, language=language)
                if plugin.settings.attributes.switched_off
                else [],
                "readings": _worth_saying(meaning.notes, language),
                **_total(remembered, q, part, values["photos"]),
                "counting": "/count?" + urlencode({"q": q, "sure": sure}),
            }
            if values["total"] == 0 and not q.strip():
                values |= {"arriving": plugin.service.state == "indexing", "left": photos_left(plugin)}
    except InvalidQueryError as error:
        # Shown where the query was typed: the page itself is whole.
        values["error"] = error
    if further or request.headers.get("hx-target") == "results":
        return page(request, "_grid.html" if further else "_results.html", **values)
    return page(request, "library.html", **values)


def _worth_saying(notes: Iterable[Note], language: str | None) -> list[Note]:
    """Return notes without the one that a query is in the language of the page, which goes without saying."""
    own = name_of(language) if language in LANGUAGES else None
    return [one for one in notes if own is None or getattr(one.text, "values", {}).get("language") != own]


def _is_uncertain(meaning: Interpretation) -> bool:
    """Return whether photos match a query with some probability only."""
    return meaning.term.condition(SqlParameters()) is None


def _found(remembered: Remembered, results: Results, offset: int, further: bool, before: int) -> Part:
    """Return a part of what matches a query; with `before` the part that ends at this place."""
    hits = remembered.hits(results, offset, before - offset if before else PAGE + 1, further=further)
    part = Part([hit.photo_id for hit in hits[:PAGE]], {hit.photo_id: hit.probability for hit in hits}, first=offset)
    address = {"q": results.q, "order": results.order, "sure": results.sure}
    if before:
        pass  # what comes behind it is shown already
    elif len(hits) > PAGE:
        part.next = "/?" + urlencode({**address, "offset": offset + PAGE})
    elif results.sure > search.MIN_PROBABILITY:
        less = {**address, "sure": search.MIN_PROBABILITY}
        # Below the likely ones the list goes on; by date they lie between those that are shown.
        part.less = "/?" + urlencode({**less, "at": offset} if results.order == "probability" else less)
    if offset and (results.at or before):
        part.newer = "/?" + urlencode({**address, "before": offset})
    return part


def _by_time(plugin: Plugin, *, after: int | None, near: int | None, newer: int | None, until: str | None) -> Part:
    """Return a part of all photos, the newest first."""
    if newer is not None:
        photos = plugin.newer_photos(newer, limit=PAGE + 1)
        return Part(photos[-PAGE:], newer=f"/?newer={photos[-PAGE]}" if len(photos) > PAGE else "")
    if until is not None:
        photos = plugin.photos_until(until, limit=PAGE + 1)
    else:
        known = [near] if near is not None and _is_shown(plugin, near) else []
        hits = plugin.search("", limit=PAGE + 1 - len(known), order="date", faces=False, after=after or near)
        photos = known + [hit.photo_id for hit in hits]
    part = Part(photos[:PAGE])
    if len(photos) > PAGE:
        part.next = f"/?after={photos[PAGE - 1]}"
    if photos and (near is not None or until is not None) and plugin.newer_photos(photos[0], limit=1):
        part.newer = f"/?newer={photos[0]}"
    return part


def _is_shown(plugin: Plugin, photo_id: int) -> bool:
    """Return whether the library shows a photo: one whose file is gone leaves its place to those around it."""
    return any(photo.state != PhotoState.MISSING for photo in plugin.photos([photo_id], brief=True))


def _shown(plugin: Plugin, part: Part) -> dict[str, Any]:
    photos = plugin.photos(part.photos, brief=True)
    return {"part": part, "photos": photos, "chances": part.chances, "months": months_of(photos)}


def months_of(photos: list[PhotoDetails]) -> list[str]:
    """Return for each photo its month, such as "2019-06"; "" without a capture time."""
    return [(photo.taken_local or "")[:7] for photo in photos]


def _total(remembered: Remembered, q: str, part: Part, photos: list[PhotoDetails]) -> dict[str, int | None]:
    """Return how many photos match, and how many of them are videos.

    None where counting takes long: the page then asks for the numbers by itself.
    """
    if not part.next and not part.newer and not part.first:
        return {"total": len(part.photos), "videos": sum(photo.duration is not None for photo in photos)}
    total, videos = (None, None) if q.strip() else (remembered.known("total"), remembered.known("videos"))
    return {"total": None if videos is None else total, "videos": videos}


@router.get("/words", response_class=HTMLResponse)
def words(request: Request) -> Response:
    """Show what the search box offers to complete; a page begins without it, since tags are counted for it."""
    plugin = plugin_of(request)
    remembered = remembered_of(request)
    found = remembered.get(("words", language()), lambda: _completions(plugin, remembered))
    return page(request, "_words.html", completions=found)


def _completions(plugin: Plugin, remembered: Remembered) -> list[str]:
    """Return what the search box offers to complete."""
    levels = tags_with_levels(tag.name for tag in remembered.get("tags", plugin.tags))
    tags = [f"tag:{quoted(name)}" for name in levels]
    fields = [f"{field}:" for field in FIELDS]
    names = list(dict.fromkeys(name for _, name in plugin.person_names()))[: COMPLETIONS // 2]
    return [*names, *_everyday(), *sorted(set(NOUNS)), *fields, *tags][:COMPLETIONS]


def _everyday() -> tuple[str, ...]:
    """Return queries that anybody may type, in words of the page's language."""
    return (
        pgettext("query", "photos of children"),
        pgettext("query", "two children"),
        pgettext("query", "a woman and a baby"),
        pgettext("query", "only adults"),
        pgettext("query", "women over 60"),
        pgettext("query", "group photos"),
        pgettext("query", "no people"),
    )


@router.get("/count", response_class=HTMLResponse)
def count(request: Request, q: QueryText = "", sure: Annotated[Probability, Query()] = LIKELY) -> Response:
    """Show how many photos match a query."""
    plugin, remembered, language = plugin_of(request), remembered_of(request), language_of(request)
    if not q.strip():
        total, videos = prefetched(plugin, remembered)
    else:
        total = remembered.get(
            ("count", q, sure, language), lambda: plugin.count(q, min_probability=sure, language=language)
        )
        videos = videos_of(remembered, ("videos", q, sure, language), plugin, sure, q=q, language=language)
    return page(request, "_count.html", total=total, videos=videos)


def prefetched(plugin: Plugin, remembered: Remembered) -> tuple[int, int]:
    """Return how many photos the library shows, and how many of them are videos."""
    total = remembered.get("total", lambda: sum(month.photos for month in remembered.get("months", plugin.months)))
    videos = has_videos(plugin, remembered) and remembered.get("videos", lambda: plugin.count("type:video"))
    return total, int(videos)


def has_videos(plugin: Plugin, remembered: Remembered) -> bool:
    """Return whether the library has any video; in one without, none are counted."""
    return remembered.get("has_videos", plugin.has_videos)


def videos_of(
    remembered: Remembered,
    key: tuple[object, ...],
    plugin: Plugin,
    sure: float,
    *,
    q: str = "",
    language: str | None = None,
    album: int | None = None,
) -> int:
    """Return how many videos match a query, or are in an album; kept by `key`. Nothing is counted without videos."""
    if not has_videos(plugin, remembered):
        return 0
    query = f"({q}) type:video" if q.strip() else "type:video"
    return remembered.get(key, lambda: plugin.count(query, min_probability=sure, language=language, album=album))


@router.get("/months", response_class=HTMLResponse)
def months(request: Request) -> Response:
    """Show the months that have photos, for the scrubber."""
    return page(request, "_months.html", months=remembered_of(request).get("months", plugin_of(request).months))


@router.get("/favicon.ico")
def favicon(request: Request) -> Response:
    """Redirect to the icon that browsers ask for."""
    return RedirectResponse(f"{base_of(request.scope)}/static/icon.svg")
