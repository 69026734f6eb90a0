"""Analyse on a Ray cluster: Ray schedules, and repeats elsewhere what a node that went away had; rows stay here.

Importing this needs the extra `rollcall[cluster]`. Every node needs Rollcall, and the photos under the same paths.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

# Ray reads both when it is imported. Nothing about a library, not even that there is one, goes to anyone. And under
# `uv run` Ray would pack the current folder, whatever is in it, send it to all nodes, and run what it finds there
# instead of what is installed on them.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

import ray
import ray.exceptions

from rollcall.errors import ModelError, RemoteError
from rollcall.indexing.executors.analysis import Outcome, Task, analyse
from rollcall.indexing.executors.base import STOP_CHECK_SECONDS, StoppedError, Stopping, chunks, recorded
from rollcall.indexing.executors.failed import lost
from rollcall.indexing.executors.worker import ENVIRONMENT, Setup
from rollcall.indexing.profile import Profile

#: Photos of one of Ray's tasks, at most.
_CHUNK: Final = 8
#: How many chunks for each processor of the cluster are given out or waiting.
_AHEAD: Final = 3
#: How often Ray repeats a chunk whose process or node went away, before its photos are tried one at a time.
_RETRIES: Final = 2
#: What Ray raises when it has repeated a chunk often enough.
_GONE: Final = (
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.NodeDiedError,
)


@cache
def _loaded(setup: bytes, path: tuple[str, ...]) -> Setup:
    """Return the setup of a process of the cluster, unpickled once; the networks are loaded by their first use.

    `path` is where the run finds modules. What is installed on the node goes before it.
    """
    sys.path.extend(entry for entry in path if entry not in sys.path)
    found: Setup = pickle.loads(setup)
    return found


def _analyse(setup: bytes, path: tuple[str, ...], tasks: list[Task]) -> list[Outcome]:
    """Analyse on a node, in one of the cluster's processes, which Ray uses again for the next photos."""
    ready = _loaded(setup, path)
    return analyse(tasks, ready.analyzer, ready.options)


@dataclass(eq=False)
class _Chunk:
    """Photos of one of Ray's tasks."""

    tasks: list[Task]
    reference: Any  # Ray's, to the outcomes
    alone: bool = False


class RayExecutor:
    """Uses a cluster until it is closed.

    Parameters
    ----------
    address
        Of the cluster; empty: that of the environment, else one is started on this machine.
    workers
        How many processors of a cluster that is started here; 0: all.
    """

    def __init__(self, setup: Setup, profile: Profile, address: str = "", workers: int = 0) -> None:
        # No file of this machine is locked by another one, and each node's decoders have a budget of their own.
        self._setup = pickle.dumps(setup._replace(budget=0, lock=None, warm=None), pickle.HIGHEST_PROTOCOL)
        self._profile, self._address, self._workers = profile, address, workers
        # An empty entry is the current folder.
        self._path = tuple(str(Path(entry).absolute()) for entry in sys.path)
        self._waiting: deque[_Chunk] = deque()
        self._mine = False  # whether this executor connected to the cluster
        self._remote: Any = None
        self._stored: Any = None

    def outcomes(self, tasks: Iterator[Task], stopping: Stopping) -> Iterator[Outcome]:
        """See `Executor`; in the order of the tasks."""
        self._connect()
        source = chunks(tasks, _CHUNK)
        while True:
            while len(self._waiting) < self._most():
                chunk = next(source, None)
                if chunk is None:
                    break
                self._waiting.append(self._given(chunk))
            if not self._waiting:
                return
            with self._profile("waiting for the cluster"):
                found = self._result(self._waiting[0], stopping)
            self._waiting.popleft()
            yield from recorded(found, self._profile)

    def close(self) -> None:
        """Drop what is under way, and leave the cluster; one that was started here ends."""
        for chunk in self._waiting:
            with contextlib.suppress(Exception):  # a cluster that is gone has nothing to cancel
                ray.cancel(chunk.reference, force=True)
        self._waiting.clear()
        if self._mine:
            ray.shutdown()
            self._mine = False

    def _connect(self) -> None:
        if not ray.is_initialized():
            handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
            try:
                self._join()
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ModelError(
                    f"the Ray cluster {self._name} cannot be used ({error}); check"
                    " power.ray_address, and that it runs the same versions of Ray and Python"
                ) from error
            finally:
                with contextlib.suppress(ValueError):  # not the main thread
                    for number, handler in handlers.items():
                        signal.signal(number, handler)
            self._mine = True
        self._stored = ray.put(self._setup)
        self._remote = ray.remote(num_cpus=1, runtime_env={"env_vars": dict(ENVIRONMENT)})(_analyse)

    def _join(self) -> None:
        address = self._address or os.environ.get("RAY_ADDRESS") or None
        own = {} if address else {"num_cpus": self._workers or None, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)

    def _most(self) -> int:
        """Return how many chunks are given out: nodes come and go."""
        return _AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)

    def _given(self, tasks: list[Task], *, alone: bool = False) -> _Chunk:
        retries = 1 if alone else _RETRIES
        return _Chunk(tasks, self._remote.options(max_retries=retries).remote(self._stored, self._path, tasks), alone)

    def _result(self, chunk: _Chunk, stopping: Stopping) -> list[Outcome]:
        """Return the outcomes of a chunk, wherever they were made in the end."""
        while not ray.wait([chunk.reference], timeout=STOP_CHECK_SECONDS)[0]:
            if stopping():
                raise StoppedError
        try:
            found: list[Outcome] = ray.get(chunk.reference)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, RemoteError):
                raise RemoteError(cause.address, cause.reason) from error
            raise MemoryError(str(cause)) if isinstance(cause, MemoryError) else ModelError(str(cause)) from error
        except _GONE as error:
            if chunk.alone:
                return [lost(chunk.tasks[0], type(error).__name__, None)]
            again = [self._given([task], alone=True) for task in chunk.tasks]
            return [outcome for one in again for outcome in self._result(one, stopping)]
        except ray.exceptions.RayError as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(
                f"the Ray cluster {self._name} does not analyse photos ({type(error).__name__}: {reason}); see to it,"
                " or set power.executor to processes, and index again: what is done stays done"
            ) from error
        return found

    @property
    def _name(self) -> str:
        return self._address or "of this computer"
