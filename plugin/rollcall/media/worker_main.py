"""What a decoding process does: answer requests from its standard input until there are no more."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from pathlib import Path
from typing import IO, Final

from rollcall.media import allocator, decoders, large_files, worker
from rollcall.media.job import Changed, Decoded, Job, Refused, TooManyPixels

#: What libraries reserve in addresses beside what they use: heaps and stacks of threads.
_SPARE: Final = 1 << 30
_SPARE_EACH_THREAD: Final = 192 << 20


def main() -> None:
    """Serve until the standard input ends."""
    requests, answers = parent_pipes()
    allocator.return_freed_memory()
    # Ctrl-C in a terminal reaches this process, too; what it means is for the parent to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Where memory runs out, Linux shall end this process and not the library that waits for it.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900", encoding="ascii")
    worker.send_result(answers, Refused("ready"))
    gc.freeze()
    while True:
        try:
            job, lenient = worker.receive_request(requests)
        except EOFError:
            return
        try:
            result = _decoded(job, lenient)
        finally:
            del job
        worker.send_result(answers, result)
        del result
        _tidy()


def _tidy() -> None:
    """Give back what a picture leaves behind while nothing is asked: Pillow's are held by cycles of references."""
    gc.collect()
    allocator.trim()


def _decoded(job: Job, lenient: bool) -> Decoded | BaseException:
    _limit_memory(job.needed)
    try:
        return decoders.decode(large_files.loaded(job), lenient=lenient)
    except (Refused, TooManyPixels, Changed) as error:
        return type(error)(*error.args)
    except MemoryError:
        return MemoryError()
    # A decoder may raise anything, and the next file shall find this process alive.
    except Exception as error:
        return Refused(f"{type(error).__name__}: {error}")


def parent_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return the pipes of the requests and the answers, out of reach of libraries that print."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb")


def _limit_memory(needed: int) -> None:
    """Make allocations fail that are far above the estimate; they become a refusal of the file."""
    if sys.platform == "win32":
        return
    import resource

    import psutil

    now = psutil.Process().memory_info().vms
    limit = now + 2 * needed + _SPARE + _SPARE_EACH_THREAD * (os.cpu_count() or 1)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    # Not every system knows this limit.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
