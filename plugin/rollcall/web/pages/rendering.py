"""What all pages share: templates, their filters, and the page that shows a problem."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from jinja2.ext import Extension

from rollcall.corrections.review_queue import ANSWERS
from rollcall.records import GIVEN_AGES
from rollcall.search.details import FaceDetails, PhotoDetails
from rollcall.web.security import base_of, guest_of, is_embedded

#: Characters that change the direction of the text around them.
_DIRECTIONS: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
#: Faces of a video are on one frame if their times differ by less, in seconds.
_ONE_FRAME: Final = 0.02
#: A command in backticks, or the name of a setting, such as decode.max_megapixels.
_TECHNICAL: Final = re.compile(r"`|\b[a-z]+\.[a-z]+_[a-z_]+\b")


def plain(value: object) -> str:
    """Return a name with control and direction characters escaped, so that they have no effect on the page."""
    return "".join(c if c.isprintable() and c not in _DIRECTIONS else f"\\u{ord(c):04x}" for c in str(value))


def percent(value: float | None) -> str:
    """Return a probability for people."""
    if value is None:
        return "–"
    return "100%" if value >= 0.9995 else f"{value:.1%}" if value >= 0.995 or value < 0.1 else f"{value:.0%}"


def about(face: FaceDetails) -> str:
    """Return age and gender of a face in one line."""
    return ", ".join(part for part in (_age(face), _gender(face)) if part) or "nothing is known"


def _age(face: FaceDetails) -> str:
    if face.age is None:
        return ""
    if face.age_interval is None or face.age_interval[0] == face.age_interval[1]:
        return f"{face.age:.0f}"
    interval = f"{face.age_interval[0]:.0f}–{face.age_interval[1]:.0f}"
    return interval if face.age_source in GIVEN_AGES else f"{face.age:.0f} ({interval})"


def _gender(face: FaceDetails) -> str:
    if face.gender_source == "user":
        return plain(face.gender) if face.gender else ""
    p = face.p_female
    return "" if p is None else f"{'female' if p >= 0.5 else 'male'} {percent(max(p, 1 - p))}"


def in_answer(face: FaceDetails, name: str) -> bool:
    """Return whether a person gave just the ages of an answer of one key."""
    low, high = ANSWERS[name]
    return face.age_source == "user" and face.age_interval == (low, high)


def curve(distribution: tuple[float, ...] | None) -> str | None:
    """Return the SVG path of an age distribution in a drawing of 101 x 40 units."""
    if distribution is None:
        return None
    top = max(*distribution, 1e-6)
    points = " ".join(f"L{age + 0.5:g} {40 - 38 * value / top:.2f}" for age, value in enumerate(distribution))
    return f"M0 40 {points} L101 40 Z"


def for_people(message: str) -> str:
    """Return a sentence without its clauses for administrators: commands, and names of settings."""
    clauses = re.split(r"; ", message)
    return "; ".join(clause for clause in clauses if not _TECHNICAL.search(clause)) or clauses[0]


def month_name(month: str) -> str:
    """Return a month such as "2019-06" for people."""
    year, _, number = month.partition("-")
    if not year:
        return "Without a date"
    return f"{_MONTHS[int(number) - 1]} {year}" if number.isdigit() and 1 <= int(number) <= 12 else year


def photo_version(photo: PhotoDetails) -> str:
    """Return what makes the address of a photo's picture its own: a browser may keep what it got from there."""
    poster = "" if photo.poster_time is None else f"-{photo.poster_time:.3f}"
    return f"?v={photo.version}{poster}" if photo.version else ""


def clock(seconds: float | None) -> str:
    """Return a time in a video, such as "0:07" or "1:02:03"; "" for a photo."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def faces_at(photo: PhotoDetails, seconds: float | None) -> list[FaceDetails]:
    """Return the faces that a frame of a video shows, or all of a photo."""
    if photo.duration is None or seconds is None:
        return list(photo.faces)
    return [face for face in photo.faces if face.video_time is None or abs(face.video_time - seconds) < _ONE_FRAME]


def face_version(face: FaceDetails, photo: PhotoDetails) -> str:
    """Return the same for a face, whose picture changes with its photo and its box."""
    if not photo.version:
        return ""
    return (
        "?v=" + hashlib.blake2b(f"{photo.version}{face.box}{face.video_time or ''}".encode(), digest_size=6).hexdigest()
    )


class BasePath(Extension):
    """Puts the path of this start before the links of templates, which are written as the routes are."""

    _LINK: Final = re.compile(r'(\s(?:href|src|action|hx-get|hx-post)=")/')

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the source of a template with its links completed."""
        return self._LINK.sub(r"\1{{ base }}/", source)


templates = Jinja2Templates(directory=Path(__file__).parent.parent / "templates")
templates.env.add_extension(BasePath)
templates.env.filters |= {
    "plain": plain,
    "percent": percent,
    "about": about,
    "for_people": for_people,
    "month_name": month_name,
    "clock": clock,
    "faces_at": faces_at,
    "in_answer": in_answer,
    "photo_version": photo_version,
    "face_version": face_version,
}
templates.env.trim_blocks = templates.env.lstrip_blocks = True


def is_part(request: Request) -> bool:
    """Return whether htmx asks for the part of a page that changes, and not for the whole page."""
    return "hx-request" in request.headers


def page(request: Request, template: str, /, code: int = 200, **values: Any) -> HTMLResponse:
    """Render a template with the values that every page needs."""
    embedded = is_embedded(request.scope) or request.query_params.get("embed") == "1"
    values |= {"here": request.url.path, "embedded": embedded, "base": base_of(request.scope)}
    values["guest"] = guest_of(request.scope)
    return templates.TemplateResponse(request, template, values, status_code=code)


def problem(request: Request, message: str, code: int = 200) -> HTMLResponse:
    """Render a message as a page, or as the part of one that htmx asks for."""
    return page(request, "_problem.html" if is_part(request) else "problem.html", code, message=message)
