"""Login for requests that come through a reverse proxy: by a token, or by the name that the proxy vouches for.

Off by default. It stands before `security.Guard` and lets requests for the public name through to it, with the token of
this start; requests for this machine's own names go to the guard as they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollcall.errors import SettingsError, reason_of
from rollcall.server_settings import ServeSettings
from rollcall.web.refusals import refused, wants_page
from rollcall.web.security import DRESS, of_this_machine
from rollcall.web.translation import gettext

#: Answers checks of health, without a login: it says only that the server runs.
HEALTH: Final = "/healthz"
_LOGIN: Final = "/login"
_COOKIE: Final = "rollcall-login"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SHORTEST: Final = 20  # characters of a token
_LONGEST_FORM: Final = 4096  # bytes
_WAIT: Final = 1.0  # seconds after a wrong token
_YEAR: Final = 365 * 24 * 3600

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Access(NamedTuple):
    """Who may come through a reverse proxy."""

    netloc: str  # the public name, with the port unless it is the scheme's
    origin: str  # with the scheme
    secure: bool  # the public address is https
    token: str  # empty: the proxy's header says who it is
    header: str
    proxies: tuple[Network, ...]  # where the header is believed
    users: frozenset[str]  # empty: all that the proxy lets through


def access_of(settings: ServeSettings) -> Access | None:
    """Return who may come through a reverse proxy; None where only this machine is answered.

    Raises
    ------
    SettingsError
        If the settings contradict each other, or the token's file cannot be used.
    """
    if settings.login == "start":
        if settings.public_url or not _is_loopback(settings.listen):
            raise SettingsError(
                "setting 'serve.login': with serve.public_url, or serve.listen of other machines, a login is needed;"
                " set it to token or proxy"
            )
        return None
    parts = urlsplit(settings.public_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise SettingsError(
            "setting 'serve.public_url': a login needs the address that browsers open, such as"
            " https://photos.example.org, without a path"
        )
    origin = f"{parts.scheme}://{parts.netloc}".lower()
    try:
        proxies = tuple(ipaddress.ip_network(one, strict=False) for one in settings.proxies)
    except ValueError as error:
        raise SettingsError(f"setting 'serve.proxies': {error}; give addresses such as 172.16.0.0/12") from error
    token = _token(settings.token_file) if settings.login == "token" else ""
    return Access(
        parts.netloc.lower(),
        origin,
        parts.scheme == "https",
        token,
        settings.user_header.lower(),
        proxies,
        frozenset(settings.users),
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _token(file: str) -> str:
    if not file:
        raise SettingsError("setting 'serve.token_file': serve.login of token needs the file that holds the token")
    path = Path(file).expanduser()
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"setting 'serve.token_file': {path} cannot be read ({reason_of(error)}); make it readable"
        ) from error
    if len(token) < _SHORTEST or not token.isascii():
        raise SettingsError(
            f"setting 'serve.token_file': {path} holds no token of at least {_SHORTEST} letters and digits; write one"
        )
    return token


class ProxyLogin:
    """Middleware before the guard.

    Parameters
    ----------
    app
        The guard, with the application behind it.
    access
        Who may come through a reverse proxy; None: nobody.
    token
        The guard's.
    port
        Where the server listens.
    """

    def __init__(self, app: ASGIApp, access: Access | None, token: str, port: int) -> None:
        self.app, self.access, self.token, self.port = app, access, token, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        if scope["path"] == HEALTH and request.method in ("GET", "HEAD"):
            await PlainTextResponse("ok", headers={"Cache-Control": "no-store"})(scope, receive, send)
            return
        if self.access is None or request.headers.get("host", "").lower() != self.access.netloc:
            await self.app(scope, receive, send)
            return
        answer = await self._answer(request, self.access)
        if answer is not None:
            _protect(answer)
            await answer(scope, receive, send)
            return
        await self.app(of_this_machine(scope, self.port, self.token), receive, _outward(send, self.access))

    async def _answer(self, request: Request, access: Access) -> Response | None:
        """Return what is answered in place of the page; None lets the request through."""
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() != access.origin:
            return refused(request, gettext("Requests of other pages are not answered."))
        by_bearer = False
        if request.method in _SAFE and request.url.path in DRESS:
            return None
        if access.token:
            if request.url.path == _LOGIN and request.method == "POST":
                return await self._log_in(request, access)
            authorization = request.headers.get("authorization", "")
            by_bearer = authorization[:7].lower() == "bearer " and _equal(authorization[7:].strip(), access.token)
            if not by_bearer and not _equal(request.cookies.get(_COOKIE, ""), _cookie(access.token)):
                return _login_page(request, 401)
        elif (refusal := _refusal_of_user(request, access)) is not None:
            return refusal
        # A page of the internet in the same browser brings the cookie, or the proxy's login, with its requests.
        own = origin is not None or request.headers.get("sec-fetch-site") == "same-origin"
        if request.method not in _SAFE and not by_bearer and not own:
            return refused(request, gettext("Changes are taken from this page alone."))
        return None

    async def _log_in(self, request: Request, access: Access) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_FORM:
                return refused(request, gettext("The form is too long."), 413)
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        if not _equal(given.strip(), access.token):
            await asyncio.sleep(_WAIT)
            return _login_page(request, 401, gettext("This is not the token."))
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            _COOKIE, _cookie(access.token), max_age=_YEAR, httponly=True, samesite="strict", secure=access.secure
        )
        return answer


def _refusal_of_user(request: Request, access: Access) -> Response | None:
    """Return a refusal unless a trusted proxy names a user who may come."""
    peer = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return PlainTextResponse("The address of the proxy is not known.", 403)
    address = getattr(address, "ipv4_mapped", None) or address
    if not any(address in network for network in access.proxies if network.version == address.version):
        return PlainTextResponse("Requests for this name are taken from the reverse proxy alone (serve.proxies).", 403)
    # Two values are one of the proxy's and one that somebody slipped past it.
    named = request.headers.getlist(access.header)
    if len(named) != 1 or not named[0].strip():
        return PlainTextResponse("The reverse proxy names no user (serve.user_header): log in there.", 401)
    if access.users and named[0].strip() not in access.users:
        return refused(request, gettext("This user may not open this library."))
    return None


def _login_page(request: Request, status: int, note: str = "") -> Response:
    if request.method in ("GET", "HEAD", "POST") and wants_page(request):
        # The pages need what is above.
        from rollcall.web.pages.rendering import page

        return page(request, "login.html", status, note=note)
    if "hx-request" in request.headers:
        return refused(request, gettext("Your login has ended: load the page again, and log in."), status)
    return PlainTextResponse("The token is missing: log in, or send it as Authorization: Bearer.", status)


def _protect(answer: Response) -> None:
    for name, value in (
        ("X-Content-Type-Options", "nosniff"),
        # Without a referrer browsers send "null" as the origin of the form, which is refused.
        ("Referrer-Policy", "same-origin"),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", _POLICY),
    ):
        answer.headers[name] = value


def _outward(send: Send, access: Access) -> Callable[[Message], Awaitable[None]]:
    """Return `send` that gives absolute addresses of redirects the public name."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            location = headers.get("location", "")
            parts = urlsplit(location)
            if parts.hostname in ("127.0.0.1", "localhost"):
                headers["location"] = access.origin + (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            if access.secure:
                headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
        await send(message)

    return sending


def _cookie(token: str) -> str:
    """Return what the cookie holds: the token cannot be computed from it."""
    return hashlib.blake2b(token.encode(), digest_size=32, person=b"rollcall-cookie").hexdigest()


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
