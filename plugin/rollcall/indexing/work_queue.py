"""A queue of work: one piece at a time, first come, first served, with a timeout."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rollcall.errors import BusyError
from rollcall.sentences import Quoted, Sentence


class RunningWork(NamedTuple):
    """The piece of work that runs at present."""

    name: str  # "index", "update", "describe", "erase", "warm up"
    since: float  # by time.monotonic()


class WorkQueue:
    """Gives turns to threads. May be used from any thread.

    Parameters
    ----------
    url
        The database's URL, for errors.
    """

    def __init__(self, url: str = "") -> None:
        self.url = url
        self._condition = threading.Condition()
        self._waiting: deque[object] = deque()
        self._running: RunningWork | None = None
        self._owner: int | None = None

    @property
    def running(self) -> RunningWork | None:
        """The work that runs at present; None if there is none."""
        return self._running

    @contextmanager
    def turn(self, name: str, timeout: float, stop: threading.Event | None = None) -> Iterator[None]:
        """Wait for a turn, and hold it for the `with` block.

        Parameters
        ----------
        name
            The name of the work, for `running` and for errors.
        timeout
            For how many seconds to wait at most; 0: not at all, infinity: without a limit.
        stop
            Ends the wait when set.

        Raises
        ------
        BusyError
            If other work is not done within `timeout` seconds, or `stop` was set, or the same thread has a turn
            already.
        """
        ticket = object()
        until = time.monotonic() + timeout
        with self._condition:
            if self._owner == threading.get_ident():
                raise self._busy(f"a listener cannot start {name!r} while it is called")
            self._waiting.append(ticket)
            try:
                while self._running is not None or self._waiting[0] is not ticket:
                    left = until - time.monotonic()
                    if left <= 0 or (stop is not None and stop.is_set()):
                        raise self._busy(Sentence("wait for it, stop it, or give a longer timeout"))
                    # In short waits, because `stop` does not notify the condition.
                    self._condition.wait(min(left, 0.2))
            finally:
                self._waiting.remove(ticket)
                self._condition.notify_all()
            self._running = RunningWork(name, time.monotonic())
            self._owner = threading.get_ident()
        try:
            yield
        finally:
            with self._condition:
                self._running = None
                self._owner = None
                self._condition.notify_all()

    def _busy(self, advice: str) -> BusyError:
        running = self._running
        if running is None:
            return BusyError(
                self.url, Sentence("other work is waiting for its turn; %(advice)s", advice=advice), "waiting"
            )
        seconds = time.monotonic() - running.since
        return BusyError(
            self.url,
            Sentence(
                "this plugin has been busy with %(work)s for %(seconds)s s; %(advice)s",
                work=Quoted(running.name),
                seconds=f"{seconds:.0f}",
                advice=advice,
            ),
            running.name,
        )
