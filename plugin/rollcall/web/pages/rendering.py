"""What all pages share: templates, their filters, and the page that shows a problem."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from jinja2 import pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context
from markupsafe import Markup, escape

from rollcall.corrections.review_queue import ANSWERS
from rollcall.errors import InvalidQueryError
from rollcall.media.paths import readable
from rollcall.records import Box
from rollcall.search.details import FaceDetails
from rollcall.search.grammar.tokens import quoted
from rollcall.web import formats, names
from rollcall.web.drawings import boxes, faces_at
from rollcall.web.inputs import plugin_of
from rollcall.web.security import base_of, guest_of, is_embedded, is_sent_from_here
from rollcall.web.shown import about, clock, face_version, photo_version, version_of_face
from rollcall.web.tiles import tile
from rollcall.web.translation import (
    LANGUAGES,
    chosen_language,
    for_people,
    gettext,
    is_translated,
    known,
    language,
    ngettext,
    pgettext,
    texts,
    translated,
)

#: The address of a face's picture that does not say yet what it shows.
_FACES: Final = re.compile(r'/pictures/face/(\d{1,18})\.webp"')
#: Where a line may be broken within a name: behind what joins its parts, and before what ends it.
_BREAKS: Final = re.compile(r"(?<=[/_-])|(?=\.)")
#: How much of a query an error repeats, in characters.
QUERY_SHOWN: Final = 80


def in_answer(face: FaceDetails, name: str) -> bool:
    """Return whether a person gave just the ages of an answer of one key."""
    low, high = ANSWERS[name]
    return face.age_source == "user" and face.age_interval == (low, high)


def breakable(name: object) -> Markup:
    """Return a readable name of a file or a tag that is broken between its parts where it does not fit into a line."""
    return Markup("<wbr>").join(_BREAKS.split(readable(name)))


def curve(distribution: tuple[float, ...] | None) -> str | None:
    """Return the SVG path of an age distribution in a drawing of 101 x 40 units."""
    if distribution is None:
        return None
    top = max(*distribution, 1e-6)
    points = " ".join(f"L{age + 0.5:g} {40 - 38 * value / top:.2f}" for age, value in enumerate(distribution))
    return f"M0 40 {points} L101 40 Z"


def explained(error: InvalidQueryError, located: bool = True) -> str:
    """Return why a query is not understood, and without `located` not where, which the page points at.

    What was meant is offered beside it.
    """
    found = for_people(error.message)
    if located:
        found = gettext(
            "%(message)s at position %(position)s of “%(query)s”",
            message=found,
            position=error.position + 1,
            query=error.query if len(error.query) <= QUERY_SHOWN else f"{error.query[:QUERY_SHOWN]}…",
        )
    if error.suggestions or not error.expected:
        return found
    return gettext(
        "%(found)s; expected: %(expected)s", found=found, expected=", ".join(map(for_people, error.expected))
    )


def foreign(text: str | InvalidQueryError) -> Markup:
    """Return the attribute that says that a text is English where the page is not."""
    message = text.message if isinstance(text, InvalidQueryError) else known(text)
    return Markup("") if is_translated(message) else Markup(' lang="en"')


class BasePath(Extension):
    """Puts the path of this start before the links of templates, which are written as the routes are.

    Files of the page get a version, by which browsers keep them: else each page would ask for a dozen again.
    """

    _LINK: Final = re.compile(r'(\s(?:href|src|action|hx-get|hx-post)=")/')
    _FILE: Final = re.compile(r'(\s(?:href|src)="/static/)([\w.-]+\.(?:css|js|svg))"')

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the source of a template with its links completed."""
        versioned = self._FILE.sub(lambda found: f'{found[1]}{found[2]}?v={_version_of_file(found[2])}"', source)
        return self._LINK.sub(r"\1{{ base }}/", versioned)


def has_folders(request: Request) -> bool:
    """Return whether the library has a folder: without one nothing begins."""
    return bool(plugin_of(request).folders())


def _version_of_file(name: str) -> str:
    content = (Path(__file__).parent.parent / "static" / name).read_bytes()
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _marked(text: Callable[..., str]) -> Callable[..., Markup]:
    """Return a function that gives the same text as HTML, with its values escaped."""

    def marked(*given: Any, **values: Any) -> Markup:
        # Escaped before they are put in; what is HTML already stays.
        return Markup(text(*given, **{name: _escaped(value) for name, value in values.items()}))

    return marked


def _escaped(value: Any) -> Any:
    return escape(value) if isinstance(value, str) else value


def script_texts() -> dict[str, Any]:
    """Return the texts that the page's scripts show, in the language of the answer."""
    found = texts(language())
    return {"messages": found.messages, "plurals": found.plurals}


templates = Jinja2Templates(directory=Path(__file__).parent.parent / "templates")
templates.env.add_extension(BasePath)
templates.env.add_extension("jinja2.ext.i18n")
templates.env.policies["ext.i18n.trimmed"] = True
# With the values as arguments, which are escaped; the texts themselves are ours.
templates.env.newstyle_gettext = True  # type: ignore[attr-defined]
templates.env.globals |= {
    "_": _marked(gettext),
    "gettext": _marked(gettext),
    "ngettext": _marked(ngettext),
    "pgettext": _marked(pgettext),
    "language": language,
    "languages": LANGUAGES,
    "chosen_language": chosen_language,
    "script_texts": script_texts,
    "has_folders": has_folders,
}


def _each_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that is computed whenever a page is made.

    "{{ 'female' | gender }}" would be computed once otherwise, in the language of whoever is first to see the page.
    """
    if hasattr(function, "jinja_pass_arg"):
        return function

    @pass_context
    def filtered(_: Context, *arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return filtered


_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "plain": readable,
    "breakable": breakable,
    "quoted": quoted,
    "number": formats.number,
    "percent": formats.percent,
    "day": formats.day,
    "day_of_year": formats.day_of_year,
    "moment": formats.moment,
    "month_name": formats.month_name,
    "group": names.group,
    "is_one": names.is_one,
    "counted": names.counted,
    "suggested_name": names.suggested_name,
    "gender": names.gender,
    "relation": names.relation,
    "coverage": names.coverage,
    "whole_percent": formats.whole_percent,
    "translated": translated,
    "explained": explained,
    "foreign": foreign,
    "about": about,
    "boxes": boxes,
    "tile": tile,
    "for_people": for_people,
    "clock": clock,
    "faces_at": faces_at,
    "in_answer": in_answer,
    "photo_version": photo_version,
    "face_version": face_version,
}
templates.env.filters |= {name: _each_time(function) for name, function in _FILTERS.items()}
templates.env.trim_blocks = templates.env.lstrip_blocks = True


def is_part(request: Request) -> bool:
    """Return whether htmx asks for the part of a page that changes, and not for the whole page."""
    return "hx-request" in request.headers


def page(request: Request, template: str, /, code: int = 200, **values: Any) -> HTMLResponse:
    """Render a template with the values that every page needs."""
    embedded = is_embedded(request.scope) or request.query_params.get("embed") == "1"
    values |= {"here": request.url.path, "embedded": embedded, "base": base_of(request.scope)}
    values |= {"guest": guest_of(request.scope), "sent_from_here": is_sent_from_here(request.scope)}
    made = templates.get_template(template).render({"request": request, **values})
    return HTMLResponse(_with_versions(request, made), code, {"Content-Language": language()})


def _with_versions(request: Request, html: str) -> str:
    """Return a page in whose addresses of faces' pictures stands what they show, so that browsers may keep them."""
    numbers = {int(number) for number in _FACES.findall(html)}
    if not numbers:
        return html
    versions = {
        face_id: version_of_face(crop.version, Box(*crop.box), crop.video_time)
        for face_id, crop in plugin_of(request).face_crops(numbers).items()
    }

    def versioned(found: re.Match[str]) -> str:
        version = versions.get(int(found[1]))
        return f'{found[0][:-1]}?v={version}"' if version else found[0]

    return _FACES.sub(versioned, html)


def problem(request: Request, message: str, code: int = 200) -> HTMLResponse:
    """Render a message as a page, or as the part of one that htmx asks for."""
    return page(request, "_problem.html" if is_part(request) else "problem.html", code, message=message)
