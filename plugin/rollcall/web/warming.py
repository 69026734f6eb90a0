"""What pages will need, looked up while nobody waits: after the start, and after commits that made it useless."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from rollcall.errors import RollcallError
from rollcall.host import Plugin
from rollcall.web.collecting import Collecting
from rollcall.web.remembered import Remembered

log = logging.getLogger(__name__)

#: Nobody waits if nothing was asked for so many seconds.
QUIET: Final = 0.3
#: So long after a commit what it changed is looked up again: another one may follow at once.
SETTLED: Final = 2.0
#: How often it is looked whether there is something to do, in seconds.
_EVERY: Final = 0.25
#: How long the end waits for what is being looked up, in seconds.
_ENDING: Final = 0.5
#: How often what searches keep is tidied up while a run commits again and again, in seconds.
_TIDY_EVERY: Final = 5.0
#: While nobody used the page for so long nothing is looked up.
_USED_FOR: Final = 600.0


class Warming:
    """A thread that looks up ahead. May be used from any thread.

    Parameters
    ----------
    prepare
        What is done after the start, one after the other.
    """

    def __init__(self, plugin: Plugin, remembered: Remembered, *prepare: Callable[[], object]) -> None:
        self.plugin, self.remembered = plugin, remembered
        self._prepare = list(prepare)
        self._collecting = Collecting()
        # The state of the library for which searches were tidied up last, and when.
        self._tidied: object = None
        self._tidied_at = 0.0
        self._asked = 0.0  # when a request came or was answered last, on the clock that only grows
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_ready(self) -> bool:
        """Whether everything that is done after the start is done."""
        return not self._prepare and not self._collecting.is_due()

    def touch(self) -> None:
        """Say that somebody waits for an answer, or has just got one."""
        self._asked = time.monotonic()

    def start(self) -> None:
        """Begin, on a thread."""
        self._thread = threading.Thread(target=self._run, name="rollcall-ahead", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after what is being looked up."""
        self._closing.set()

    def close(self) -> None:
        """End, and wait a moment for it: nothing is lost if what is being looked up is not found."""
        self.stop()
        if self._thread is not None:
            self._thread.join(_ENDING)

    def _run(self) -> None:
        state: object = None
        since, reported = time.monotonic(), ""
        # Each round waits, also one that failed: a database may be out of reach for hours.
        while not self._closing.wait(_EVERY):
            try:
                now = self.plugin.state()
                if now != state:
                    state, since = now, time.monotonic()
                while self._prepare and now is not None and self._is_free():
                    self._prepare.pop(0)()
                if now is None or self._prepare:
                    continue
                self._tidy(now)
                if not self._is_free():
                    continue
                if time.monotonic() - since >= SETTLED and time.monotonic() - self._asked < _USED_FOR:
                    self.remembered.renew(self._is_free)
            except RollcallError as error:  # the page says so to whoever asks for it
                if str(error) != reported:
                    reported = str(error)
                    log.info("nothing is looked up ahead (%s)", error)

    def _tidy(self, state: object) -> None:
        """Do what some request would have to do otherwise, after many changes; while a run makes them, too."""
        if self._collecting.is_due() and self._is_free():
            self._collecting.collect()
        if state != self._tidied and time.monotonic() - self._tidied_at >= _TIDY_EVERY and self._is_quiet():
            self._tidied, self._tidied_at = state, time.monotonic()
            self.plugin.prepare_searches()

    def _is_quiet(self) -> bool:
        """Return whether nobody waits."""
        return time.monotonic() - self._asked >= QUIET and not self._closing.is_set()

    def _is_free(self) -> bool:
        """Return whether nobody waits, and no run commits again and again."""
        return self._is_quiet() and self.plugin.service.queue.running is None


class Touched:
    """Tells the warming of an application of each request: middleware."""

    def __init__(self, app: ASGIApp, warming: Warming) -> None:
        self.app, self.warming = app, warming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.warming.touch()
        try:
            await self.app(scope, receive, send)
        finally:
            self.warming.touch()
