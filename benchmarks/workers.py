"""The whole run by threads, by one process and by one for each processor, beside decoding alone, in turns.

Says for each photos a second, processor time for a photo (its share of decoding's holds on a busy machine too), and
the memory of a process: its proportional set size, in which what processes share is divided among them (Linux). The
last lines say how many times as fast as one process several are, by the medians.

    python benchmarks/workers.py [--photos 128] [--runs 3] [--min-face 20 40] [--processes 1 2 ...] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import decode as decoding
import library
import measuring
import numpy as np
import psutil

from rollcall import Plugin
from rollcall.inference.analyzer import keep_memory
from rollcall.settings import Settings, load

RESOLUTION = 1280
#: Memory is looked at every so many tenths of a second.
_MEMORY_EVERY = 20


class Watched:
    """Processor time of this process and its children, and the most memory that one child had."""

    def __init__(self) -> None:
        self._times: dict[int, float] = {}
        self._most = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watched:
        self._own = time.process_time()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._own = time.process_time() - self._own

    @property
    def processor_seconds(self) -> float:
        """Of this process and its children, but for the last tenth of a second of the children."""
        return self._own + sum(self._times.values())

    @property
    def megabytes(self) -> float:
        """The most that one child had, of its proportional set size."""
        return self._most / 2**20

    def _watch(self) -> None:
        looks = 0
        while not self._done.wait(0.1):
            looks += 1
            for child in psutil.Process().children(recursive=True):
                try:
                    times = child.cpu_times()
                    self._times[child.pid] = times.user + times.system
                    # The system walks through all pages for it, which takes a processor some hundredths of a second.
                    if looks % _MEMORY_EVERY == 0:
                        self._most = max(self._most, child.memory_full_info().pss)
                except (psutil.Error, AttributeError):  # it ended, or the system does not know it
                    continue


def index(photos: Path, database: Path, settings: Settings) -> tuple[float, Watched, int]:
    """Index a library into a new database; return photos a second, what was watched, and faces."""
    own = settings.model_copy(update={"database": settings.database.model_copy(update={"url": str(database)})})
    with Watched() as watched, Plugin(settings=own) as plugin:
        summary = plugin.index(photos)
    assert summary.failed == 0
    return summary.indexed / summary.seconds, watched, summary.faces


def decode_alone(files: list[Path], threads: int) -> tuple[float, float]:
    """Return photos a second, and processor seconds."""
    began = time.process_time()
    speed = decoding.per_second(files, threads, RESOLUTION)
    return speed, time.process_time() - began


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=128)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--min-face", type=int, nargs="+", default=[20, 40])
    processors = Settings().workers
    parser.add_argument("--processes", type=int, nargs="+", default=sorted({1, processors}))
    parser.add_argument("--ray", action="store_true", help="Also on a Ray cluster of this machine.")
    parser.add_argument("--library", type=Path, help="Use a library that is there.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    keep_memory()  # as `rollcall index` does
    cv2.setNumThreads(1)
    where = measuring.machine()
    lines: list[measuring.Line] = []
    ratios: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = given.library or folder / "library"
        library.build(photos, given.photos, distinct=min(given.photos, 32), large=0)
        files = sorted(photos.rglob("*.jpg"))
        for least in given.min_face:
            ways: dict[str, dict[str, Any]] = {"threads": {"power.executor": "threads"}}
            for count in given.processes:
                ways[f"{count} processes"] = {"power.executor": "processes", "power.workers": count}
            if given.ray:
                ways["ray"] = {"power.executor": "ray"}
            found: dict[str, list[tuple[float, ...]]] = {"decoding alone": [], **{way: [] for way in ways}}
            faces = {}
            for run in range(-1, given.runs):  # the first round compiles, and is not counted
                speed, seconds = decode_alone(files, processors)
                measured: list[tuple[str, tuple[float, ...]]] = [("decoding alone", (speed, seconds, 0.0))]
                for way, options in ways.items():
                    settings = load(None, {"detector.min_face": least, "detector.resolution": RESOLUTION, **options})
                    database = folder / f"{least}-{run}-{way}.db"
                    speed, watched, faces[way] = index(photos, database, settings)
                    measured.append((way, (speed, watched.processor_seconds, watched.megabytes)))
                for way, values in measured:
                    if run >= 0:
                        found[way].append(values)
            for way in [
                f"{count} processes" for count in sorted(given.processes) if 1 in given.processes and count > 1
            ]:
                one, several = (np.median([values[0] for values in found[name]]) for name in ("1 processes", way))
                ratios.append(f"from {least} px, one process : {way} = 1 : {several / one:.2f} photos a second")
            for way, values in found.items():
                what = f"{way}, faces from {least} px"
                note = f"{faces[way]} faces" if way in faces else ""
                lines.append(measuring.Line(what, tuple(one[0] for one in values), "photos a second", note))
                lines.append(
                    measuring.Line(what, tuple(1000 * one[1] / given.photos for one in values), "ms of a processor")
                )
                if values[0][2]:
                    lines.append(measuring.Line(what, tuple(one[2] for one in values), "MiB for each process"))
    data = f"{given.photos} JPEGs of 12 megapixels from benchmarks/library.py at {RESOLUTION} px, starts included"
    measuring.report("Executors", data, lines, given.out, "workers", where)
    for text in ratios:
        print(text)


if __name__ == "__main__":
    main()
