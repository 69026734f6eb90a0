"""How JAX is set up: processors, and the compilation cache on disk. Called before the first computation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh


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


def buckets(count: int, sizes: Sequence[int]) -> list[int]:
    """Return where the buckets for `count` things begin, and where the last one ends; each has one of the `sizes`.

    A large bucket costs less than the small ones it takes the place of when it is more than three quarters full.
    """
    result = [0]
    while result[-1] < count:
        left = count - result[-1]
        result.append(result[-1] + max((size for size in sizes if left > size * 3 // 4), default=min(sizes)))
    return result
