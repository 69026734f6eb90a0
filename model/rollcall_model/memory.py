"""Settings of the C library's allocator for long runs over large arrays. Imports nothing that computes."""

from __future__ import annotations

import ctypes
import sys

#: Names of settings of glibc's allocator, from its malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep() -> None:
    """Make the process keep freed memory for later use, where the C library is glibc; elsewhere do nothing.

    By default every batch gets its arrays from the system again, page by page. That took a sixth of a training step,
    and memory freed by one thread could not be used by another, so that a run over photos grew without bound.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return
    # One arena, since only its heap can grow without bound; nothing by mmap; nothing returned to the system.
    for name, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
        libc.mallopt(name, value)
