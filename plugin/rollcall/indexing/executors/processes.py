"""Analyse in processes on this machine, one thread of work each, so that all processors are used.

A process that dies is replaced. The photos that it had are tried again one at a time; one that is alone in a process
that dies, too, is the outcome of a failure.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from rollcall.errors import ModelError
from rollcall.indexing.executors.analysis import Options, Outcome, Task, analyse
from rollcall.indexing.executors.base import Stopping, chunks, in_turn, recorded
from rollcall.indexing.executors.failed import lost
from rollcall.indexing.executors.worker import Died, Request, Setup, Worker
from rollcall.indexing.failures import analysis_key
from rollcall.indexing.profile import Profile
from rollcall.media.worker import Unavailable

#: Photos that a process takes at once, at most: more make no difference to the networks, and take memory. With four a
#: process held 333 MiB of its own at most instead of 286, since more programs were loaded for one request, too.
CHUNK: Final = 2
CHUNK_GPU: Final = 4
#: How many chunks for each process are given out or waiting.
_AHEAD: Final = 6
#: So many processes that die one after another are not the photos' fault.
_HOPELESS: Final = 12


@dataclass(eq=False)
class _Chunk:
    """Photos that a process takes at once."""

    tasks: list[Task]
    done: Future[list[Outcome]] = field(default_factory=Future)
    alone: bool = False  # whether it is one photo of a process that died


class ProcessExecutor:
    """Keeps `count` processes until it is closed.

    Parameters
    ----------
    setup
        What the processes are given at their start.
    here
        The options for an analysis in this process, where no other can be started.
    resting
        Returns whether the processes shall work half of the time.
    warn
        Gets sentences for the user.
    gpus
        The GPU of each process; none for processors alone.
    """

    def __init__(
        self,
        setup: Setup,
        here: Options,
        count: int,
        profile: Profile,
        resting: Callable[[], bool] = lambda: False,
        warn: Callable[[str], None] = lambda message: None,
        gpus: Sequence[str] = (),
    ) -> None:
        self.setup, self.count, self.gpus = setup, count, gpus
        self._here, self._profile, self._resting, self._warn = here, profile, resting, warn
        self._size = min(CHUNK_GPU if gpus else CHUNK, here.settings.detector.batch)
        self._turn = threading.Condition()
        self._queue: deque[_Chunk] = deque()
        self._workers: set[Worker] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._deaths = 0  # since a process gave an answer
        self._warned = False

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes that run now."""
        with self._turn:
            return [worker.pid for worker in self._workers]

    def outcomes(self, tasks: Iterator[Task], stopping: Stopping) -> Iterator[Outcome]:
        """See `Executor`; in the order of the tasks."""
        self._start()
        given = in_turn(
            chunks(tasks, self._size),
            lambda chunk: self._given(_Chunk(chunk)),
            _AHEAD * self.count,
            lambda: self._profile("waiting for processes"),
            stopping,
        )
        for found in given:
            yield from recorded(found, self._profile)

    def close(self) -> None:
        """End all processes at once."""
        with self._turn:
            self._closed = True
            self._queue.clear()
            for worker in self._workers:
                worker.kill()
            self._turn.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    # ---- The queue

    def _start(self) -> None:
        for number in range(self.count - len(self._threads)):
            gpu = self.gpus[number] if self.gpus else None
            thread = threading.Thread(target=self._serve, args=(gpu,), name=f"worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _given(self, chunk: _Chunk, *, first: bool = False) -> Future[list[Outcome]]:
        with self._turn:
            (self._queue.appendleft if first else self._queue.append)(chunk)
            self._turn.notify()
        return chunk.done

    def _next(self) -> _Chunk | None:
        """Return the next chunk, when there is one; None at the end."""
        with self._turn:
            self._turn.wait_for(lambda: self._queue or self._closed)
            return None if self._closed else self._queue.popleft()

    # ---- One process, and the thread that talks to it

    def _serve(self, gpu: str | None) -> None:
        """Keep one process busy; runs on a thread of its own."""
        worker: Worker | None = None
        try:
            # Started before there is work, since the start takes long.
            worker = self._begun(gpu)
            while (chunk := self._next()) is not None:
                worker = worker or self._begun(gpu)
                worker = self._answered(worker, chunk)
        finally:
            if worker is not None:
                self._ended(worker)

    def _begun(self, gpu: str | None) -> Worker | None:
        """Start a process; return None, with a warning, where that cannot be done."""
        worker: Worker | None = None
        try:
            worker = Worker(self.setup, gpu)
            with self._turn:
                self._workers.add(worker)
                if self._closed:
                    worker.kill()
            worker.ready()
            return worker
        except Unavailable as error:
            self._unavailable(str(error))
        # What is wrong with the installation shows again where a photo is analysed, in the thread that leads.
        except (ModelError, MemoryError):
            pass
        if worker is not None:
            self._ended(worker)
        return None

    def _unavailable(self, reason: str) -> None:
        with self._turn:
            known, self._warned = self._warned or self._closed, True
        if not known:
            self._warn(f"{reason}, so photos are analysed in this process; set power.executor to threads")

    def _ended(self, worker: Worker) -> None:
        with self._turn:
            self._workers.discard(worker)
        worker.close()

    def _answered(self, worker: Worker | None, chunk: _Chunk) -> Worker | None:
        """Get the outcomes of a chunk; return the process if it lives."""
        try:
            if worker is None:
                found = analyse(chunk.tasks, self.setup.analyzer, self._here)
            else:
                found = worker.analyse(Request(chunk.tasks, self._resting()))
        except Died as error:
            if worker is not None:
                self._ended(worker)
            self._died(chunk, error)
            return None
        except BaseException as error:
            chunk.done.set_exception(error)
            return worker
        self._deaths = 0
        chunk.done.set_result(found)
        return worker

    def _died(self, chunk: _Chunk, error: Died) -> None:
        """Try the photos of a process that died again, one at a time; one that was alone has failed."""
        if self._closed:
            return
        self._deaths += 1
        if self._deaths >= _HOPELESS:
            chunk.done.set_exception(
                ModelError(
                    f"the processes that analyse photos die one after another ({error.cause}), so the run was ended;"
                    " close other programs, or set power.workers to fewer or power.executor to threads"
                )
            )
        elif chunk.alone:
            key = analysis_key() if error.photo_to_blame else None
            chunk.done.set_result([lost(chunk.tasks[0], error.cause, key)])
        else:
            _Regathered(chunk.done, [self._given(_Chunk([one], alone=True), first=True) for one in chunk.tasks])


class _Regathered:
    """Puts the outcomes of photos that were tried one at a time together again."""

    def __init__(self, whole: Future[list[Outcome]], parts: list[Future[list[Outcome]]]) -> None:
        self._whole, self._parts = whole, parts
        self._lock = threading.Lock()
        for part in parts:
            part.add_done_callback(self._one_is_done)

    def _one_is_done(self, _: Future[list[Outcome]]) -> None:
        with self._lock:
            if self._whole.done() or not all(part.done() for part in self._parts):
                return
            try:
                self._whole.set_result([one for part in self._parts for one in part.result()])
            except Exception as error:
                self._whole.set_exception(error)
