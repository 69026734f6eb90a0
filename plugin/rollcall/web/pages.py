"""The pages: library, photo, tags, indexing. Each also answers htmx with the part that changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from rollcall import corrections, search
from rollcall.errors import InvalidCorrectionError, InvalidQueryError, RollcallError
from rollcall.host import Plugin
from rollcall.media import paths
from rollcall.records import Box
from rollcall.search.details import FaceDetails, PhotoDetails
from rollcall.search.grammar import FIELDS
from rollcall.search.vocabulary import NOUNS
from rollcall.web.api import activity_of, plugin_of

router = APIRouter()
HERE = Path(__file__).parent
#: Photos that come with one scroll.
PAGE = 60
#: Photos whose tag is accepted with one press.
MOST_ACCEPTED = 2000


def plain(value: object) -> str:
    """Return a name as text that shows itself: control and direction characters as what they are, not what they do."""
    return "".join(c if c.isprintable() and c not in _DIRECTIONS else f"\\u{ord(c):04x}" for c in str(value))


_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


def percent(value: float | None) -> str:
    """Return a probability for people."""
    if value is None:
        return "–"
    return "100%" if value >= 0.9995 else f"{value:.1%}" if value >= 0.995 or value < 0.1 else f"{value:.0%}"


def about(face: FaceDetails) -> str:
    """Return what is known of a face in one line."""
    parts = []
    if face.age is not None:
        if face.age_interval is None or face.age_interval[0] == face.age_interval[1]:
            parts.append(f"{face.age:.0f}")
        elif face.age_source == "user":
            parts.append(f"{face.age_interval[0]:.0f}–{face.age_interval[1]:.0f}")
        else:
            parts.append(f"{face.age:.0f} ({face.age_interval[0]:.0f}–{face.age_interval[1]:.0f})")
    p = face.p_female
    if face.gender_source == "user":
        if face.gender:
            parts.append(plain(face.gender))
    elif p is not None:
        parts.append(f"{'female' if p >= 0.5 else 'male'} {percent(max(p, 1 - p))}")
    return ", ".join(parts) or "nothing is known"


templates = Jinja2Templates(directory=HERE / "templates")
templates.env.filters |= {"plain": plain, "percent": percent, "about": about}
templates.env.trim_blocks = templates.env.lstrip_blocks = True


def page(request: Request, template: str, /, code: int = 200, **values: Any) -> HTMLResponse:
    """Return a page with what every page shows."""
    embedded = request.url.path.startswith("/embed") or request.query_params.get("embed") == "1"
    values |= {"here": request.url.path, "embedded": embedded}
    return templates.TemplateResponse(request, template, values, status_code=code)


def problem(request: Request, message: str, status: int) -> Response:
    """Return a message as a page, or as the part that htmx puts in place."""
    name = "_problem.html" if "hx-request" in request.headers else "problem.html"
    return page(request, name, status, message=message)


# ---- Library


@router.get("/", response_class=HTMLResponse)
@router.get("/embed", response_class=HTMLResponse)
def library(
    request: Request,
    q: Annotated[str, Query(max_length=2000)] = "",
    order: str = "",
    sure: Annotated[float, Query(ge=0, le=1)] = search.MIN_PROBABILITY,
    offset: Annotated[int, Query(ge=0)] = 0,
    after: int | None = None,
) -> Response:
    """Show the photos that a query means; from `offset` on, or `after` a photo, only the next part of them."""
    plugin = plugin_of(request)
    # Without a question all photos are as likely: then the newest come first.
    chosen: search.Order = "date" if order == "date" or not q.strip() else "probability"
    error: InvalidQueryError | None = None
    hits: list[search.Hit] = []
    total: int | None = None
    further = offset > 0 or after is not None
    shown: list[PhotoDetails] = []
    notices: list[str] = []
    try:
        hits = plugin.search(
            q,
            limit=PAGE + 1,
            offset=offset,
            min_probability=sure,
            order=chosen,
            faces=False,
            after=after,
        )
        shown = plugin.photos([hit.photo_id for hit in hits[:PAGE]])
        if not further:
            # Counting may take longer than finding the first: where it does, it comes by itself a moment later.
            if len(hits) <= PAGE:
                total = len(hits)
            elif not q.strip():
                total = plugin.count(q)
            notices = plugin.notices(q)
    except InvalidQueryError as wrong:
        error = wrong
    chances = {hit.photo_id: hit.probability for hit in hits}
    address = {"q": q, "order": chosen, "sure": sure}
    embed = {"embed": "1"} if request.url.path == "/embed" or request.query_params.get("embed") else {}
    values: dict[str, Any] = {
        "q": q,
        "order": chosen,
        "sure": sure,
        "error": error,
        "photos": shown,
        "chances": chances,
        "total": total,
        "notices": notices,
        "ranked": bool(q.strip()),
        "next": "",
        "counting": "/count?" + urlencode({"q": q, "sure": sure}),
    }
    if len(hits) > PAGE:
        place = {"offset": offset + PAGE} if q.strip() else {"after": hits[PAGE - 1].photo_id}
        values["next"] = "/?" + urlencode({**address, **embed, **place})
    if further or request.headers.get("hx-target") == "results":
        return page(request, "_grid.html" if further else "_results.html", **values)
    return page(request, "library.html", words=_completions(plugin), **values)


@router.get("/count", response_class=HTMLResponse)
def count(
    request: Request,
    q: Annotated[str, Query(max_length=2000)] = "",
    sure: Annotated[float, Query(ge=0, le=1)] = search.MIN_PROBABILITY,
) -> Response:
    """Tell how many photos a query means."""
    total = plugin_of(request).count(q, min_probability=sure)
    return page(request, "_count.html", total=total)


def _completions(plugin: Plugin) -> list[str]:
    """Return what may be typed into the search box."""
    tags = [f'tag:"{tag.name}"' for tag in plugin.tags() if '"' not in tag.name]
    everyday = ["photos of children", "two children", "a woman and a baby", "only adults", "women over 60"]
    return [*everyday, "group photos", "no people", *sorted(set(NOUNS)), *(f"{field}:" for field in FIELDS), *tags][
        :400
    ]


# ---- Photo


@router.get("/photo/{photo_id}", response_class=HTMLResponse)
def photo(request: Request, photo_id: int, face: int | None = None) -> Response:
    """Show one photo with its faces; `face` is the one that is open."""
    return _photo(request, photo_id, face)


def _estimates(plugin: Plugin) -> bool:
    attributes = plugin.settings.attributes
    return bool(attributes.age == "on" and plugin.status().state == "indexing")


def _photo(request: Request, photo_id: int, face_id: int | None = None) -> Response:
    plugin = plugin_of(request)
    details = plugin.photo(photo_id)
    chosen = next((one for one in details.faces if one.face_id == face_id), None)
    values: dict[str, Any] = {
        "photo": details,
        "face": chosen,
        "curve": None if chosen is None else curve(chosen.age_distribution),
        # Drawn while a run goes on: the networks look at it when they are free.
        "waiting": chosen is not None and chosen.score == 0 and not chosen.groups.get("adults") and _estimates(plugin),
        "before_after": plugin.neighbours(photo_id),
    }
    return page(request, "_photo.html" if "hx-request" in request.headers else "photo.html", **values)


@router.get("/face/{face_id}/similar", response_class=HTMLResponse)
def similar(request: Request, face_id: int) -> Response:
    """Show the faces that look most like one."""
    plugin = plugin_of(request)
    try:
        near = plugin.similar(face_id, limit=12)
    except RollcallError as error:
        return page(request, "_problem.html", message=str(error))
    return page(request, "_similar.html", similar=list(with_faces(plugin, near)), face_id=face_id)


def with_faces(plugin: Plugin, near: Iterable[tuple[int, float]]) -> Iterator[tuple[FaceDetails, float]]:
    """Yield the faces of these numbers that are still shown, each with what stands beside its number."""
    for face_id, chance in near:
        try:
            yield plugin.face(face_id), chance
        except InvalidCorrectionError:
            continue  # it went while the page was made


@router.post("/photo/{photo_id}/say", response_class=HTMLResponse)
def say(
    request: Request,
    photo_id: int,
    what: Annotated[str, Form()],
    face: Annotated[int | None, Form()] = None,
    low: Annotated[float | None, Form()] = None,
    high: Annotated[float | None, Form()] = None,
    label: Annotated[str, Form(max_length=100)] = "",
    tag: Annotated[str, Form(max_length=500)] = "",
    box: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Record what is said on the page of a photo, and show it as it is now."""
    plugin = plugin_of(request)
    open_face = face
    match what:
        case "age" if face is not None and low is not None:
            plugin.correct(corrections.age(face, low, high))
        case "gender" if face is not None:
            plugin.correct(corrections.gender(face, label.strip() or None))
        case "not_a_face" if face is not None:
            plugin.correct(corrections.not_a_face(face))
            open_face = None
        case "ignore" if face is not None:
            plugin.correct(corrections.ignore(face))
            open_face = None
        case "take_back_age" | "take_back_gender" if face is not None:
            kind: corrections.Kind = "age" if what == "take_back_age" else "gender"
            plugin.correct(corrections.take_back(kind, face_id=face))
        case "draw" | "move":
            place = _box(box)
            if what == "move" and face is not None:
                plugin.correct(corrections.move(face, place))
            else:
                open_face = plugin.correct(corrections.draw(photo_id, place)).face_ids[0]
        case "tag" | "no_tag":
            plugin.correct(corrections.tag(photo_id, tag, what == "tag"))
        case "undo":
            plugin.undo()
        case "redo":
            plugin.redo()
        case _:
            return problem(request, "The page said something that was not understood; load it again.", 422)
    return _photo(request, photo_id, open_face)


def _box(words: str) -> Box:
    try:
        x, y, width, height = (float(value) for value in words.split(","))
    except ValueError as error:
        raise InvalidCorrectionError(f"{words!r} is no box; load the page again and draw it anew") from error
    return Box(x, y, width, height)


def curve(distribution: tuple[float, ...] | None) -> str | None:
    """Return the path of an age distribution in a picture of 101 x 40 units, as SVG writes it."""
    if distribution is None:
        return None
    top = max(*distribution, 1e-6)
    points = " ".join(f"L{age + 0.5:g} {40 - 38 * value / top:.2f}" for age, value in enumerate(distribution))
    return f"M0 40 {points} L101 40 Z"


# ---- Tags


@router.get("/tags", response_class=HTMLResponse)
def tags(request: Request) -> Response:
    """Show every tag."""
    return page(request, "tags.html", tags=plugin_of(request).tags())


@router.get("/tag", response_class=HTMLResponse)
def tag(request: Request, name: str, above: Annotated[float, Query(ge=0, le=1)] = 0.8) -> Response:
    """Show what of a tag waits for an answer, from a certainty on, the least certain first."""
    plugin = plugin_of(request)
    found = plugin.suggestions(name, above, limit=MOST_ACCEPTED)
    values: dict[str, Any] = {
        "name": name,
        "above": above,
        "count": found.count,
        "applied": found.applied,
        "most": MOST_ACCEPTED,
        "photos": plugin.photos([photo_id for photo_id, _ in found.photos[:24]]),
        "chances": dict(found.photos),
    }
    part = request.headers.get("hx-target") == "preview"
    return page(request, "_preview.html" if part else "tag.html", **values)


@router.post("/tag", response_class=HTMLResponse)
def answer_tag(
    request: Request,
    name: Annotated[str, Form(max_length=500)],
    above: Annotated[float, Form(ge=0, le=1)],
    what: Annotated[str, Form()],
    photo_id: Annotated[int | None, Form()] = None,
) -> Response:
    """Accept or reject a tag: of one photo, or accept it of all from a certainty on."""
    plugin = plugin_of(request)
    if what == "undo":
        plugin.undo()
    elif photo_id is not None:
        plugin.correct(corrections.tag(photo_id, name, what == "accept"))
    elif what == "accept":
        found = plugin.suggestions(name, above, limit=MOST_ACCEPTED).photos
        if found:
            plugin.correct(*(corrections.tag(one, name, True) for one, _ in found))
    return tag(request, name, above)


# ---- Indexing


@router.get("/indexing", response_class=HTMLResponse)
def indexing(request: Request) -> Response:
    """Show what goes on."""
    plugin = plugin_of(request)
    values: dict[str, Any] = {
        "status": plugin.status(),
        "folders": [paths.to_text(str(folder)) for folder in plugin.folders()],
        "progress": activity_of(request).as_dict(),
    }
    return page(request, "indexing.html", **values)


@router.get("/favicon.ico")
def favicon() -> Response:
    """Lead to the picture that browsers ask for."""
    return RedirectResponse("/static/icon.svg")
