"""What all executors have in common: photos' tasks in, their outcomes out, in the order of the tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Final, Protocol, TypeVar

from rollcall.indexing.executors.analysis import Outcome, Task

T = TypeVar("T")
#: How often a run that waits for others looks whether it was stopped, in seconds.
STOP_CHECK_SECONDS: Final = 0.1

#: Returns whether the run was asked to stop.
Stopping = Callable[[], bool]


class StoppedError(Exception):
    """The run was asked to stop."""


class Executor(Protocol):
    """Analyses photos, somewhere. Use from one thread; `close` may be called more than once."""

    def outcomes(self, tasks: Iterator[Task], stopping: Stopping) -> Iterator[Outcome]:
        """Yield one outcome for each task, nearly in their order; tasks are taken a bounded number ahead.

        Raises
        ------
        StoppedError
            Soon after `stopping` returns True.
        ModelError
            If the networks cannot be loaded.
        """

    def close(self) -> None:
        """End what is under way; its outcomes are dropped."""


def result_of(future: Future[T], stopping: Stopping) -> T:
    """Wait for a result, or for the run to be stopped.

    Raises
    ------
    StoppedError
        If the run was stopped.
    """
    while not stopping():
        if wait([future], timeout=STOP_CHECK_SECONDS).done:
            return future.result()
    raise StoppedError


def chunks(tasks: Iterator[Task], size: int) -> Iterator[list[Task]]:
    """Yield the tasks in lists of at most `size`, in their order."""
    chunk: list[Task] = []
    for task in tasks:
        chunk.append(task)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
