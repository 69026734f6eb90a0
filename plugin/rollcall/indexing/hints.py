"""A queue of changed paths that gives them out when their files no longer change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rollcall.media import completeness

#: With more waiting paths than this a scan of the whole root is cheaper than checking each.
OVERFLOW: Final = 20_000
#: How long a file that was closed after writing must stay unchanged, in seconds.
_CLOSED_SECONDS: Final = 0.15
#: How long unchanged files wait for the rest of a burst, in seconds.
_GATHER_SECONDS: Final = 0.3
#: How long a file that seems to be cut off waits for the rest, in seconds: at least, by the longest pause between two
#: changes of it, and at most.
INCOMPLETE_SECONDS: Final = 5.0
_PAUSES: Final = 3.0
LONGEST_SECONDS: Final = 120.0
#: So many paths of files that were still cut off are remembered after they were given out, with their pauses.
_REMEMBERED: Final = 1000


@dataclass
class _Hint:
    """The state of a changed path."""

    stat: tuple[int, int] | None  # size and mtime_ns; None if it is not there
    since: float  # when it had this state, by time.monotonic()
    wait: float  # for how many seconds it must keep it
    pause: float = 0.0  # the longest time between two changes, in seconds
    noted: bool = False  # `note_settled` has returned it
    cut_off: bool = False  # it seemed so when it was last looked at


class HintQueue:
    """The paths that changed. May be used from any thread.

    Parameters
    ----------
    settle_seconds
        For how many seconds a file's size and time must stay unchanged before its path is given out.
    ends_early
        Returns whether a file seems to be cut off; it then waits for longer: for `INCOMPLETE_SECONDS`, and for as long
        as the pauses suggest in which it is written.
    """

    def __init__(self, settle_seconds: float, ends_early: Callable[[Path], bool] = completeness.ends_early) -> None:
        self.settle_seconds = settle_seconds
        self._ends_early = ends_early
        self._hints: dict[Path, _Hint] = {}
        self._given: dict[Path, _Hint] = {}
        self._overflowed = False
        #: Counts the paths that were lost.
        self.losses = 0
        self._changed = threading.Condition()

    def add(self, path: Path, closed: bool = False) -> None:
        """Add a path; `closed` if a file was closed there after writing."""
        with self._changed:
            if len(self._hints) >= OVERFLOW:
                self._overflowed = True
                self._hints.clear()
            if self._overflowed:
                self.losses += 1
                return
            wait = min(self.settle_seconds, _CLOSED_SECONDS) if closed else self.settle_seconds
            now = time.monotonic()
            # A file that goes on after it was taken for still has had a pause; one that was whole is written anew.
            known = self._hints.get(path) or self._given.pop(path, None)
            pause = 0.0 if known is None else max(known.pause, now - known.since)
            self._hints[path] = _Hint(_stat(path), now, wait, pause)
            self._changed.notify()

    def overflow(self) -> None:
        """Note that paths were lost; those that wait go, because everything is scanned."""
        with self._changed:
            self._overflowed = True
            self.losses += 1
            self._hints.clear()
            self._changed.notify_all()

    def take_overflow(self) -> bool:
        """Return whether more than `OVERFLOW` paths changed since the last call; their paths are lost."""
        with self._changed:
            overflowed, self._overflowed = self._overflowed, False
        return overflowed

    def wait(self, seconds: float) -> None:
        """Wait until a path is added, or for some seconds."""
        with self._changed:
            if not self._overflowed:
                self._changed.wait(max(0.01, seconds))

    def wake(self) -> None:
        """End a wait."""
        with self._changed:
            self._changed.notify_all()

    def take_settled(self) -> tuple[list[Path], float | None]:
        """Remove and return the paths that are unchanged for long enough.

        Also returns for how many seconds to wait for the next one; None if there is none.
        """
        with self._changed:
            hints = list(self._hints.items())
        now = time.monotonic()
        settled, pause = [], None
        for path, hint in hints:
            left = hint.since + hint.wait - now
            if left <= 0:
                if _stat(path) != hint.stat:
                    left = self._restart(path, hint, now)
                else:
                    left = self._left_for_the_rest(path, hint, now)
                    if left <= 0:
                        settled.append((path, hint))
                        continue
            pause = left if pause is None else min(pause, left)
        # Unchanged files of a burst that is still going on wait for the rest, but not for long.
        waited = max((now - hint.since - hint.wait for _, hint in settled), default=0.0)
        if settled and pause is not None and waited < _GATHER_SECONDS:
            return [], min(pause, _GATHER_SECONDS - waited)
        with self._changed:
            for path, hint in settled:
                if self._hints.get(path) is hint:
                    del self._hints[path]
                    if hint.cut_off:
                        self._given[path] = hint
            while len(self._given) > _REMEMBERED:
                del self._given[next(iter(self._given))]
        return [path for path, _ in settled], pause

    def note_settled(self) -> list[Path]:
        """Return the paths that are unchanged for long enough and were not returned before; they stay in the queue."""
        with self._changed:
            hints = [(path, hint) for path, hint in self._hints.items() if not hint.noted]
        now = time.monotonic()
        found = []
        for path, hint in hints:
            if hint.since + hint.wait > now or _stat(path) != hint.stat:
                continue
            if self._left_for_the_rest(path, hint, now) <= 0:
                hint.noted = True
                found.append(path)
        return found

    def _left_for_the_rest(self, path: Path, hint: _Hint, now: float) -> float:
        """Return for how many seconds to wait for the rest of an unchanged file; 0 if it seems to be all there."""
        hint.cut_off = hint.stat is not None and self._ends_early(path)
        if not hint.cut_off:
            return 0.0
        longest = min(max(hint.pause * _PAUSES, INCOMPLETE_SECONDS, self.settle_seconds), LONGEST_SECONDS)
        return max(hint.since + longest - now, 0.0)

    def _restart(self, path: Path, hint: _Hint, now: float) -> float:
        """Start the time again for a file that changed meanwhile; return that time in seconds."""
        again = _Hint(_stat(path), now, self.settle_seconds, max(hint.pause, now - hint.since))
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
