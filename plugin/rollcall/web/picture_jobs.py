"""Work that several requests wait for: done once, few at a time, and given up when nobody waits any more."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from typing import Final

from rollcall.media import decode, worker

log = logging.getLogger(__name__)
#: Makes a picture; the event is set when nobody waits for it any more.
Make = Callable[[threading.Event], bytes]
#: Pictures that are made at the same time: what one takes is not known before its header is read.
THREADS: Final = 2
#: How often a request that waits looks whether its client is still there, in seconds.
_CHECK_SECONDS: Final = 0.25


class _Job:
    def __init__(self, key: Hashable, make: Make) -> None:
        self.key, self.make = key, make
        self.result: Future[bytes] = Future()
        self.abandoned = threading.Event()
        self.waiting = 0


class PictureJobs:
    """Makes pictures on a few threads of its own, the one that was asked for last first. May be used from any thread.

    The newest request goes first because it is what the person looks at: whoever scrolls quickly does not wait for
    what has left the screen.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads
        self._running: list[threading.Thread] = []
        self._jobs: dict[Hashable, _Job] = {}
        self._stack: list[_Job] = []
        self._changed = threading.Condition()
        self._closed = False

    async def result(self, key: Hashable, make: Make, is_gone: Callable[[], Awaitable[bool]]) -> bytes | None:
        """Return what `make` makes for a key, once however many ask at the same time; None if the client has gone.

        Parameters
        ----------
        is_gone
            Returns whether the client has closed the connection. When all clients of a key have, it is given up.

        Raises
        ------
        Exception
            What `make` raises, in every request that waits for it.
        """
        try:
            job = self._join(key, make)
        except worker.Interrupted:
            return None
        try:
            waiting = asyncio.wrap_future(job.result)
            # What fails after the last client has gone is nobody's.
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
            while not (await asyncio.wait([waiting], timeout=_CHECK_SECONDS))[0]:
                if await is_gone():
                    return None
            return waiting.result()
        except worker.Interrupted:
            return None
        finally:
            self._leave(job)

    def close(self) -> None:
        """Give up all work."""
        with self._changed:
            self._closed = True
            jobs, queued = list(self._jobs.values()), list(self._stack)
            self._jobs.clear()
            self._stack.clear()
            self._changed.notify_all()
        for job in jobs:
            self._give_up(job)
        for job in queued:
            job.result.set_exception(worker.Interrupted())

    def _join(self, key: Hashable, make: Make) -> _Job:
        with self._changed:
            job = self._jobs.get(key)
            if self._closed:
                raise worker.Interrupted
            if job is None:
                job = self._jobs[key] = _Job(key, make)
                self._stack.append(job)
                self._start()
                self._changed.notify()
            elif job in self._stack:
                self._stack.remove(job)
                self._stack.append(job)
            job.waiting += 1
            return job

    def _leave(self, job: _Job) -> None:
        with self._changed:
            job.waiting -= 1
            if job.waiting or job.result.done():
                return
            # A request that comes now begins anew: this work may be ended at any moment.
            self._forget(job)
            if job in self._stack:
                self._stack.remove(job)
        self._give_up(job)

    @staticmethod
    def _give_up(job: _Job) -> None:
        job.abandoned.set()
        decode.interrupt(job.abandoned)

    def _forget(self, job: _Job) -> None:
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]

    def _start(self) -> None:
        if self._closed or len(self._running) >= self._threads:
            return
        thread = threading.Thread(target=self._work, name="rollcall-pictures", daemon=True)
        self._running.append(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stack or self._closed)
                if self._closed:
                    return
                job = self._stack.pop()
            try:
                made = job.make(job.abandoned)
            except BaseException as error:  # travels to the requests that wait
                self._finish(job, error=error)
            else:
                self._finish(job, made)

    def _finish(self, job: _Job, made: bytes = b"", error: BaseException | None = None) -> None:
        with self._changed:
            self._forget(job)
        if error is not None:
            job.result.set_exception(error)
        else:
            job.result.set_result(made)
