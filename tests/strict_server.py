"""Strict servers of other programs for tests: they check every request, and fail when they are asked to.

Each was written from the published description of its program's interface. A request with an unknown field, a missing
one, one of another type, or a wrong key is an answer that ends the test.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx


class Killed(BaseException):
    """The program that sent the request ends here, as by a kill: no handler of errors catches it."""


@dataclass
class Reply:
    """An answer: a status, and JSON or bytes."""

    status: int = 200
    value: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


#: What happens to a request: "500", "429", "half", "lost" (carried out, but no answer), "kill before", "kill after".
Trouble = Callable[[int, str, str], str | None]

Route = tuple[str, re.Pattern[str], Callable[..., Reply]]


class StrictServer:
    """A server that is called in the place of the network; `refused` lists the requests that were not as described."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.refused: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.trouble: Trouble = lambda number, method, path: None
        self.headers: dict[str, str] = {}

    def route(self, method: str, pattern: str, handler: Callable[..., Reply]) -> None:
        self.routes.append((method, re.compile(pattern + r"\Z"), handler))

    @property
    def changes(self) -> list[tuple[str, str]]:
        """The requests that may change something."""
        return [one for one in self.requests if one[0] not in ("GET", "PROPFIND", "REPORT") and "search" not in one[1]]

    def request(self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None) -> httpx.Response:
        parts = urlsplit(url)
        self.requests.append((method, parts.path))
        trouble = self.trouble(len(self.requests), method, parts.path)
        if trouble == "kill before":
            raise Killed
        if trouble == "refuse to connect":
            raise httpx.ConnectError("connection refused")
        if trouble and trouble.isdigit():
            return httpx.Response(int(trouble), headers={"Retry-After": "1"}, content=b'{"message": "not now"}')
        self.headers = {name.lower(): text for name, text in headers.items()}
        reply = self._answer(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), content)
        if trouble == "kill after":
            raise Killed
        if trouble == "lost":
            raise httpx.ReadTimeout("timed out")
        body = (
            reply.body if reply.body is not None else b"" if reply.value is None else json.dumps(reply.value).encode()
        )
        if trouble == "half" and len(body) > 1:
            body = body[: len(body) // 2]
        elif trouble == "half":
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
        return httpx.Response(reply.status, headers=reply.headers, content=body)

    def _answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Reply:
        if not self.allowed():
            return self.refuse(401, f"{method} {path}: wrong key")
        for wanted, pattern, handler in self.routes:
            found = pattern.match(path)
            if wanted == method and found:
                return handler(*found.groups(), query=query, content=content)
        return self.refuse(404, f"{method} {path}: no such address")

    #: What a body has to be said to be.
    content_type = "application/json"

    def guarded(self, handler: Callable[..., Reply], queries: frozenset[str] = frozenset()) -> Callable[..., Reply]:
        """Return a handler that refuses what is not as described; it takes the queries of these names."""

        def call(*parts: str, query: dict[str, str], content: bytes | None) -> Reply:
            try:
                self.check_parts(parts)
                self.check_form(query, queries, content)
                return handler(*parts, query=query, content=content)
            except BadRequest as error:
                return self.refuse(400, f"{handler.__name__}: {error}")

        return call

    def check_form(self, query: dict[str, str], queries: frozenset[str], content: bytes | None) -> None:
        """Refuse queries that are not described, and a body that is not said to be what it is."""
        if query.keys() - queries:
            raise BadRequest(f"query {query}")
        kind = self.headers.get("content-type", "").partition(";")[0]
        if content is not None and kind not in (self.content_type, "application/json"):
            raise BadRequest(f"a body of {kind!r}")

    def check_parts(self, parts: tuple[str, ...]) -> None:
        """Refuse parts of an address that are not as described."""

    def allowed(self) -> bool:
        return True

    def refuse(self, status: int, reason: str) -> Reply:
        self.refused.append(reason)
        return Reply(status, {"message": reason})

    def state(self) -> Any:
        """What the server has, to be compared."""
        raise NotImplementedError


class BadRequest(Exception):
    """A request is not as described."""


def checked(value: Any, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an object whose fields are exactly those that are described, of their types."""
    optional = optional or {}
    if not isinstance(value, dict):
        raise BadRequest("no object")
    unknown = value.keys() - required.keys() - optional.keys()
    missing = required.keys() - value.keys()
    if unknown or missing:
        raise BadRequest(f"unknown {sorted(unknown)}, missing {sorted(missing)}")
    for name, one in value.items():
        kind = required.get(name, optional.get(name))
        if not fits(one, kind):
            raise BadRequest(f"{name} is {one!r}")
    return value


def fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, list):
        return isinstance(value, list) and all(fits(one, kind[0]) for one in value)
    if isinstance(kind, tuple):
        return any(fits(value, one) for one in kind)
    if kind is None:
        return value is None
    if isinstance(kind, re.Pattern):
        return isinstance(value, str) and kind.fullmatch(value) is not None
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind)


def body(content: bytes | None) -> Any:
    if content is None:
        raise BadRequest("no body")
    return json.loads(content)


def no_body(content: bytes | None) -> None:
    if content is not None:
        raise BadRequest("a body that is not described")


@contextmanager
def listening(server: StrictServer, slow: Callable[[int], float] = lambda number: 0.0) -> Iterator[str]:
    """Give the address of a strict server that answers over the network.

    `slow` returns for how many seconds the request of a number waits. Troubles end in what a client sees of them: half
    an answer is one that is shorter than its header says, a lost one a connection that is closed.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16
        disable_nagle_algorithm = True

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length) if length else None
            time.sleep(slow(len(server.requests) + 1))
            with lock:
                half = server.trouble(len(server.requests) + 1, self.command, urlsplit(self.path).path) == "half"
                try:
                    answer = server.request(self.command, self.path, headers=dict(self.headers), content=content)
                except httpx.HTTPError:
                    self.close_connection = True
                    return
            body = answer.content
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) * 2 if half else len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = self.close_connection or half

        do_GET = do_POST = do_PUT = do_DELETE = do_PROPFIND = do_REPORT = _any  # noqa: N815  names of http.server

        def log_message(self, *_: Any) -> None:
            pass

    lock = threading.Lock()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
