"""Settings of the C library's allocator and of the garbage collector. Imports nothing that computes."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Names of settings of glibc's allocator, from its malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


class _Kept:
    """Whether what is made while nothing is collected is taken to stay until the process ends."""

    objects = False


def keep() -> None:
    """Make the process keep freed memory for later use, where the C library is glibc, and what networks are made of.

    By default every batch gets its arrays from the system again, page by page. That took a sixth of a training step,
    and memory freed by one thread could not be used by another, so that a run over photos grew without bound.
    """
    _Kept.objects = True
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return
    # One arena, since only its heap can grow without bound; nothing by mmap; nothing returned to the system.
    for name, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
        libc.mallopt(name, value)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Leave cyclic garbage for later while much is made that stays, as by imports and traces.

    The collector goes through all of it again and again: five times, 0.8 s of a processor, until the networks were
    loaded and ready, and nothing was found. After `keep` what was made then is never gone through: once it took 0.3 s
    in the midst of a run, while all other threads waited.
    """
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _Kept.objects:
            gc.freeze()
        if active:
            gc.enable()
