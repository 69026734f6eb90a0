"""Access control: requests of this machine, with the token of this start, from the page itself.

A page of the internet that is open in the same browser can send requests to this server, and a name that its owner
points at this machine can too. So each request must name this machine as its host, must not come from another
origin, and must bring the token: in a cookie that scripts cannot read, or as a bearer token.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def new_token() -> str:
    """Return a random token of 256 bits, as text that a URL can hold."""
    return secrets.token_urlsafe(32)


def cookie_name(port: int) -> str:
    """Return the name of the cookie that holds the token: cookies are shared by all ports of a machine."""
    return f"rollcall-{port}"


class Guard:
    """Middleware: lets a request through or answers 403, and adds the security headers to every answer.

    Parameters
    ----------
    app
        The application behind the guard.
    token
        The token that requests must have: as `?token=` once (a cookie takes its place), or as `Authorization: Bearer`.
    port
        Where the server listens; names of this machine with another port are other origins.
    embedders
        Origins of hosts' windows that may show `/embed` in a frame.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, embedders: Iterable[str] = ()) -> None:
        self.app, self.token, self.port = app, token, port
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        if port == 80:
            self.hosts |= {"127.0.0.1", "localhost", "[::1]"}
        self.cookie = cookie_name(port)
        self.embedders = " ".join(embedders)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Nothing here speaks websockets.
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        refusal = self._refusal(request)
        if refusal is not None:
            await self._with_headers(refusal, scope, receive, send)
            return
        await self._with_headers(self.app, scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        """Return a refusal, or the redirect that sets the cookie; None lets the request through."""
        if request.headers.get("host", "").lower() not in self.hosts:
            return PlainTextResponse("This server answers to the name of this machine alone: open 127.0.0.1.", 403)
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in self.hosts}:
            return PlainTextResponse("Requests of other pages are not answered.", 403)
        authorization = request.headers.get("authorization", "")
        by_header = authorization[:7].lower() == "bearer " and self._is_token(authorization[7:].strip())
        given = request.query_params.get("token")
        if given is not None and request.method == "GET" and self._is_token(given):
            # The token leaves the address at once: it would stay in the history.
            rest = urlencode([(k, v) for k, v in request.query_params.multi_items() if k != "token"])
            answer = RedirectResponse(request.url.path + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
            return answer
        by_cookie = self._is_token(request.cookies.get(self.cookie, ""))
        if not (by_header or by_cookie):
            return PlainTextResponse(
                "The address lacks the token of this start: open the address that `rollcall serve` printed.", 403
            )
        if request.method not in _SAFE and not by_header and not self._is_own(request, origin):
            return PlainTextResponse("Changes are taken from this page alone.", 403)
        return None

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.token.encode())

    @staticmethod
    def _is_own(request: Request, origin: str | None) -> bool:
        """Return whether a change comes from the page itself; every browser sends one of the two headers."""
        return origin is not None or request.headers.get("sec-fetch-site") == "same-origin"

    async def _with_headers(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        embed = bool(self.embedders) and scope["path"].startswith("/embed")
        frames = self.embedders if embed else "'none'"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = (
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
                    f" form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
                )
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await app(scope, receive, sending)
