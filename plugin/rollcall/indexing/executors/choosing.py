"""Which executor analyses the photos of a run: as the settings say, or whichever is quickest here."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, Final, NamedTuple

from rollcall.errors import SettingsError
from rollcall.indexing.executors import gpus
from rollcall.indexing.executors.analysis import FaceFinder, Options, options_here
from rollcall.indexing.executors.base import Executor
from rollcall.indexing.executors.processes import CHUNK, ProcessExecutor
from rollcall.indexing.executors.threads import ThreadExecutor
from rollcall.indexing.executors.whole_photos import WholePhotoExecutor
from rollcall.indexing.executors.worker import Setup
from rollcall.indexing.profile import Profile
from rollcall.inference import devices
from rollcall.inference.analyzer import Analyzer
from rollcall.media import memory_budget
from rollcall.settings import Settings
from rollcall.storage.private import private_folder

#: Two processes take about 11 seconds to start, and threads keep two processors as busy: 768 photos took 49 s by
#: threads and 53 s by two processes. With more processors threads fall behind: so many photos make up for the start.
_ENOUGH: Final = 500
_FEWEST_PROCESSORS: Final = 3
#: What a process takes, in bytes: 389 MiB at most with all that it shares where no other shared it, of photos of 12
#: megapixels with faces from 20 pixels.
_PROCESS: Final = 400 << 20
#: The share of the free memory that the processes may take.
_SHARE: Final = 0.75


#: Pictures that go through a GPU's networks together, at least.
_GPU_BATCH: Final = 32


class Work(NamedTuple):
    """What a run needs of its executor."""

    analyzer: FaceFinder
    settings: Settings
    profile: Profile
    pending: int  # photos
    previews: bool = False  # whether someone wants to see the pictures
    resting: Callable[[], bool] = lambda: False
    warn: Callable[[str], None] = lambda message: None
    stop: threading.Event | None = None


def executor_for(work: Work) -> Executor:
    """Return the executor of a run; it is not started before it is given tasks.

    Raises
    ------
    SettingsError
        If a cluster is asked for, and Ray is not installed.
    """
    kind = work.settings.power.executor
    if kind == "ray":
        return _cluster(work)
    if kind == "processes":
        return _process_executor(work, _processes(work), _gpus())
    count = _processes(work) if kind == "auto" and work.pending >= _ENOUGH else 1
    if count >= _FEWEST_PROCESSORS and isinstance(work.analyzer, Analyzer) and not _accelerator():
        return _process_executor(work, count, [])
    # An analyzer of a host's own may live in this process only.
    return _thread_executor(work)


def _thread_executor(work: Work) -> Executor:
    """Return threads that do all of a photo, where the analyzer takes several calls at once and needs no GPU."""
    if getattr(work.analyzer, "concurrent", False) and not _accelerator():
        return WholePhotoExecutor(
            work.analyzer,
            work.settings,
            work.profile,
            work.pending,
            work.resting,
            work.stop,
            keep_pixels=work.previews,
        )
    long, least = work.pending > work.settings.detector.batch, _GPU_BATCH if _accelerator() else 1
    return ThreadExecutor(work.analyzer, work.settings, work.profile, long, work.stop, least, keep_pixels=work.previews)


def _processes(work: Work) -> int:
    """Return how many processes there may be: by processors, by memory, and by what is given to one at a time."""
    by_memory = int(memory_budget.free_bytes() * _SHARE / _PROCESS)
    return max(min(work.settings.workers, by_memory, work.pending // CHUNK), 1)


def _accelerator() -> bool:
    """Return whether the networks may run on a GPU, which one process has to itself."""
    wanted = os.environ.get("JAX_PLATFORMS", "")
    return wanted != "cpu" and (bool(wanted) or _knows_other_devices())


@functools.cache
def _knows_other_devices() -> bool:
    """Return whether a package is installed by which JAX runs on a GPU; to look takes as long as storing a photo."""
    return bool(entry_points(group="jax_plugins"))


def _gpus() -> list[str]:
    """Return the GPU of each process that there may be; empty without one, and where GPUs cannot be shared."""
    return gpus.places() if _accelerator() else []


def setup_of(work: Work, count: int, *, gpu: bool = False) -> Setup:
    """Return what each of `count` processes is given, of which each has a `gpu` or none has."""
    settings = work.settings
    analyzer: Any = work.analyzer
    if isinstance(analyzer, Analyzer):
        power = analyzer.settings.power.model_copy(update={"workers": 1})
        analyzer = Analyzer(analyzer.settings.model_copy(update={"power": power}))
    budget = memory_budget.total_of(settings.decode.memory_megabytes, memory_budget.free_bytes()) // count
    options = Options(settings, settings.decode, previews=work.previews, strip=True)
    folder = _usable(settings.cache_folder / "compiled")
    if folder is None:
        return Setup(analyzer, options, budget)
    warm = folder / f"processes-{_version(analyzer)}{'-gpu' if gpu else ''}.warm"
    return Setup(analyzer, options, budget, folder / "large.lock", warm)


def _process_executor(work: Work, count: int, places: Sequence[str]) -> Executor:
    count = min(count, len(places)) if places else count
    return ProcessExecutor(
        setup_of(work, count, gpu=bool(places)),
        options_here(work.settings, work.stop),
        count,
        work.profile,
        work.resting,
        work.warn,
        places,
    )


def _cluster(work: Work) -> Executor:
    try:
        from rollcall.indexing.executors.cluster import RayExecutor
    except ImportError as error:
        raise SettingsError(
            f"power.executor is ray, which is not installed ({error}); run `pip install 'rollcall[cluster]'`"
        ) from error
    return RayExecutor(setup_of(work, 1), work.profile, work.settings.power.ray_address, work.settings.power.workers)


def _usable(folder: Path) -> Path | None:
    try:
        private_folder(folder)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _version(analyzer: Any) -> str:
    """Return what the compiled programs depend on, as a part of a file name."""
    known = (str(getattr(analyzer, "model_version", "")), version("jax"), version("jaxlib"), devices.programs_made_of())
    return hashlib.blake2b(repr(known).encode(), digest_size=8).hexdigest()
