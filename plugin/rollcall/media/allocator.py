"""Have freed memory given back to the system at once, where the C library would keep it for later."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

#: Parameters of glibc's `mallopt`, by their numbers in its `malloc.h`.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
#: Blocks from this size on are mapped one by one, as those of 16 MB in which Pillow stores a picture. The arrays of the
#: networks are smaller: mapped anew for each picture, they would cost more time than memory.
_MAPPED_BYTES: Final = 16 << 20
#: What may stay free at the end of the heap.
_FREE_BYTES: Final = 8 << 20
#: Threads share so many heaps: what was freed in one is not used for another.
_ARENAS: Final = 2


def return_freed_memory() -> bool:
    """Make this process give back large blocks when they are freed; return whether the C library can be told so.

    By default glibc takes the size of a mapped block that was freed, up to 32 MB, as the limit below which blocks come
    from a heap, and has a heap for each thread: of every picture that was decoded the blocks stay, for as many threads
    as decode. To be called before threads are started; other C libraries than glibc are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    wanted = ((_MMAP_THRESHOLD, _MAPPED_BYTES), (_TRIM_THRESHOLD, _FREE_BYTES), (_ARENA_MAX, _ARENAS))
    answers = [bool(mallopt(name, value)) for name, value in wanted]  # each is tried, whatever became of the others
    return all(answers)


def trim() -> None:
    """Give back what is free anywhere in the heap, where the C library is glibc; elsewhere do nothing.

    Pages between blocks that are in use stay with the process otherwise.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return
    malloc_trim.argtypes, malloc_trim.restype = [ctypes.c_size_t], ctypes.c_int
    malloc_trim(0)
