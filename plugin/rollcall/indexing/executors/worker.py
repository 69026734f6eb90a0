"""One process that analyses photos: its start, and the pipes to and from it.

It ends with the process that started it, whatever ended that: its standard input closes.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rollcall.errors import ModelError, RemoteError
from rollcall.indexing.executors.analysis import FaceFinder, Options, Outcome, Task
from rollcall.media import worker as pipes
from rollcall.media.worker import Unavailable

#: How long a process may take to start, in seconds: the first one ever compiles the networks.
_START_SECONDS: Final = 900.0
_MAIN: Final = "rollcall.indexing.executors.worker_main"
#: One thread for each process: the processes share the processors, and threads of one would compete with the others.
ENVIRONMENT: Final = {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    # By this XLA sizes its pool of threads.
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Each arena keeps what was freed in it to itself.
    "MALLOC_ARENA_MAX": "1",
}


#: With a GPU: each takes as much of its memory as it needs, and not nearly all at its start.
GPU_ENVIRONMENT: Final = {
    **{name: value for name, value in ENVIRONMENT.items() if name not in ("JAX_PLATFORMS", "XLA_FLAGS")},
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


class Setup(NamedTuple):
    """What a process is given at its start."""

    analyzer: FaceFinder
    options: Options
    budget: int = 0  # bytes that its decoders may hold together
    lock: Path | None = None  # a file that is locked while one picture takes more than the budget
    warm: Path | None = None  # a file that says that the networks are compiled


class Request(NamedTuple):
    """Photos to analyse."""

    tasks: Sequence[Task]
    resting: bool = False  # whether the process shall rest afterwards for as long as they took


class Failed(NamedTuple):
    """The answer of a process whose installation or machine fails."""

    memory: bool  # whether it is memory that is missing
    message: str
    remote: RemoteError | None = None  # whether it is a server of photos, or the network


class Died(Exception):
    """The process ended while it analysed; the number of the signal that ended it, or None."""

    def __init__(self, signal_number: int | None) -> None:
        self.signal_number = signal_number
        super().__init__(signal_number)

    @property
    def cause(self) -> str:
        """What ended the process, in words."""
        if self.signal_number is None:
            return "ended by itself"
        with contextlib.suppress(ValueError):
            return f"ended by signal {self.signal_number}, {signal.Signals(self.signal_number).name}"
        return f"ended by signal {self.signal_number}"

    @property
    def photo_to_blame(self) -> bool:
        """Whether the program broke down, rather than that someone ended it: a person, or a system short of memory."""
        outside = {getattr(signal, name, None) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")}
        return self.signal_number not in outside


class Worker:
    """One process. Use from one thread at a time; `kill` from any."""

    def __init__(self, setup: Setup, gpu: str | None = None) -> None:
        """Begin to start a process, on processors alone or with a GPU; `ready` waits for it.

        Raises
        ------
        Unavailable
            If there is no interpreter to start, or the analyzer cannot be sent to another process.
        """
        try:
            self._setup = pickle.dumps(setup, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # a host's analyzer may hold anything
            raise Unavailable(f"the analyzer cannot be sent to another process ({error})") from error
        environment = ENVIRONMENT if gpu is None else {**GPU_ENVIRONMENT, "CUDA_VISIBLE_DEVICES": gpu}
        self._process = pipes.started(_MAIN, environment)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def ready(self) -> None:
        """Wait until the networks are loaded.

        Raises
        ------
        ModelError, MemoryError
            If they cannot be loaded.
        Unavailable
            If the process does not start.
        """
        timer = threading.Timer(_START_SECONDS, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            self._answer(self._setup)
        except Died as error:
            raise Unavailable(f"the process does not start ({error.cause})") from error
        finally:
            timer.cancel()
            self._setup = b""

    def analyse(self, request: Request) -> list[Outcome]:
        """Return the outcomes of a request.

        Raises
        ------
        ModelError, MemoryError, RemoteError
            As `analysis.analyse` does.
        Died
            If the process ended meanwhile.
        """
        found: list[Outcome] = self._answer(pickle.dumps(request, pickle.HIGHEST_PROTOCOL))
        return found

    def kill(self) -> None:
        """End the process at once; whoever waits for an answer gets `Died`."""
        pipes.kill(self._process)

    def close(self) -> None:
        """End the process at once and forget it."""
        self.kill()
        pipes.close(self._process)

    def _answer(self, message: bytes) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            pipes.send(self._process.stdin, message)
            answer = pipes.receive(self._process.stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            self.close()
            code = self._process.returncode
            raise Died(-code if code is not None and code < 0 else None) from error
        if isinstance(answer, Failed):
            if answer.remote is not None:
                raise answer.remote
            raise MemoryError(answer.message) if answer.memory else ModelError(answer.message)
        return answer
