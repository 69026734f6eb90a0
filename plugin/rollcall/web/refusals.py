"""What is refused before any route: a page for people, a message for parts of one, plain text for programs."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response


def wants_page(request: Request) -> bool:
    """Return whether a browser asks for a page that it shows, and not for a part of one or a picture."""
    return "text/html" in request.headers.get("accept", "") and not _wants_part(request)


def _wants_part(request: Request) -> bool:
    return "hx-request" in request.headers


def refused(
    request: Request, text: str, status: int = 403, *, hint: str = "", to: str = "", label: str = ""
) -> Response:
    """Return the answer that refuses a request.

    Parameters
    ----------
    request
        Tells who asks.
    text
        What is refused, and why, in a sentence.
    status
        Of HTTP.
    hint
        What to do about it, for people.
    to
        The address of a link that helps; "": there is none.
    label
        What the link says.
    """
    if _wants_part(request):
        # What is shown stays: the refusal is a message over it.
        where = {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"}
        return HTMLResponse(f'<p class="note" role="alert">{escape(text)}</p>', status, where)
    if not wants_page(request):
        return PlainTextResponse(text, status)
    # The pages need the guard, which needs this.
    from rollcall.web.pages.rendering import page

    return page(request, "refused.html", status, note=text, hint=hint, to=to, label=label)
