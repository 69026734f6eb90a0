"""One budget of memory for all decoders of the process.

What decoding will take is estimated from the header and reserved here before a pixel is made, so that the number of
threads does not decide how much memory is used at once. A request for more than is left waits; requests are served in
their order.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import filelock
import psutil

from rollcall.errors import NotEnoughMemoryError
from rollcall.sentences import Sentence

_MB: Final = 1 << 20
#: Limits of the default: the smallest lets any photo of a phone through, the largest leaves room for other programs.
_LEAST: Final = 256 * _MB
_MOST: Final = 2048 * _MB
#: The share of the free memory that a picture may take which is decoded alone.
_ALONE: Final = 0.8
#: Files with a limit and with a use of memory, version 2 and version 1 of Linux' control groups.
_CGROUPS: Final = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)


class MemoryBudget:
    """Hands out memory, up to a total. May be used from any thread."""

    def __init__(self, free: Callable[[], int]) -> None:
        """Use `free`, which returns the free bytes of the machine, where no total is given."""
        self._free = free
        self._turn = threading.Condition()
        self._waiting: deque[object] = deque()
        self._reserved = 0
        self._default = 0
        self._share = 0
        self._alone: filelock.BaseFileLock | None = None

    def share(self, total: int, lock: Path | None) -> None:
        """Hand out `total` bytes from now on, whatever the settings say: the part of one of several processes.

        What needs more waits until no other process holds the file `lock`, so that the processes do not all decode a
        large picture at once.
        """
        self._share = total
        self._alone = None if lock is None else filelock.FileLock(lock)

    @property
    def reserved(self) -> int:
        """The bytes that are reserved now."""
        return self._reserved

    @contextmanager
    def reserve(self, needed: int, path: Path, total_megabytes: int = 0) -> Iterator[Callable[[int], bool]]:
        """Hold `needed` bytes for as long as the block runs, after waiting until so many are left.

        `total_megabytes` is the setting `decode.memory_megabytes`. What needs more than the total gets it when nothing
        else is reserved. The block is given a function that makes the reservation larger, to so many bytes in all,
        where that needs no waiting; it returns whether it did.

        Raises
        ------
        NotEnoughMemoryError
            If `needed` is more than the machine has free.
        """
        with self._among_processes(needed), self._reserved_here(needed, path, total_megabytes) as grow:
            yield grow

    @contextmanager
    def _among_processes(self, needed: int) -> Iterator[None]:
        """Wait for the other processes if so many bytes are more than the part of this one."""
        if self._alone is None or needed <= self._share:
            yield
            return
        with self._alone:
            yield

    @contextmanager
    def _reserved_here(self, needed: int, path: Path, total_megabytes: int) -> Iterator[Callable[[int], bool]]:
        ticket = object()
        held = needed

        def grow(wanted: int) -> bool:
            nonlocal held
            with self._turn:
                alone = self._alone is not None and wanted > self._share
                others = self._reserved - held
                if alone or self._waiting or others + wanted > self._total(total_megabytes):
                    return False
                self._reserved, held = others + wanted, wanted
                return True

        with self._turn:
            self._waiting.append(ticket)
            try:
                # First come, first served: else a large picture would wait until the last small one is done.
                self._turn.wait_for(lambda: self._waiting[0] is ticket and self._fits(needed, total_megabytes))
                if not self._reserved:
                    self._check(needed, path)
                self._reserved += needed
            finally:
                self._waiting.remove(ticket)
                self._turn.notify_all()
        try:
            yield grow
        finally:
            with self._turn:
                self._reserved -= held
                self._turn.notify_all()

    def _fits(self, needed: int, total_megabytes: int) -> bool:
        if not self._reserved:
            # What is free is asked for while no decoder holds some of it.
            self._default = total_of(0, self._free())
            return True
        return self._reserved + needed <= self._total(total_megabytes)

    def _total(self, total_megabytes: int) -> int:
        return self._share or total_megabytes * _MB or self._default

    def _check(self, needed: int, path: Path) -> None:
        if needed <= _LEAST // 4:
            return
        free = self._free()
        if needed > free * _ALONE:
            raise NotEnoughMemoryError(
                path,
                Sentence(
                    "decoding it takes about %(needed)s GiB of memory, and %(free)s GiB are free",
                    needed=f"{needed / 2**30:.1f}",
                    free=f"{free / 2**30:.1f}",
                ),
                Sentence("close other programs and retry, or save a smaller copy of the picture"),
            )


def total_of(total_megabytes: int, free: int) -> int:
    """Return how many bytes all decoders may hold: `decode.memory_megabytes`, or its default of what is free."""
    return total_megabytes * _MB or min(max(free // 2, _LEAST), _MOST)


def free_bytes() -> int:
    """Return how many bytes this process may still take: of the machine, its control group and its own limit."""
    free = int(psutil.virtual_memory().available)
    for limit, used, details, cache in _CGROUPS:
        most, now = _number(limit), _number(used)
        if most is not None and now is not None:
            # Pages of files count as used, and are given up when memory is wanted.
            free = min(free, max(most - now + _detail(details, cache), 0))
    return min(free, _left_of_address_space())


def _left_of_address_space() -> int:
    """Return what `ulimit -v` leaves to this process."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return sys.maxsize if most == resource.RLIM_INFINITY else max(most - int(psutil.Process().memory_info().vms), 0)


def _number(file: str) -> int | None:
    try:
        text = Path(file).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isdigit() else None


def _detail(file: str, name: str) -> int:
    try:
        lines = Path(file).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0
    values = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return int(values[0]) if values else 0


#: The budget of this process.
SHARED: Final = MemoryBudget(free_bytes)
#: The budget for the bytes of large files, from before they are read until they are decoded. Whoever waits for `SHARED`
#: may hold some of it, never the other way round.
FILES: Final = MemoryBudget(free_bytes)
#: The part of `decode.memory_megabytes` that bytes of files may take.
_OF_FILES: Final = 4
#: Files of fewer bytes are read at once: there are never more of them than threads.
_SMALL_FILE: Final = 8 * _MB


@contextmanager
def reserve_file(size: int, path: Path, total_megabytes: int) -> Iterator[None]:
    """Hold memory for the bytes of a file of `size` bytes for as long as the block runs, as `MemoryBudget.reserve`.

    Raises
    ------
    NotEnoughMemoryError
        If it has more bytes than the machine has free.
    """
    if size < _SMALL_FILE:
        yield
        return
    with FILES.reserve(size, path, total_megabytes // _OF_FILES):
        yield
