"""How JAX is set up: processors, and the compilation cache on disk. Called before the first computation."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

#: Names of settings of glibc's allocator, from its malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def configure(cache_folder: Path | None = None, cpu_devices: int | None = None) -> None:
    """Give JAX one device for each processor, and keep compiled programs in `cache_folder`.

    One thread for each image beats all threads on one image, so that work is spread over devices.
    Harmless when JAX has started already: then its devices stay as they are.
    """
    if cache_folder is not None:
        cache_folder.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(cache_folder))
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    try:
        jax.config.update("jax_num_cpu_devices", cpu_devices or processors())
    except RuntimeError:
        # The backend runs already; mesh() takes what is there.
        pass


def mesh() -> Mesh:
    """Return all devices in one row, named "batch"."""
    return Mesh(np.asarray(jax.devices()), ("batch",))


def keep_memory() -> None:
    """Have the process keep the memory it once had, where the C library is glibc. For long runs of large arrays.

    Otherwise every batch gets its arrays from the system anew, page by page; that took a third of a training step,
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
