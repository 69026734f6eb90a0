"""How soon all of many files that are copied into a watched folder at once are rows, whatever their analysis takes.

python benchmarks/flood.py [--files 50000] [--networks] [--folders 50] [--out FOLDER]

Without --networks the photos are not analysed but wait: what is measured is the watching. Processor time is given, too,
because a busy machine makes everything slower.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import measuring
import numpy as np

from rollcall import Plugin
from rollcall.records import Face, Picture

#: When to give up, in seconds after the last file.
_PATIENCE = 600.0


class Lazy:
    """An analyzer that finds no faces, and takes its time."""

    model_version = "lazy-1"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return no faces."""
        time.sleep(self.seconds * len(pictures))
        return [() for _ in pictures]

    def describe(self, picture: Picture, boxes: Sequence[Any]) -> list[Face]:
        """Return nothing."""
        return []


def contents(count: int) -> list[bytes]:
    """Return small JPEGs, each another."""
    chance = np.random.default_rng(0)
    made = []
    for _ in range(min(count, 500)):
        done, data = cv2.imencode(".jpg", chance.integers(0, 255, (24, 32, 3), np.uint8))
        assert done
        made.append(data.tobytes())
    # What follows the end of a JPEG makes another file of it.
    return [made[number % len(made)] + number.to_bytes(4, "big") + b"\xff\xd9" for number in range(count)]


def rows(database: Path) -> int:
    """Return how many photos the library has."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM v1_photos").fetchone()[0])
    finally:
        connection.close()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--folders", type=int, default=50)
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.1, help="what an analysis takes without --networks")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where = measuring.machine()
    with tempfile.TemporaryDirectory() as name:
        folder, database = Path(name, "watched"), Path(name, "photos.db")
        for number in range(given.folders):
            (folder / f"{number:03}").mkdir(parents=True)
        data = contents(given.files)
        (folder / "first.jpg").write_bytes(data[0])
        analyzer: Any = None if given.networks else Lazy(given.seconds)
        plugin = Plugin({"database.url": str(database)}, analyzer=analyzer)
        plugin.start(watch=[folder])
        while not database.exists() or not rows(database):
            time.sleep(0.1)
        began, worked = time.perf_counter(), time.process_time()
        for number, content in enumerate(data):
            (folder / f"{number % given.folders:03}" / f"{number}.jpg").write_bytes(content)
        copied = time.perf_counter()
        while (found := rows(database)) <= given.files:
            if time.perf_counter() - copied > _PATIENCE:
                raise SystemExit(f"only {found:,} of {given.files:,} were seen within {_PATIENCE:.0f} s")
            time.sleep(0.25)
        seen = time.perf_counter()
        processor = time.process_time() - worked
        plugin.stop()
    lines = [
        measuring.Line("copying", (copied - began,), "seconds"),
        measuring.Line("last file closed to all rows visible", (seen - copied,), "seconds"),
        measuring.Line("processor time of all of it", (processor,), "seconds"),
    ]
    analysed = "analysed by the networks" if given.networks else f"each analysis {given.seconds:g} s of waiting"
    note = f"{given.files:,} small JPEGs in {given.folders} folders, {analysed}"
    measuring.report("Many files at once while watching", note, lines, given.out, "flood", where)


if __name__ == "__main__":
    main()
