"""What a process that analyses photos does: answer requests from its standard input until there are no more."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import pickle
import queue
import signal
import threading
import time
from pathlib import Path
from typing import IO, Any

import cv2
import filelock

from rollcall.errors import RemoteError, RollcallError
from rollcall.indexing.executors import analysis
from rollcall.indexing.executors.worker import Failed, Request, Setup
from rollcall.inference import devices
from rollcall.media import allocator, memory_budget
from rollcall.media import worker as pipes
from rollcall.media.worker_main import parent_pipes
from rollcall.remote.paths import is_remote


def main() -> None:
    """Serve until the standard input ends."""
    # Ctrl-C in a terminal reaches this process, too; what it means is for the parent to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = parent_pipes()
    # Where memory runs out, Linux shall end this process and not the one that holds the database.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    cv2.setNumThreads(1)
    # Until the networks are ready nearly all that is made stays: to look through it again and again took a second.
    gc.disable()
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, waiting), name="requests", daemon=True).start()
    setup: Setup = waiting.get()
    try:
        _prepare(setup)
    except (RollcallError, MemoryError) as error:
        _answer(answers, _failed(error))
        return
    allocator.trim()
    _answer(answers, "ready")
    for number in itertools.count(1):
        request: Request = waiting.get()
        began = time.monotonic()
        try:
            answer: Any = analysis.analyse(request.tasks, setup.analyzer, setup.options)
        except (RollcallError, MemoryError) as error:
            answer = _failed(error)
        _answer(answers, answer)
        # Loading a compiled program takes memory that nothing needs later. Most are loaded for the first photos, and
        # what is given back costs time when it is taken again: so seldom, and less and less often.
        if devices.forget_traces() or number & (number - 1) == 0:
            allocator.trim()
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
        if request.resting:
            time.sleep(time.monotonic() - began)


def _read(requests: IO[bytes], waiting: queue.SimpleQueue[Any]) -> None:
    """Read requests; end this process when there are no more, in whatever it is doing: its parent has ended."""
    while True:
        try:
            request = pipes.receive(requests)
        except (EOFError, OSError):
            os._exit(0)
        if isinstance(request, Request):
            for task in request.tasks:
                if not is_remote(task.path):
                    _read_ahead(task.path)
        waiting.put(request)


def _read_ahead(path: Path) -> None:
    """Ask the system to fetch a file that will be read soon, so that slow disks and shares are not waited for."""
    if not hasattr(os, "posix_fadvise"):
        return
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(file)


def _prepare(setup: Setup) -> None:
    """Limit the decoders' memory, and load the networks; where they are not compiled yet, one process compiles them."""
    if setup.budget:
        memory_budget.SHARED.share(setup.budget, setup.lock)
    warm_up = getattr(setup.analyzer, "warm_up", None)
    if warm_up is None or setup.warm is None:
        return
    if not setup.warm.exists():
        with contextlib.suppress(OSError), filelock.FileLock(setup.warm.with_suffix(".lock")):
            if not setup.warm.exists():
                warm_up()
                setup.warm.touch()


def _failed(error: BaseException) -> Failed:
    return Failed(isinstance(error, MemoryError), str(error), error if isinstance(error, RemoteError) else None)


def _answer(answers: IO[bytes], answer: Any) -> None:
    try:
        pipes.send(answers, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
    except OSError:
        os._exit(0)
