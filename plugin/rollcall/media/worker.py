"""Decode in processes that can be ended: rare formats, damaged files, and pictures of hundreds of megapixels.

The decoders of these formats are large libraries that can crash, never come back or take more memory than was expected.
What happens to such a process happens to one file. It is started when it is first needed, serves one file after the
other, and is replaced when it dies or is late. It ends with the process that started it.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from rollcall.media.job import Changed, Decoded, Job, Refused, TooManyPixels

_LOG: Final = logging.getLogger(__name__)
#: At most so many processes; each takes about 70 MB while it waits.
_MOST: Final = max(min(os.cpu_count() or 1, 4), 1)
_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 30.0
_LENGTH: Final = struct.Struct("<Q")
#: What is written at once.
_PORTION: Final = 1 << 20
#: What an interpreter runs whose module paths are those of this one.
_PROGRAM: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import main; main()"
_MAIN: Final = "rollcall.media.worker_main"


class TimedOut(Exception):
    """The process did not answer in time, and was ended."""


class Died(Exception):
    """The process ended while it decoded."""


class Interrupted(Exception):
    """`Workers.interrupt` ended the process; the file is not to blame."""


class Unavailable(Exception):
    """No process can be started here."""


def started(module: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start an interpreter that runs `main` of a module, with pipes to and from it.

    Parameters
    ----------
    environment
        Variables that are set for it beside those of this process.

    Raises
    ------
    Unavailable
        If there is no interpreter, or it cannot be started.
    """
    import json

    if not sys.executable or getattr(sys, "frozen", False):
        raise Unavailable("an application that is one frozen file has no interpreter to start")
    # An empty entry is the current folder.
    path = [str(Path(entry).absolute()) for entry in sys.path]
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(module), json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise Unavailable(str(error)) from error


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process at once."""
    with contextlib.suppress(OSError):
        process.kill()


def close(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes of a process that was ended, and wait for it a little."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError, ValueError):
            if pipe is not None:
                pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)


class Workers:
    """Some processes that decode. May be used from any thread."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._begin()

    def _begin(self) -> None:
        self._slots = threading.BoundedSemaphore(self._most)
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._busy: dict[_Process, threading.Event | None] = {}
        self._owner = os.getpid()

    def decode(
        self, job: Job, *, lenient: bool, max_seconds: float, abandoned: threading.Event | None = None
    ) -> Decoded:
        """Decode in one of the processes; the result is the same as in this one.

        Nothing is decoded once `abandoned` is set, which names the work for `interrupt`.

        Raises
        ------
        Refused, TooManyPixels, MemoryError
            As the decoders do.
        Changed
            If the file of a job that has a path is no longer what it was.
        TimedOut
            If it takes longer than `max_seconds`, the start of the process not counted.
        Died
            If the decoder crashed, or the system ended it.
        Interrupted
            If `interrupt` was called meanwhile, or `abandoned` is set.
        Unavailable
            If no process can be started.
        """
        if os.getpid() != self._owner:  # after a fork the processes are the parent's
            self._begin()
        with self._slots:
            process = self._taken(abandoned, job.session)
            if abandoned is not None and abandoned.is_set():
                self._given_back(process, alive=False)
                raise Interrupted
            try:
                answer = process.ask(job, lenient, max_seconds)
            except BaseException:
                self._given_back(process, alive=False)
                raise
            if job.ends_session:
                process.sessions.discard(job.session)
            elif job.session:
                process.sessions.add(job.session)
            self._given_back(process, alive=True)
        return _result(answer)

    def end_session(self, job: Job) -> None:
        """Have the video closed that requests with the number of a job left open (`Job.session`)."""
        with self._lock:
            if not any(job.session in process.sessions for process in self._idle):
                return  # the process that had it was ended, and with it the session
        with contextlib.suppress(TimedOut, Died, Interrupted, Unavailable, Refused):
            self.decode(job._replace(ends_session=True), lenient=False, max_seconds=_END_SECONDS)

    def interrupt(self, abandoned: threading.Event | None = None) -> None:
        """End the processes that decode just now, or those of one piece of work; callers get `Interrupted`."""
        with self._lock:
            for process, work in self._busy.items():
                if abandoned is None or work is abandoned:
                    process.end(interrupted=True)

    def close(self) -> None:
        """End all processes."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            for process in (*self._busy, *self._idle):
                process.end(interrupted=True)
            self._idle.clear()

    def _taken(self, work: threading.Event | None, session: int) -> _Process:
        """Return an idle process, or a new one: best the one that has the session, then one that has none."""
        with self._lock:
            self._idle.sort(key=lambda process: (session in process.sessions, not process.sessions))
            while self._idle:
                process = self._idle.pop()
                if process.is_alive:
                    self._busy[process] = work
                    return process
        process = _Process()
        with self._lock:
            self._busy[process] = work
        return process

    def _given_back(self, process: _Process, *, alive: bool) -> None:
        with self._lock:
            self._busy.pop(process, None)
            if alive:
                self._idle.append(process)
        if not alive:
            process.end()


class _Process:
    """One process, with pipes to and from it."""

    def __init__(self) -> None:
        self._process = started(_MAIN)
        self.sessions: set[int] = set()  # of videos that it may have open, see `Job.session`
        self._interrupted = False
        try:
            self._receive(_START_SECONDS)
        except (TimedOut, Died) as error:
            self.end()
            raise Unavailable("the process does not start") from error

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, job: Job, lenient: bool, max_seconds: float) -> Any:
        """Send a request and return the answer."""
        # The file's bytes go by themselves: pickled with the rest they would be there twice. Of a large one none go.
        request = pickle.dumps((job._replace(data=b""), lenient), pickle.HIGHEST_PROTOCOL)
        return self._receive(max_seconds, request, b"" if job.path else job.data)

    def end(self, *, interrupted: bool = False) -> None:
        """End the process at once."""
        self._interrupted = self._interrupted or interrupted
        kill(self._process)
        if not interrupted:  # then the thread that waits for the answer reads the end of the pipe, and closes both
            close(self._process)

    def _receive(self, max_seconds: float, request: bytes = b"", data: bytes = b"") -> Any:
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(max_seconds, end)
        timer.daemon = True
        timer.start()
        try:
            assert self._process.stdin is not None and self._process.stdout is not None
            if request:
                send(self._process.stdin, request)
                send(self._process.stdin, data)
            return receive(self._process.stdout)
        except (OSError, EOFError, ValueError) as error:
            if self._interrupted:
                raise Interrupted from error
            if late.is_set():
                raise TimedOut from error
            raise Died from error
        finally:
            timer.cancel()


def send(pipe: IO[bytes], message: bytes | memoryview) -> None:
    """Write a message with its length before it."""
    view = memoryview(message)
    pipe.write(_LENGTH.pack(len(view)))
    for start in range(0, len(view), _PORTION):
        pipe.write(view[start : start + _PORTION])
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Return the next message, unpickled; where it is a `Decoded`, its pixels follow it.

    Raises
    ------
    EOFError
        If there is no more.
    """
    message = pickle.loads(_exactly(pipe, _LENGTH.unpack(_exactly(pipe, _LENGTH.size))[0]))
    if not isinstance(message, Decoded):
        return message
    # In place of its pixels it carries their shape.
    pixels = np.empty(message.pixels, np.uint8)
    view = memoryview(pixels.reshape(-1).data)
    _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    done = 0
    while done < len(view):
        count = pipe.readinto(view[done : done + _PORTION])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        done += count
    return message._replace(pixels=pixels)


def receive_request(pipe: IO[bytes]) -> tuple[Job, bool]:
    """Return the next request: a job, and whether to decode it as a damaged file.

    Raises
    ------
    EOFError
        If there is no more.
    """
    job, lenient = receive(pipe)
    return job._replace(data=_exactly(pipe, _LENGTH.unpack(_exactly(pipe, _LENGTH.size))[0])), lenient


def send_result(pipe: IO[bytes], result: Decoded | BaseException) -> None:
    """Write a result so that `receive` returns it."""
    if not isinstance(result, Decoded):
        send(pipe, pickle.dumps(result, pickle.HIGHEST_PROTOCOL))
        return
    pixels = np.ascontiguousarray(result.pixels)
    send(pipe, pickle.dumps(result._replace(pixels=pixels.shape), pickle.HIGHEST_PROTOCOL))  # type: ignore[arg-type]
    send(pipe, pixels.reshape(-1).data)


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    # A buffered reader fills one block of memory; parts would have to be put together in another.
    found = pipe.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _result(answer: object) -> Decoded:
    if isinstance(answer, Decoded):
        return answer
    if isinstance(answer, (Refused, TooManyPixels, MemoryError, Changed)):
        raise answer
    raise Died("an answer that is none")


#: The processes of this one.
SHARED: Final = Workers()
atexit.register(SHARED.close)
