"""The end of the page, as what waits on an event loop hears of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Closing:
    """Whether the page ends. May be used from any thread: the address in the home network has a loop of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = False
        self._waking: set[Callable[[], object]] = set()

    def begin(self) -> None:
        """Wake whoever waits."""
        with self._lock:
            self._begun = True
            for wake in self._waking:
                with suppress(RuntimeError):  # its loop has ended before
                    wake()

    async def wait(self, seconds: float) -> bool:
        """Wait until the page ends, for some seconds at most; return whether it does."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        with self._lock:
            if self._begun:
                return True
            self._waking.add(wake)
        later = loop.call_later(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            later.cancel()
            with self._lock:
                self._waking.discard(wake)
        return self._begun
