"""Hints of the file system, gathered until the files hold still."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: With more paths than this waiting, checking them one by one is not worth it: the whole root is scanned.
OVERFLOW: Final = 20_000
#: A file that was closed after writing needs to hold still only this long, in seconds.
_CLOSED_SECONDS: Final = 0.15
#: How long settled files wait for the rest of a burst, in seconds.
_GATHER_SECONDS: Final = 0.3


@dataclass
class _Hint:
    """A path that something happened to, and since when it holds still."""

    stat: tuple[int, int] | None  # size and mtime; None if it is not a file
    since: float
    wait: float


class HintQueue:
    """The paths that something happened to. May be used from any thread.

    Parameters
    ----------
    settle_seconds
        How long a file's size and time must hold still.
    """

    def __init__(self, settle_seconds: float) -> None:
        self.settle_seconds = settle_seconds
        self._hints: dict[Path, _Hint] = {}
        self._overflowed = False
        self._changed = threading.Condition()

    def add(self, path: Path, closed: bool = False) -> None:
        """Add a path; `closed` if a file was closed there after writing."""
        with self._changed:
            if len(self._hints) >= OVERFLOW:
                self._overflowed = True
                self._hints.clear()
            if self._overflowed:
                return
            wait = min(self.settle_seconds, _CLOSED_SECONDS) if closed else self.settle_seconds
            self._hints[path] = _Hint(_stat(path), time.monotonic(), wait)
            self._changed.notify()

    def overflow(self) -> None:
        """Note that paths were lost; those that wait go, because everything is scanned."""
        with self._changed:
            self._overflowed = True
            self._hints.clear()
            self._changed.notify_all()

    def take_overflow(self) -> bool:
        """Return whether there were too many paths to hold, once."""
        with self._changed:
            overflowed, self._overflowed = self._overflowed, False
        return overflowed

    def wait(self, seconds: float) -> None:
        """Wait for the next path, or so many seconds."""
        with self._changed:
            if not self._overflowed:
                self._changed.wait(max(0.01, seconds))

    def wake(self) -> None:
        """End a wait."""
        with self._changed:
            self._changed.notify_all()

    def take_settled(self) -> tuple[list[Path], float | None]:
        """Return the paths that hold still, which go; and for how long to wait for the next, None if there is none."""
        with self._changed:
            hints = list(self._hints.items())
        now = time.monotonic()
        settled, pause = [], None
        for path, hint in hints:
            left = hint.since + hint.wait - now
            if left <= 0:
                if _stat(path) == hint.stat:
                    settled.append((path, hint))
                    continue
                left = self._restart(path, hint, now)
            pause = left if pause is None else min(pause, left)
        # Settled files of a burst that is still going on wait for the rest, but not for long.
        waited = max((now - hint.since - hint.wait for _, hint in settled), default=0.0)
        if settled and pause is not None and waited < _GATHER_SECONDS:
            return [], min(pause, _GATHER_SECONDS - waited)
        with self._changed:
            for path, hint in settled:
                if self._hints.get(path) is hint:
                    del self._hints[path]
        return [path for path, _ in settled], pause

    def _restart(self, path: Path, hint: _Hint, now: float) -> float:
        """Make a file that is still being written hold still for the whole time; return that time."""
        again = _Hint(_stat(path), now, self.settle_seconds)
        with self._changed:
            if self._hints.get(path) is hint:
                self._hints[path] = again
        return again.wait


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_size, info.st_mtime_ns
