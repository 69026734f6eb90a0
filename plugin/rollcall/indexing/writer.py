"""A thread that writes while the next photos are analysed: one piece of work at a time, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Writer:
    """Runs work on a thread of its own, at most one piece at a time; use from one thread.

    Parameters
    ----------
    threaded
        False: all work runs immediately, on the calling thread.
    """

    def __init__(self, threaded: bool) -> None:
        self.threaded = threaded
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: tuple[Future[Any], Callable[[Any], None]] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the thread for the `with` block; submitted work is finished, also when an error ends the block."""
        if not self.threaded:
            yield
            return
        with ThreadPoolExecutor(1, thread_name_prefix="write") as pool:
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None
                self.finish()

    def submit(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run `work` after the piece before it; `then` is called with its result later, on the calling thread.

        An error of the piece before is raised here, and `work` does not run.
        """
        self.finish()
        if self._pool is None:
            then(work())
            return
        self._waiting = self._pool.submit(work), then

    def finish(self) -> None:
        """Wait for the submitted work, call its `then`, and raise its error if it failed."""
        if self._waiting is not None:
            (future, then), self._waiting = self._waiting, None
            then(future.result())
