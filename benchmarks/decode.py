"""How quickly photographs become pixels: whole against reduced, by threads. Every file is in the page cache.

python benchmarks/decode.py [--photos 48] [--runs 5] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import library
import measuring

from rollcall.media import decode
from rollcall.settings import Settings

TARGET = 1280  # pixels of the longest side that the detector is given


def per_second(files: list[Path], threads: int, target: int | None) -> float:
    """Return how many photos a second are decoded."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda file: decode.decode(file, target=target).width, files):
            pass
    return len(files) / (time.perf_counter() - began)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=48)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    where, cores = measuring.machine(), Settings().workers
    with tempfile.TemporaryDirectory() as folder:
        library.build(Path(folder), given.photos, distinct=min(given.photos, 16), large=0)
        files = sorted(Path(folder).rglob("*.jpg"))
        ways = {
            "whole, one thread": (1, None),
            "reduced, one thread": (1, TARGET),
            f"whole, {cores} threads": (cores, None),
            f"reduced, {cores} threads": (cores, TARGET),
            f"reduced, {cores + 1} threads": (cores + 1, TARGET),
        }
        per_second(files, cores, None)
        found: dict[str, list[float]] = {name: [] for name in ways}
        # In turns, so that other work of the machine affects all of them equally.
        for _ in range(given.runs):
            for name, (threads, target) in ways.items():
                found[name].append(per_second(files, threads, target))
    lines = [measuring.Line(name, tuple(values), "photos a second") for name, values in found.items()]
    data = f"{given.photos} JPEGs of 12 megapixels from benchmarks/library.py, at least {TARGET} px when reduced"
    measuring.report("Decoding", data, lines, given.out, "decode", where, peer="whole, one thread")


if __name__ == "__main__":
    main()
