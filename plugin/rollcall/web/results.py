"""The results that a photo was opened from: its neighbours in them, and the way back to its place."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import Request

from rollcall.errors import InvalidQueryError, NotFoundError
from rollcall.host import Plugin
from rollcall.search import Order
from rollcall.web.inputs import language_of

#: The page begins with photos that are at least this likely; less likely ones are a click away.
LIKELY: Final = 0.5
#: A photo is looked for so many places before and behind its own: an index run adds others before it.
_MOVED: Final = 1000


class Results(NamedTuple):
    """A search as the library shows it, and the place of a photo in it."""

    q: str = ""
    order: Order = "probability"
    sure: float = LIKELY
    at: int = 0  # of the photo, from 0 on
    language: str | None = None  # that the query is in by preference
    album: int = 0  # the album whose photos they are; 0: none

    def parameters(self, at: int) -> str:
        """Return the query of the address of a photo at some place; "" for the library without a search."""
        if self.album:
            return "?" + urlencode({"album": self.album, "at": at})
        if not self.q:
            return ""
        return f"?{_encoded(self.q, self.order, self.sure)}&at={at}"


@lru_cache(maxsize=16)
def _encoded(q: str, order: str, sure: float) -> str:
    return urlencode({"q": q, "order": order, "sure": sure})


class Around(NamedTuple):
    """The addresses of what lies around a photo; empty where there is nothing."""

    before: str
    after: str
    back: str
    results: Results


def results_of(request: Request) -> Results:
    """Return the results of the address of a page, or of the page that asks for a part of itself."""
    given: dict[str, str] = dict(request.query_params)
    if "hx-request" in request.headers:
        current = parse_qs(urlsplit(request.headers.get("hx-current-url", "")).query)
        given = {name: values[0] for name, values in current.items()}
    order: Order = "date" if given.get("order") == "date" else "probability"
    q = given.get("q", "")[:2000]
    sure, at = _number(given.get("sure"), LIKELY, 1.0), int(_number(given.get("at"), 0, 2**40))
    album = int(_number(given.get("album"), 0, 2**53))
    if album:
        return Results(order="date", at=at, album=album)
    return Results(q, order, sure, at, language_of(request))


def _number(text: Any, default: float, most: float) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return default
    return value if 0 <= value <= most else default


def around(plugin: Plugin, photo_id: int, results: Results) -> Around:
    """Return what lies around a photo: in the results it was opened from, or by time without any."""
    if results.q or results.album:
        try:
            if results.album:
                results = results._replace(sure=plugin.album(results.album).min_probability)
            return _in_results(plugin, photo_id, results)
        except (InvalidQueryError, NotFoundError):
            pass  # an address that was typed, or an album that was removed: the photo is shown all the same
    newer, older = plugin.neighbours(photo_id)
    before, after = (f"/photo/{one}" if one else "" for one in (newer, older))
    return Around(before, after, f"/?near={photo_id}#photo-{photo_id}", Results())


def _in_results(plugin: Plugin, photo_id: int, results: Results) -> Around:
    first = max(results.at - 1, 0)
    found = _numbers(plugin, results, first, 4)
    here = results.at - first
    if photo_id not in found and _is_among(plugin, photo_id, results):
        further = max(results.at - _MOVED, 0)
        moved = _numbers(plugin, results, further, 2 * _MOVED)
        if photo_id in moved:
            first, found = further, moved
    if photo_id not in found:
        # A correction took it out of the results: the one behind it has moved up.
        before = found[0] if here and found else None
        after = found[here] if here < len(found) else None
        return _addresses(photo_id, before, after, results.at - 1, results.at, results)
    place = found.index(photo_id)
    if place == 0 < first or place == 3:
        # It has moved by one or two: what lies beside it was not asked for.
        first = max(first + place - 1, 0)
        found = _numbers(plugin, results, first, 3)
        place = found.index(photo_id) if photo_id in found else 0
    before = found[place - 1] if place else None
    after = found[place + 1] if place + 1 < len(found) else None
    at = first + place
    return _addresses(photo_id, before, after, at - 1, at + 1, results._replace(at=at))


def _is_among(plugin: Plugin, photo_id: int, results: Results) -> bool:
    """Return whether a photo is still one of the results, so that it is worth to look for its place."""
    return plugin.is_match(
        photo_id,
        "" if results.album else results.q,
        min_probability=results.sure,
        language=results.language,
        album=results.album or None,
    )


def _numbers(plugin: Plugin, results: Results, first: int, limit: int) -> list[int]:
    """Return the photos of so many places of the results, from one on."""
    hits = plugin.ranked(
        "" if results.album else results.q,
        limit=limit,
        offset=first,
        min_probability=results.sure,
        order=results.order,
        language=results.language,
        album=results.album or None,
    )
    return [hit.photo_id for hit in hits]


def _addresses(
    photo_id: int, before: int | None, after: int | None, before_at: int, after_at: int, results: Results
) -> Around:
    back = f"/album/{results.album}?at={results.at}" if results.album else f"/{results.parameters(results.at)}"
    return Around(
        f"/photo/{before}{results.parameters(before_at)}" if before else "",
        f"/photo/{after}{results.parameters(after_at)}" if after else "",
        f"{back}#photo-{photo_id}",
        results,
    )
