"""Memory that a picture took is given back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_BLOCK = 16 << 20
#: Frees a first block, by which glibc would keep those that follow, then several from the first to the last but one.
_PROGRAM = f"""
import ctypes, os
from rollcall.media import allocator
if {{told}}:
    assert allocator.return_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.argtypes, libc.malloc.restype, libc.free.argtypes = [ctypes.c_size_t], ctypes.c_void_p, [ctypes.c_void_p]
def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
def block():
    made = libc.malloc({_BLOCK})
    ctypes.memset(made, 1, {_BLOCK})
    return made
libc.free(block())
before = resident()
blocks = [block() for _ in range(6)]
for made in blocks[:-1]:
    libc.free(made)
print(resident() - before)
"""


def _kept(told: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(told=told)], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def test_freed_blocks_of_pictures_leave_the_process() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library than glibc")
    assert _kept(told=False) > 4 * _BLOCK  # else there is nothing to mend any more
    assert _kept(told=True) < 2 * _BLOCK


#: Frees all small blocks but the last, which holds the end of the heap.
_HOLES = f"""
import ctypes, os
from rollcall.media import allocator
libc = ctypes.CDLL(None)
libc.malloc.argtypes, libc.malloc.restype, libc.free.argtypes = [ctypes.c_size_t], ctypes.c_void_p, [ctypes.c_void_p]
def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
blocks = [libc.malloc(1 << 16) for _ in range({4 * _BLOCK} >> 16)]
for made in blocks:
    ctypes.memset(made, 1, 1 << 16)
for made in blocks[:-1]:
    libc.free(made)
before = resident()
allocator.trim()
print(before - resident())
"""


def test_what_is_free_between_blocks_in_use_leaves_the_process_when_it_is_trimmed() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library than glibc")
    done = subprocess.run([sys.executable, "-c", _HOLES], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 3 * _BLOCK
