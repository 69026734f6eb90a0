"""What all executors have in common: photos' tasks in, their outcomes out, in the order of the tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from itertools import islice
from typing import Final, Protocol, TypeVar

from rollcall.indexing.executors.analysis import Outcome, Task
from rollcall.indexing.profile import Profile

T = TypeVar("T")
Given = TypeVar("Given")
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


def in_turn(
    tasks: Iterator[Given],
    give: Callable[[Given], Future[T]],
    most: int,
    waiting: Callable[[], AbstractContextManager[object]],
    stopping: Stopping,
) -> Iterator[T]:
    """Yield the results of tasks in their order, with at most `most` of them given out or waiting.

    `waiting` returns the context in which a result is waited for.

    Raises
    ------
    StoppedError
        If the run was stopped.
    """
    given: deque[Future[T]] = deque()
    while True:
        given.extend(give(task) for task in islice(tasks, most - len(given)))
        if not given:
            return
        with waiting():
            found = result_of(given.popleft(), stopping)
        yield found


def recorded(found: Sequence[Outcome], profile: Profile) -> Iterator[Outcome]:
    """Yield outcomes that others made, and add what they took to the profile."""
    for outcome in found:
        profile.add("decode", outcome.decoding, parallel=True)
        profile.add("detect and estimate", outcome.analysing, parallel=True)
        yield outcome


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
