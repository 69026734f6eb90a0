"""The home network: paired devices may look at photos, and do nothing else.

Off unless `rollcall serve --lan` or the page opens a second address (`home_network`). It stands before
`login.ProxyLogin` and `security.Guard`. Requests that arrive at that address must name it as their host: a name that
somebody points at this machine is refused, so that no page of the internet can reach it (DNS rebinding). Without a
session only the pages of pairing are answered. A session has a path of its own, which its cookie is bound to, so that
other servers on this machine are not sent it. What it may ask for is listed here; everything else is refused,
whatever the routes behind would do.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollcall.errors import RollcallError
from rollcall.host import Plugin
from rollcall.web import icons
from rollcall.web.home_network import HomeNetwork, host_of
from rollcall.web.pairing import DIGITS, Pairing
from rollcall.web.refusals import refused, wants_page
from rollcall.web.security import BASE, GUEST, Guest, of_this_machine
from rollcall.web.translation import gettext

_COOKIE: Final = "rollcall-guest"
_YEAR: Final = 365 * 24 * 3600
_WAIT: Final = 1.0  # seconds after a wrong code
_LONGEST_FORM: Final = 4096  # bytes
_SHARED_SECONDS: Final = 15  # for how long the photos of shared albums are taken as they were
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # Without a referrer browsers send no origin with a form either, by which it is told from those of other pages.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
}
#: Makes of devices by what their browsers say of themselves, the particular ones first.
_DEVICES: Final = (
    *(("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "Chromebook")),
    *(("Windows", "Windows"), ("Macintosh", "Mac"), ("Linux", "Linux")),
)
_STATIC: Final = re.compile(r"/static/[\w.-]+|/manifest\.webmanifest")
_PNG: Final = re.compile(r"icon-(180|192|512)\.png")
#: The path of a session.
_SESSION: Final = re.compile(r"/g/[0-9a-f]+")
_ALBUM: Final = re.compile(r"/album/(\d{1,18})(?:/zip)?")
_PHOTO: Final = re.compile(
    r"/photo/(\d{1,18})|/pictures/photo/(\d{1,18})/(?:thumb\.webp|screen\.webp|large\.jpg)"
    r"|/pictures/video/(\d{1,18})"
)
#: What a device that sees all photos may ask for beside them.
_LIBRARY: Final = frozenset({"/", "/count", "/months", "/on-this-day", "/chips", "/words"})


class SharedPhotos:
    """The photos of shared albums, read again every few seconds. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self._photos: frozenset[int] = frozenset()
        self._until = 0.0
        self._lock = threading.Lock()

    def has(self, photo_id: int) -> bool:
        """Return whether a photo is in a shared album."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._photos = frozenset(self._read())
                self._until = time.monotonic() + _SHARED_SECONDS
            return photo_id in self._photos

    def _read(self) -> set[int]:
        found: set[int] = set()
        for album in self.plugin.albums():
            if album.shared:
                try:
                    found |= {hit.photo_id for hit in self.plugin.album_photos(album.album_id)}
                except RollcallError:
                    continue  # its search is not understood any more, which the owner's page says
        return found

    def album(self, album_id: int) -> bool:
        """Return whether an album is shared."""
        try:
            return self.plugin.album(album_id).shared
        except RollcallError:
            return False


class LanGuests:
    """Middleware for the address in the home network.

    Parameters
    ----------
    app
        What answers the owner.
    plugin
        Knows the paired devices.
    pairing
        The codes.
    network
        The address in the home network.
    token
        The guard's.
    """

    def __init__(self, app: ASGIApp, plugin: Plugin, pairing: Pairing, network: HomeNetwork, token: str) -> None:
        self.app, self.plugin, self.pairing, self.network, self.token = app, plugin, pairing, network, token
        self.shared = SharedPhotos(plugin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = str((scope.get("server") or ("",))[0])
        if scope["type"] != "http" or not self.network.serves(server):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = self._refusal(request, server) or await self._pairing(request)
        if answer is not None:
            await _protected(answer, scope, receive, send)
            return
        path = "/".join(scope["path"].split("/")[:3])
        token = request.cookies.get(_COOKIE, "")
        device = await run_in_threadpool(self.plugin.guest_of_token, token, path) if token else None
        if device is None:
            await _protected(_unknown(request, path), scope, receive, send)
            return
        inner, guest = scope["path"][len(path) :] or "/", Guest(device.guest_id, device.everything)
        if inner == "/" and not guest.everything:
            await _protected(RedirectResponse(f"{path}/albums", 303), scope, receive, send)
            return
        if inner == "/manifest.webmanifest":
            await _protected(_manifest(path), scope, receive, send)
            return
        if not await run_in_threadpool(self._may, inner, guest):
            await _protected(_refused(request, path), scope, receive, send)
            return
        await self.app(self._admitted(scope, path, inner, guest), receive, _without_reasons(request, path, send))

    def _refusal(self, request: Request, server: str) -> Response | None:
        if self.network.address != server:
            # A connection from before it was closed.
            hint = gettext("Ask at the computer with the photos: its page lets devices in again, under Albums.")
            return refused(request, gettext("Nobody is let in at present."), hint=hint)
        host = host_of(server, self.network.port)
        if request.headers.get("host", "").lower() != host:
            address = f"http://{host}"
            text = gettext("This server answers to its address alone: open %(address)s.", address=address)
            return refused(request, text, to=address, label=address)
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return refused(request, gettext("Requests of other pages are not answered."))
        pairs = request.url.path == "/pair" and request.method == "POST"
        if request.method not in ("GET", "HEAD") and not pairs:
            return refused(request, gettext("Guests may look, and change nothing."))
        if pairs and origin is None and request.headers.get("sec-fetch-site") != "same-origin":
            return refused(request, gettext("The code is taken from this page alone."))
        return None

    async def _pairing(self, request: Request) -> Response | None:
        """Return the answer to a device that is not paired yet; None for what asks within a session."""
        path = request.scope["path"]
        if path in ("/", "/pair"):
            if request.method == "POST":
                return await self._pair(request)
            return _form(request, request.query_params.get("code", ""))
        if re.fullmatch(r"/static/(app\.css|icon[\w.-]*)", path):
            # The page of pairing is dressed like the others; what lies there is no secret.
            return await _static(request)
        return None

    async def _pair(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_FORM:
                return refused(request, gettext("The form is too long."), 413)
        given = parse_qs(body.decode("utf-8", "replace"))
        code = self.pairing.redeem(given.get("code", [""])[0][:100])
        if code is None:
            await asyncio.sleep(_WAIT)
            note = gettext("This code does not hold: it is wrong, too old, or was used. Ask for a new one.")
            return _form(request, "", note, 403)
        token, path = await run_in_threadpool(
            lambda: self.plugin.pair_guest(given.get("name", [_device(request)])[0], everything=code.everything)
        )
        answer = RedirectResponse(f"{path}/", 303)
        answer.set_cookie(_COOKIE, token, max_age=_YEAR, httponly=True, samesite="strict", path=path)
        return answer

    def _may(self, path: str, guest: Guest) -> bool:
        """Return whether a guest may ask for a path."""
        if _STATIC.fullmatch(path) or path == "/albums" or (guest.everything and path in _LIBRARY):
            return True
        if match := _ALBUM.fullmatch(path):
            return guest.everything or self.shared.album(int(match[1]))
        if match := _PHOTO.fullmatch(path):
            return guest.everything or self.shared.has(int(match[1] or match[2] or match[3]))
        return False

    def _admitted(self, scope: Scope, base: str, path: str, guest: Guest) -> Scope:
        """Return the scope as the guard takes it, without a token in the address."""
        # A token in the address is the owner's way in, and no guest's.
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query.pop("token", None)
        kept = urlencode(query, doseq=True).encode()
        here = of_this_machine(scope, self.network.port, self.token)
        return {**here, "path": path, "query_string": kept, BASE: base, GUEST: guest}


def _device(request: Request) -> str:
    """Return what a device that nobody gave a name is called, so that several can be told apart; "" if unknown."""
    agent = request.headers.get("user-agent", "")
    return next((name for sign, name in _DEVICES if sign in agent), "")


def _unknown(request: Request, path: str) -> Response:
    """Return the answer to whoever asks without a session, or outside of the path of theirs."""
    unknown = gettext("This device is not let in any more, or was not yet: it needs a code.")
    if not wants_page(request):
        return refused(request, unknown)
    if _SESSION.fullmatch(path):
        return _form(request, "", unknown, 403)  # it was ended
    # A page of the owner's. The cookie does not come with it, but the page that led there may tell whose it is.
    came_from = "/".join(urlsplit(request.headers.get("referer", "")).path.split("/")[:3])
    return _refused(request, came_from if _SESSION.fullmatch(came_from) else "")


def _refused(request: Request, base: str, note: str = "", status: int = 403) -> Response:
    """Say that guests cannot open this, with the way back to the albums below `base`; "" if that is not known."""
    note = note or gettext("Guests cannot open this.")
    if base:
        return refused(request, note, status, to=f"{base}/albums", label=gettext("All albums"))
    hint = gettext("Go back to the albums, or pair this device.")
    return refused(request, note, status, hint=hint, to="/pair", label=gettext("Look at shared photos"))


def _plain(text: str, status: int) -> Response:
    return PlainTextResponse(text, status)


def _form(request: Request, code: str, note: str = "", status: int = 200) -> Response:
    # The pages need what is above.
    from rollcall.web.pages.rendering import page

    digits = "".join(c for c in code if c in "0123456789")[:DIGITS]
    return page(request, "pair.html", status, digits=digits, note=note)


def _manifest(base: str) -> Response:
    """Return what makes the page installable; its icon is the page's own, as PNG also without a session."""
    pictures = [{"src": f"{base}/static/icon.svg", "type": "image/svg+xml", "sizes": "any"}]
    for size in ("192", "512"):
        for purpose in ("any", "maskable"):
            png = {"src": f"/static/icon-{size}.png", "type": "image/png", "sizes": f"{size}x{size}"}
            pictures.append({**png, "purpose": purpose})
    content = {
        "name": "Rollcall",
        "short_name": "Rollcall",
        "start_url": f"{base}/albums",
        "scope": f"{base}/",
        "display": "standalone",
        "background_color": "#fbfaf7",
        "theme_color": "#2f6157",
        "icons": pictures,
    }
    return JSONResponse(content, media_type="application/manifest+json")


async def _static(request: Request) -> Response:
    from starlette.responses import FileResponse

    name = request.scope["path"].rpartition("/")[2]
    if png := _PNG.fullmatch(name):
        return Response(icons.drawn(int(png[1])), media_type="image/png")
    file = Path(__file__).parent / "static" / name
    return FileResponse(file) if file.is_file() else _plain(gettext("This is not there at present."), 404)


async def _protected(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    for name, value in _HEADERS.items():
        answer.headers[name] = value
    await answer(scope, receive, send)


def _without_reasons(request: Request, base: str, send: Send) -> Send:
    """Return `send` that replaces the text of errors: the reasons name files and folders of this machine."""
    answer: Response | None = None

    async def sending(message: Message) -> None:
        nonlocal answer
        if message["type"] == "http.response.start" and message["status"] >= 400:
            answer = _absent(request, base, message["status"])
            for name, value in _HEADERS.items():
                answer.headers[name] = value
            await send({**message, "headers": answer.raw_headers})
        elif answer is not None and message["type"] == "http.response.body":
            if not message.get("more_body", False):
                await send({"type": "http.response.body", "body": answer.body})
        else:
            await send(message)

    return sending


def _absent(request: Request, base: str, status: int) -> Response:
    note = gettext("This is not there at present.")
    wanted = wants_page(request) or "hx-request" in request.headers
    return _refused(request, base, note, status) if wanted else JSONResponse({"detail": note}, status)
