"""The C library's allocator, told to keep what it has. Imports nothing that computes."""

from __future__ import annotations

import ctypes
import sys

#: Names of settings of glibc's allocator, from its malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep() -> None:
    """Have the process keep the memory it once had, where the C library is glibc. For long runs of large arrays.

    Otherwise every batch gets its arrays from the system anew, page by page; that took a sixth of a training step,
    and some of what one thread gives back another cannot use, so that a run over photos took more and more.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return
    # One arena, since only its heap can grow without bound; nothing by mmap; nothing given back.
    for name, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
        libc.mallopt(name, value)
