"""How much memory a run takes: 200 photos against 2,000, each in a process of its own; and a second run over them.

python benchmarks/memory.py [--photos 200 2000] [--min-face 40] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import library
import measuring
import psutil


def run(photos: Path, database: Path, min_face: int) -> tuple[float, float, int]:
    """Index in a process of its own; return the most memory in MB (resident set), the seconds, and photos indexed."""
    command = [sys.executable, "-m", "rollcall", "index", str(photos), "--database", str(database), "--json"]
    began, most = time.perf_counter(), 0
    with subprocess.Popen(
        [*command, "--set", f"detector.min_face={min_face}"], stdout=subprocess.PIPE, text=True
    ) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                most = max(most, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())
    return most / 1e6, time.perf_counter() - began, summary["indexed"]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--min-face", type=int, default=40)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where, lines = measuring.machine(), []
    with tempfile.TemporaryDirectory() as name:
        for photos in given.photos:
            folder = library.build(Path(name) / f"{photos}", photos, distinct=20, large=0.1)
            database = Path(name) / f"{photos}.db"
            most, _, indexed = run(folder, database, given.min_face)
            assert indexed == photos
            _, again, indexed = run(folder, database, given.min_face)
            assert indexed == 0
            lines += [
                measuring.Line(f"{photos:,} photos, most memory", (most,), "MB"),
                measuring.Line(f"{photos:,} photos, second run", (again,), "seconds"),
            ]
    data = f"JPEGs of 12 and 48 megapixels from benchmarks/library.py, faces from {given.min_face} px"
    peer = f"{given.photos[0]:,} photos, most memory"
    measuring.report("Memory", data, lines, given.out, "memory", where, peer=peer)


if __name__ == "__main__":
    main()
