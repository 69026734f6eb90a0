"""Access control: requests of this machine, with the token of this start, from the page itself.

A page of the internet that is open in the same browser can send requests to this server, and a name that its owner
points at this machine can too. So each request must name this machine as its host, must not come from another
origin, and must bring the token: in a cookie that scripts cannot read, or as a bearer token.

Browsers send a cookie to every port of its host, so a server that another user runs on this machine would get it. The
cookie is therefore bound to a path that is made anew with each token, and the pages lie below that path: another server
is sent the cookie only if it knows the path, which none is told.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollcall.web.refusals import refused
from rollcall.web.translation import gettext

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: The key of a request's scope that holds what goes before the paths of the page's links.
BASE: Final = "rollcall.base"
#: The key of a request's scope that holds the guest of the home network who sent it.
GUEST: Final = "rollcall.guest"
_EMBED: Final = "/embed"
#: A frame that shows the pages of an earlier start, which is told so where it is.
_EARLIER_EMBED: Final = re.compile(r"/[0-9a-f]+/embed(?:/|$)")
#: What the page of a refusal is dressed with; it is no secret.
DRESS: Final = frozenset({"/static/app.css", "/static/icon.svg", "/static/icon-180.png"})
#: The key of a request's scope that tells that it came through a proxy or from the home network.
_FROM_ELSEWHERE: Final = "rollcall.from_elsewhere"


def new_token() -> str:
    """Return a random token of 256 bits, as text that a URL can hold."""
    return secrets.token_urlsafe(32)


def cookie_name(port: int) -> str:
    """Return the name of the cookie that holds the token: cookies are shared by all ports of a machine."""
    return f"rollcall-{port}"


def start_path(token: str) -> str:
    """Return the path that the pages of a start lie below; the token cannot be computed from it."""
    return f"/{hashlib.blake2b(token.encode(), digest_size=9, person=b'rollcall-path').hexdigest()}"


def base_of(scope: Any) -> str:
    """Return what goes before the path of a link in the answer to a request: "" for programs with a bearer token."""
    return str(scope.get(BASE, ""))


def of_this_machine(scope: Scope, port: int, token: str) -> Scope:
    """Return the scope of a request that was let in as the guard takes it: of this machine, with its token."""
    headers = MutableHeaders(raw=list(scope["headers"]))
    here = f"127.0.0.1:{port}"
    headers["host"] = here
    headers["authorization"] = f"Bearer {token}"
    if "origin" in headers:
        headers["origin"] = f"http://{here}"
    return {**scope, "headers": headers.raw, _FROM_ELSEWHERE: True}


def is_sent_from_here(scope: Any) -> bool:
    """Return whether a request comes from this machine itself: neither from a guest, nor through a proxy."""
    if scope.get(_FROM_ELSEWHERE) or guest_of(scope) is not None:
        return False
    try:
        return ipaddress.ip_address((scope.get("client") or ("",))[0]).is_loopback
    except ValueError:
        return False


class Guest(NamedTuple):
    """A paired device of the home network, which may only look."""

    session_id: int
    everything: bool  # it sees all photos, not those of shared albums alone


def guest_of(scope: Any) -> Guest | None:
    """Return the guest who sent a request; None for the owner."""
    found: Guest | None = scope.get(GUEST)
    return found


def is_embedded(scope: Any) -> bool:
    """Return whether the request comes from a host's frame."""
    path = str(scope["path"])
    return base_of(scope).endswith(_EMBED) or path.startswith(_EMBED) or _EARLIER_EMBED.match(path) is not None


def _kept(scope: Scope) -> str:
    """Return how long a browser keeps a file of the installation: by its version always, else until it asked again."""
    if not str(scope["path"]).startswith("/static/"):
        return "no-store"
    return "private, max-age=31536000, immutable" if scope["query_string"].startswith(b"v=") else "private, no-cache"


class Guard:
    """Middleware: lets a request through or answers 403, and adds the security headers to every answer.

    Parameters
    ----------
    app
        The application behind the guard.
    token
        The token that requests must have: as `?token=` once (a cookie takes its place), or as `Authorization: Bearer`.
        With the cookie, paths lie below `start_path(token)`; for the frames of hosts, below `/embed` in there.
    port
        Where the server listens; names of this machine with another port are other origins.
    embedders
        Origins of hosts' windows that may show the pages below `/embed` in a frame.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, embedders: Iterable[str] = ()) -> None:
        self.app, self.token, self.port = app, token, port
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        if port == 80:
            self.hosts |= {"127.0.0.1", "localhost", "[::1]"}
        self.cookie = cookie_name(port)
        self.start = start_path(token)
        self.embedders = " ".join(embedders)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Nothing here speaks websockets.
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        scope = self._below_start(scope)
        request = Request(scope, receive)
        refusal = self._refusal(request)
        if refusal is not None:
            await self._with_headers(refusal, scope, receive, send)
            return
        await self._with_headers(self.app, scope, receive, send)

    def _below_start(self, scope: Scope) -> Scope:
        """Return the scope with the path that the routes know; what it lay below is the base of the links."""
        # A guest's pages lie below a path of their own, which is left behind by now.
        path, base = scope["path"], base_of(scope)
        if path == self.start or path.startswith(f"{self.start}/"):
            path, base = path[len(self.start) :] or "/", self.start
        if base and (path == _EMBED or path.startswith(f"{_EMBED}/")):
            path, base = path[len(_EMBED) :] or "/", base + _EMBED
        return {**scope, "path": path, BASE: base}

    def _refusal(self, request: Request) -> Response | None:
        """Return a refusal, or the redirect that sets the cookie; None lets the request through."""
        if request.headers.get("host", "").lower() not in self.hosts:
            address = f"http://127.0.0.1:{self.port}/"
            text = gettext("This server answers to the name of this machine alone: open 127.0.0.1.")
            return refused(request, text, to=address, label=address)
        if request.method in _SAFE and request.scope["path"] in DRESS:
            return None
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in self.hosts}:
            return refused(request, gettext("Requests of other pages are not answered."))
        authorization = request.headers.get("authorization", "")
        by_header = authorization[:7].lower() == "bearer " and self._is_token(authorization[7:].strip())
        given = request.query_params.get("token")
        if given is not None and request.method == "GET" and self._is_token(given):
            return self._welcome(request)
        by_cookie = bool(base_of(request.scope)) and self._is_token(request.cookies.get(self.cookie, ""))
        if not (by_header or by_cookie):
            text = gettext("This address is incomplete, or of an earlier start: open the one that Rollcall printed.")
            hint = gettext(
                "Each start of Rollcall has an address of its own, so that nobody else on this computer opens your"
                " photos. It stands in the window in which Rollcall was started; what you did before is kept."
            )
            return refused(request, text, hint=hint)
        if request.method not in _SAFE and not by_header and not self._is_own(request, origin):
            return refused(request, gettext("Changes are taken from this page alone."))
        return None

    def _welcome(self, request: Request) -> Response:
        """Return the redirect that sets the cookie; the token leaves the address, as it would stay in the history."""
        rest = urlencode([(k, v) for k, v in request.query_params.multi_items() if k != "token"])
        base = base_of(request.scope) or self.start
        target = base + request.scope["path"] + (f"?{rest}" if rest else "")
        answer: Response = RedirectResponse(target, 303)
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A redirect still counts as coming from there, and a strict cookie would not be sent with it.
            refresh = f'<meta http-equiv="refresh" content="0;url={html.escape(target)}">'
            answer = HTMLResponse(f"<!doctype html><title>Rollcall</title>{refresh}")
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path=self.start)
        return answer

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.token.encode())

    @staticmethod
    def _is_own(request: Request, origin: str | None) -> bool:
        """Return whether a change comes from the page itself; every browser sends one of the two headers."""
        return origin is not None or request.headers.get("sec-fetch-site") == "same-origin"

    async def _with_headers(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        embed = bool(self.embedders) and is_embedded(scope)
        frames = self.embedders if embed else "'none'"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = (
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self';"
                    " connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none';"
                    f" frame-ancestors {frames}"
                )
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers.setdefault("Cache-Control", _kept(scope) if "etag" in headers else "no-store")
            await send(message)

        await app(scope, receive, sending)
