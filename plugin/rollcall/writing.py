"""One thread that writes while the next photos are analysed: one piece of work at a time, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Writer:
    """Does work on a thread of its own, at most one piece ahead; use from one thread.

    Parameters
    ----------
    beside
        False: everything is done at once, on the calling thread.
    """

    def __init__(self, beside: bool) -> None:
        self.beside = beside
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: tuple[Future[Any], Callable[[Any], None]] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the thread while the `with` lasts; what was given to it is finished, whatever ends the `with`."""
        if not self.beside:
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
        """Do `work` when the piece before it is done; `then` is told the result on this thread, in time.

        What the piece before raised is raised here, and this one is not done.
        """
        self.finish()
        if self._pool is None:
            then(work())
            return
        self._waiting = self._pool.submit(work), then

    def finish(self) -> None:
        """Wait for what is being done."""
        if self._waiting is not None:
            (future, then), self._waiting = self._waiting, None
            then(future.result())
