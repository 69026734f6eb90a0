"""Requests to a server: paced, tried again where that is safe, and with errors that say what to do."""

from __future__ import annotations

import json
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from rollcall.errors import BridgeError, reason_of

#: Statuses of a server that is overloaded or restarts.
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Methods that have the same effect when they arrive twice.
_REPEATABLE: Final = frozenset({"PUT", "DELETE"})
#: Methods that change nothing.
_READING: Final = frozenset({"GET", "HEAD", "PROPFIND", "REPORT"})
_TRIES: Final = 6
_LONGEST_WAIT: Final = 60.0  # seconds
#: A page for people, as a login or a proxy shows it.
_PAGE: Final = re.compile(r"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


class Answer(NamedTuple):
    """A server's answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """Return the body's value.

        Raises
        ------
        ValueError
            If it is no JSON.
        """
        return json.loads(self.body)


class Transport(Protocol):
    """Sends one request: `httpx.Client`, in tests one that calls an application."""

    def request(self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None) -> Any:
        """Return an answer with `status_code`, `headers` and `content`."""


class UnclearError(Exception):
    """A request that adds something failed, and whether it had an effect is not known: look before it is sent again."""


class Connection:
    """A connection to one server.

    Parameters
    ----------
    url
        Where the server is, without a slash at the end.
    headers
        Sent with every request, such as the key.
    transport
        What sends requests; by default an `httpx.Client`.
    per_second
        How many requests are sent in a second at most; 0: no limit.
    stop
        Ends waiting when set.
    sleep
        Waits for some seconds.

    Raises
    ------
    BridgeError
        If the address is none of a server, or a header can be no key.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        transport: Transport | None = None,
        per_second: float = 0.0,
        stop: threading.Event | None = None,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        self.url = _checked(url.strip()).rstrip("/")
        self.stop = stop or threading.Event()
        self.sent = 0  # requests that change something
        self._headers = {"Accept": "application/json", **self._sendable(headers or {})}
        self._asked_last = ""
        self._transport = transport or _client()
        self._pause = 1.0 / per_second if per_second > 0 else 0.0
        self._sleep = sleep or self.stop.wait
        self._next = 0.0  # of time.monotonic

    def _sendable(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers without the spaces and line ends that were copied with a key."""
        found = {name: text.strip() for name, text in headers.items()}
        if not all(text.isascii() and text.isprintable() for text in found.values()):
            raise BridgeError(
                self.url,
                "the key in the settings holds a character that no key has, such as a line end or a letter with an"
                " accent; copy it again",
            )
        return found

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Tell of answers that are of another form than the API's description says, as of an unknown version.

        Raises
        ------
        BridgeError
            In place of the errors of reading them.
        """
        try:
            yield
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
            raise BridgeError(
                self.url,
                f"its answer to {self._asked_last or 'a request'} is of another form than is known; check that the"
                " address is the right server's, and its version, and report it if that is recent",
            ) from error

    def pause(self, attempt: int) -> None:
        """Wait, longer with each attempt."""
        self._sleep(_delay(attempt, None))

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON value at a path.

        Raises
        ------
        BridgeError
            If the server cannot be reached or refuses.
        """
        return self.call("GET", path, query=query)

    def call(self, method: str, path: str, value: Any = None, *, query: Mapping[str, Any] | None = None) -> Any:
        """Send a JSON value, or nothing; return the JSON value of the answer, None where it has none.

        Raises
        ------
        BridgeError
            If the server cannot be reached or refuses; `status` is the server's, 0 if there is none.
        UnclearError
            If a POST may have had an effect or not.
        """
        content = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json"} if content is not None else {}
        return self._send(method, path, content, headers, query or {}, _value)

    def ask(self, path: str, value: Any) -> Any:
        """Send a POST that only asks, and may be sent again; return the JSON value of the answer.

        Raises
        ------
        BridgeError
            As `call`.
        """
        headers = {"Content-Type": "application/json"}
        return self._send("POST", path, json.dumps(value).encode(), headers, {}, _value, asks=True)

    def raw(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        allowed: frozenset[int] = frozenset(),
        check: Callable[[Answer], Any] | None = None,
    ) -> Answer:
        """Send bytes; return the answer, also one with a status of `allowed`.

        `check` raises ValueError if an answer came half.

        Raises
        ------
        BridgeError, UnclearError
            As `call`.
        """

        def read(answer: Answer) -> Answer:
            if check is not None and answer.status not in allowed:
                check(answer)
            return answer

        found: Answer = self._send(method, path, content, headers or {}, {}, read, allowed)
        return found

    def _send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str],
        query: Mapping[str, Any],
        read: Callable[[Answer], Any],
        allowed: frozenset[int] = frozenset(),
        asks: bool = False,
    ) -> Any:
        url = self.url + path + _encoded(query)
        asks = asks or method in _READING
        self.sent += not asks
        self._asked_last = f"{method} {path}"
        for attempt in range(_TRIES):
            self._wait_turn()
            answer: Answer | None = None
            try:
                answer = self._once(method, url, content, headers)
                if 200 <= answer.status < 300 or answer.status in allowed:
                    return read(answer)
                trouble, passing = _trouble(answer), answer.status in _PASSING
                status = answer.status
            except (OSError, ValueError) as error:
                # ValueError: the answer came half, so that it is no JSON. Of a page for people that is not what it is.
                shown = _page(answer.body) if isinstance(error, ValueError) and answer is not None else ""
                shown = shown and f"{shown}; check the address, and whether a login stands before the server"
                trouble, passing, status, answer = shown or reason_of(error), True, 0, Answer(0, {}, b"")
            if not passing:
                raise BridgeError(self.url, _advice(status, trouble, path), status)
            if not asks and method not in _REPEATABLE and status != 429:
                raise UnclearError(trouble)
            if attempt + 1 < _TRIES:
                self._sleep(_delay(attempt, answer.headers.get("retry-after")))
                if self.stop.is_set():
                    break
        raise BridgeError(
            self.url,
            f"it does not answer as it should ({trouble}); run the command again later, it goes on where it stopped",
            status,
        )

    def _once(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        import httpx

        try:
            answer = self._transport.request(method, url, headers={**self._headers, **headers}, content=content)
        except httpx.InvalidURL as error:
            raise BridgeError(
                self.url, f"this is no address of a server ({reason_of(error)}); correct it in the settings"
            ) from error
        except httpx.HTTPError as error:
            raise OSError(reason_of(error)) from error
        return Answer(
            answer.status_code, {name.lower(): text for name, text in answer.headers.items()}, bytes(answer.content)
        )

    def _wait_turn(self) -> None:
        moment = time.monotonic()
        if self._pause and self._next > moment:
            self._sleep(self._next - moment)
        self._next = max(self._next, moment) + self._pause


def _client() -> Transport:
    try:
        import httpx
    except ImportError as error:
        raise BridgeError("httpx", "bridges to servers need the extra: install rollcall[bridges]") from error
    return httpx.Client(timeout=60.0, follow_redirects=False)


def _encoded(query: Mapping[str, Any]) -> str:
    from urllib.parse import urlencode

    shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
    return f"?{urlencode(shown)}" if shown else ""


def _value(answer: Answer) -> Any:
    return answer.json() if answer.body.strip() else None


def _checked(url: str) -> str:
    """Return the address of a server.

    Raises
    ------
    BridgeError
        If it is none, or holds a password.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        parts, good = None, False
    if parts is not None and "@" in parts.netloc:
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        raise BridgeError(shown, "addresses with a name or a password are not used; give the key in the settings")
    if not good:
        raise BridgeError(url, "this is no address of a server; correct it in the settings, such as http://server:2283")
    return url


def _page(body: bytes) -> str:
    """Return of what a page for people is, if an answer is one; else nothing."""
    text = body[:20_000].decode("utf-8", "replace")
    if not _PAGE.match(text):
        return ""
    title = _TITLE.search(text)
    return f"a page for people: {' '.join(title[1].split())[:80]!r}" if title else "a page for people"


def _trouble(answer: Answer) -> str:
    """Return what a server says is wrong, in one line."""
    to = answer.headers.get("location", "").partition("?")[0] if 300 <= answer.status < 400 else ""
    shown = f"to {to[:200]}" if to else _page(answer.body)
    if shown:
        return f"status {answer.status}, {shown}"
    text = answer.body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
        if isinstance(value, dict):
            text = str(value.get("message") or value.get("error") or value.get("detail") or text)
    except ValueError:
        pass
    return f"status {answer.status}: {' '.join(text.split())[:200]}".rstrip(": ")


def _advice(status: int, trouble: str, path: str) -> str:
    if status in (401, 403):
        return f"the key or password is not accepted ({trouble}); check it, and what it may do, in the settings"
    if 300 <= status < 400:
        return f"the address leads elsewhere ({trouble}); give the address that it leads to in the settings"
    if status == 404:
        return f"it has nothing at {path} ({trouble}); check the address, and the version of the server"
    return f"it refuses {path} ({trouble}); check the version of the server, and report it if that is recent"


def _delay(attempt: int, given: str | None) -> float:
    """Return for how many seconds to wait: what the server asks for, else twice as long each time, with jitter."""
    asked = _asked(given) if given else 0.0
    return float(min(max(asked, 0.5 * 2**attempt * random.uniform(0.8, 1.2)), _LONGEST_WAIT))


def _asked(given: str) -> float:
    """Return the seconds of a header `Retry-After`, which gives them or a date (RFC 9110, 10.2.3)."""
    try:
        seconds = float(given)
        return max(seconds, 0.0) if math.isfinite(seconds) else 0.0
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(given).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0
