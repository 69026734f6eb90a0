"""Where the processor time of an indexed photo goes, by `benchmarks/index.py --stages`.

A run is measured function by function, each on the thread on which it runs; the networks, whose threads belong to XLA,
in a second pass over the same pictures, decoded before, with nothing else going on. What is done once a run is listed
by itself: over many photos it does not count. A function's time is without that of the ones listed inside it.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import cv2
import jax

from rollcall import Plugin
from rollcall.host import base
from rollcall.indexing import batch, pipeline, scan
from rollcall.inference.analyzer import Analyzer
from rollcall.media import decode, large_files, metadata, perceptual_hash, reading
from rollcall.people import grouping
from rollcall.records import Picture
from rollcall.settings import DatabaseSettings, Settings
from rollcall.xmp import sync


class Stage(NamedTuple):
    """One row of the table."""

    part: str
    name: str
    milliseconds: float  # of a processor a photo; of what is done once, of the run
    calls: float  # a photo, or a run


class Timers:
    """Adds up the time of functions, without that of others inside them. Functions may run on any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._clock = clock
        self._lock = threading.Lock()
        self._local = threading.local()

    def timed(self, name: str | Callable[..., str], work: Callable[..., Any], wait: bool = False) -> Callable[..., Any]:
        """Return a function that is timed under a name, which may depend on its arguments; `wait` for its arrays."""

        @functools.wraps(work)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            inside = self._local.__dict__.setdefault("inside", [])
            inside.append(0.0)
            began = self._clock()
            try:
                found = work(*args, **kwargs)
                return jax.block_until_ready(found) if wait else found
            finally:
                took, others = self._clock() - began, inside.pop()
                if inside:
                    inside[-1] += took
                label = name if isinstance(name, str) else name(*args)
                with self._lock:
                    self.seconds[label] += took - others
                    self.calls[label] += 1

        return wrapped


#: Part, name, and where the function is: what is done for each photo, and what once a run.
_OF_A_PHOTO = (
    ("decoding", "the file is read", reading, "read"),
    ("decoding", "hash of its bytes", large_files, "digest"),
    ("decoding", "JPEG to pixels", cv2, "imdecode"),
    ("decoding", "turned upright", decode, "upright"),
    ("decoding", "EXIF, XMP, IPTC", metadata, "find"),
    ("decoding", "the rest", decode, "decode"),
    ("beside it", "perceptual hash", perceptual_hash, "compute"),
    ("beside it", "rows written", batch.BatchStore, "store"),
    ("beside it", "moved or erased?", pipeline.Pipeline, "_compare"),
    ("beside it", "sidecars looked for", sync.Sidecars, "follow"),
)
_ONCE = (
    ("once", "database made", base, "open_database"),
    ("once", "folders scanned", scan.Scanner, "places"),
    ("once", "faces grouped", grouping, "group_new"),
)


def of_run(photos: Path, database: Path, analyzer: Analyzer, settings: Settings) -> list[Stage]:
    """Return the stages of one run, and its whole processor time."""
    timers = Timers(time.thread_time)
    own = settings.model_copy(update={"database": DatabaseSettings(url=str(database))})
    places = (*_OF_A_PHOTO, *_ONCE)
    with _patched(timers, [(where, attribute, f"{part}|{name}", False) for part, name, where, attribute in places]):
        began = time.process_time()
        with Plugin(settings=own, analyzer=analyzer) as plugin:
            count = plugin.index(photos).indexed
        whole = time.process_time() - began
    once = {name for _, name, *_ in _ONCE}
    stages = [
        Stage(part, name, 1000 * timers.seconds[key] / per, timers.calls[key] / per)
        for part, name, *_ in places
        for key, per in [(f"{part}|{name}", 1 if name in once else count)]
    ]
    return [*stages, Stage("run", "the whole run", 1000 * whole / count, 1)]


def of_analysis(pictures: Sequence[Picture], analyzer: Analyzer, size: int) -> list[Stage]:
    """Return the stages of the analysis of decoded pictures, `size` at a time, and how many faces they have."""
    detector, attributes = analyzer._networks
    runner, refining = detector._runner, detector._refining  # type: ignore[attr-defined]
    timers = Timers(time.process_time)
    places = [
        (runner, "_program", lambda pixels, *_: f"network over pictures of {_shape(pixels)}", True),
        (runner, "_views", lambda *_: "network over turned views", True),
        (refining._first, "_program", lambda *_: "refiner, first look", True),
        (refining._first, "_crowd", lambda *_: "refiner, first look at crowds", True),
        (refining._second, "_program", lambda *_: "refiner, second look", True),
        (refining._second, "_crowd", lambda *_: "refiner, second look at crowds", True),
        (attributes, "_run", lambda pixels: f"attributes of {len(pixels)} places", True),
        (analyzer, "analyze", "reducing, cutting, suppression, faces", False),
    ]
    with _patched(timers, places), mock.patch.object(runner, "_windows", _windows(timers, runner._windows)):
        parts = [pictures[start : start + size] for start in range(0, len(pictures), size)]
        faces = sum(len(found) for part in parts for found in analyzer.analyze(part))
    count = len(pictures)
    stages = [
        Stage("analysis", name, 1000 * seconds / count, timers.calls[name] / count)
        for name, seconds in timers.seconds.most_common()
    ]
    describing = sum(one.milliseconds for one in stages if one.name.startswith("attributes"))
    return [
        *stages,
        Stage("analysis", "faces of a photo", 0.0, faces / count),
        Stage("analysis", "attributes of one face", describing * count / max(faces, 1), faces / count),
    ]


def show(of_the_run: Sequence[Stage], of_the_analysis: Sequence[Stage]) -> None:
    """Print the two tables, the largest first in each part."""
    print("  processor time of a photo, ms (of what is done once: of the run)")
    for part in ("decoding", "beside it", "analysis", "once", "run"):
        mine = [one for one in (*of_the_run, *of_the_analysis) if one.part == part]
        for one in sorted(mine, key=lambda one: -one.milliseconds):
            print(f"    {part:10} {one.name:42} {one.milliseconds:8.2f}  {one.calls:6.2f} calls")


def _windows(timers: Timers, programs: dict[int, Any]) -> dict[int, Any]:
    return {
        side: timers.timed(f"network over windows of {side}", program, wait=True) for side, program in programs.items()
    }


def _shape(pixels: Any) -> str:
    return f"{pixels.shape[2]} x {pixels.shape[1]}"


@contextmanager
def _patched(timers: Timers, places: Sequence[tuple[Any, str, Any, bool]]) -> Iterator[None]:
    """Time some functions, each given by where it is, its attribute, its name in the table, and whether to wait."""
    patches = [
        mock.patch.object(where, attribute, timers.timed(name, getattr(where, attribute), wait))
        for where, attribute, name, wait in places
        if where is not None
    ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
