"""The albums, the photos of one, and photos of this day in earlier years."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.corrections.kind_base import RowId
from rollcall.errors import InvalidCorrectionError, InvalidQueryError
from rollcall.search.albums import Album
from rollcall.search.details import PhotoDetails
from rollcall.search.ranking import Ranked
from rollcall.sentences import Sentence
from rollcall.web.history import PERSON
from rollcall.web.inputs import Probability, language_of, plugin_of, remembered_of, tab_of
from rollcall.web.messages import Toast
from rollcall.web.pages.library import PAGE, Part, months_of, videos_of
from rollcall.web.pages.rendering import is_part, page
from rollcall.web.pages.selection import zip_of
from rollcall.web.pages.undoing import CHANGED
from rollcall.web.results import LIKELY, Results
from rollcall.web.security import guest_of
from rollcall.web.translation import gettext

router = APIRouter()
#: Photos of the strip of this day in earlier years.
MEMORIES: Final = 16
AlbumName = Annotated[str, Form(max_length=200)]


class Card(NamedTuple):
    """An album as the list shows it."""

    album: Album
    photos: int
    videos: int  # among them
    cover: PhotoDetails | None
    problem: InvalidQueryError | None  # why its photos cannot be told


@router.get("/albums", response_class=HTMLResponse)
def albums(request: Request) -> Response:
    """Show all albums; to guests those that are shared."""
    plugin, guest = plugin_of(request), guest_of(request.scope)
    cards = [_card(request, one) for one in plugin.albums() if guest is None or guest.everything or one.shared]
    return page(request, "_albums.html" if is_part(request) else "albums.html", cards=cards)


def _card(request: Request, album: Album) -> Card:
    plugin, remembered = plugin_of(request), remembered_of(request)
    try:
        count = remembered.get(("album", album.album_id), lambda: plugin.album_count(album.album_id))
        # The likeliest is what the album is about.
        best = remembered.get(
            ("cover", album.album_id),
            lambda: plugin.ranked("", album=album.album_id, limit=1, min_probability=album.min_probability),
        )
    except InvalidQueryError as error:
        return Card(album, 0, 0, None, error)
    videos = _videos(request, album)
    return Card(album, count, videos, next(iter(plugin.photos([hit.photo_id for hit in best], brief=True)), None), None)


def _videos(request: Request, album: Album) -> int:
    key = ("album_videos", album.album_id)
    return videos_of(remembered_of(request), key, plugin_of(request), album.min_probability, album=album.album_id)


@router.post("/albums", response_class=HTMLResponse)
def save(
    request: Request,
    name: AlbumName,
    q: Annotated[str, Form(max_length=2000)] = "",
    sure: Annotated[Probability, Form()] = LIKELY,
) -> Response:
    """Save a search as an album."""
    if not q.strip():
        raise InvalidCorrectionError(Sentence("there is no search to save; type one, or choose photos"))
    plugin, language = plugin_of(request), language_of(request)
    same = (name.strip(), q.strip(), sure, language)
    for one in plugin.albums():
        if (one.name, one.query, one.min_probability, one.language) == same:
            # A button that is pressed twice, or a search that comes again.
            text = gettext("“%(name)s” is an album already", name=one.name)
            return _answer(request, Toast(text, to=f"/album/{one.album_id}"))
    album = plugin.save_album(name, q, min_probability=sure, language=language, by=PERSON, origin=tab_of(request))
    return _answer(
        request, Toast(gettext("Saved as “%(name)s”", name=album.name), "undo", to=f"/album/{album.album_id}")
    )


@router.get("/album/{album_id}", response_class=HTMLResponse)
def album(
    request: Request,
    album_id: RowId,
    offset: Annotated[RowId, Query()] = 0,
    at: Annotated[RowId, Query()] = 0,
    before: Annotated[RowId, Query()] = 0,
) -> Response:
    """Show the photos of an album.

    `offset` gives only those behind it, `before` only some that lie before it; `at` begins the page at a place of it.
    """
    return shown(request, album_id, offset, at, before=before)


def shown(
    request: Request, album_id: int, offset: int = 0, at: int = 0, *, before: int = 0, toast: Toast | None = None
) -> Response:
    """Return the page of an album, or a part of its photos."""
    plugin = plugin_of(request)
    one, further = plugin.album(album_id), offset > 0 or before > 0
    first = max(before - PAGE, 0) if before else offset or at // PAGE * PAGE
    limit = before - first if before else PAGE + 1
    values: dict[str, Any] = {"album": one, "toast": toast, "problem": None, "total": 0, "videos": 0}
    values["lan"] = bool(request.app.state.network.address)
    try:
        remembered = remembered_of(request)
        hits: Sequence[Ranked] = remembered.hits(Results(album=album_id), first, limit, further=further)
        values["videos"] = 0 if further else _videos(request, one)
        values["total"] = 0 if further else remembered.get(("album", album_id), lambda: plugin.album_count(album_id))
    except InvalidQueryError as error:
        hits, values["problem"] = [], error
    part = Part([hit.photo_id for hit in hits[:PAGE]], first=first)
    part.next = f"/album/{album_id}?offset={first + PAGE}" if len(hits) > PAGE else ""
    part.newer = f"/album/{album_id}?before={first}" if first and (before or not further) else ""
    photos = plugin.photos(part.photos, brief=True)
    values |= {
        "part": part,
        "photos": photos,
        "months": months_of(photos),
        "chances": {},
        "order": "date",
        "uncertain": False,
        "results": Results(album=album_id),
    }
    if further:
        return page(request, "_grid.html", **values)
    return page(request, "_album.html" if is_part(request) else "album.html", **values)


@router.post("/album/{album_id}", response_class=HTMLResponse)
def change(
    request: Request,
    album_id: RowId,
    what: Annotated[Literal["rename", "search", "share", "unshare", "remove"], Form()],
    name: AlbumName = "",
    q: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Change an album, and show it; of one that is removed, the message that offers to undo it."""
    plugin, tab = plugin_of(request), tab_of(request)
    before = plugin.album(album_id)
    match what:
        case "rename":
            plugin.rename_album(album_id, name, by=PERSON, origin=tab)
        case "search":
            plugin.search_album(album_id, q, language=language_of(request), by=PERSON, origin=tab)
            return shown(request, album_id, toast=Toast(gettext("The album has another search."), "undo"))
        case "share" | "unshare":
            plugin.share_album(album_id, what == "share", by=PERSON, origin=tab)
        case "remove":
            plugin.remove_album(album_id, by=PERSON, origin=tab)
            return page(request, "_removed_album.html", album=before)
    return shown(request, album_id)


@router.get("/album/{album_id}/zip", response_class=Response)
def download(request: Request, album_id: RowId) -> Response:
    """Return the originals of an album as one ZIP file."""
    plugin = plugin_of(request)
    return zip_of(request, [hit.photo_id for hit in plugin.album_photos(album_id)], plugin.album(album_id).name)


@router.get("/on-this-day", response_class=HTMLResponse)
def on_this_day(request: Request) -> Response:
    """Show photos of this day in earlier years, if there are any."""
    plugin = plugin_of(request)
    years = {one.photo_id: one.years for one in plugin.on_this_day(limit=MEMORIES)}
    # Chosen by turns, shown by years.
    years = dict(sorted(years.items(), key=lambda one: one[1]))
    return page(request, "_memories.html", memories=plugin.photos(list(years), brief=True), years=years)


def _answer(request: Request, toast: Toast) -> Response:
    answer = page(request, "_toast.html", toast=toast)
    answer.headers.update(CHANGED)
    return answer
