"""A photo manager that has nothing but sqlite3 pages through 100,000 photos while Rollcall indexes into the database.

The reader is a process of its own without any installed package, and has no patience: where it would have to wait for
a lock it fails. The writer is `rollcall index --force` over real photographs, again and again. Measured is every page
of 100 photos from the query to its last row, over whole walks through a tag: alone, then while the writer works.
Processor time stands beside the time on the clock: on a machine that is busy with other things the clock also counts
waiting for a processor.

    python benchmarks/paging.py [--photos 100000] [--seconds 120] [--folder FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import Line, machine, report
from rows import fill

from rollcall.commands.demo_library import build

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "catalogue.py"
COPIES = 20  # of the demo's photos
SLOWEST = 20.0  # milliseconds that a page may take

READER = """
import importlib.util, json, sqlite3, sys, time
spec = importlib.util.spec_from_file_location("catalogue", sys.argv[1])
catalogue = importlib.util.module_from_spec(spec)
spec.loader.exec_module(catalogue)
connection = sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True, isolation_level=None, timeout=0)
ways = {
    "by number": lambda: catalogue.pages(connection, "People/Adults"),
    "newest first": lambda: catalogue.newest(connection, "People/Children"),
    "likeliest first": lambda: catalogue.likeliest(connection, "children"),
}
walks = {name: [] for name in ways}
photos = {name: 0 for name in ways}
locked = 0
until = time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    for name, way in ways.items():
        pages, count, began, spent = [], 0, time.perf_counter(), time.process_time()
        try:
            for page in way():
                pages.append((1e3 * (time.perf_counter() - began), 1e3 * (time.process_time() - spent)))
                count += len(page)
                began, spent = time.perf_counter(), time.process_time()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                raise
            locked += 1
            continue
        walks[name].append(pages)
        photos[name] = count
print(json.dumps({"walks": walks, "photos": photos, "locked": locked}))
"""


def read(file: Path, seconds: float) -> dict:
    """Return what the reader measured."""
    command = [sys.executable, "-I", "-S", "-c", READER, str(EXAMPLE), str(file), str(seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def read_while_indexing(file: Path, library: Path, seconds: float) -> tuple[dict, int]:
    """Return what the reader measured while photos were indexed, and how many were."""
    command = [sys.executable, "-I", "-S", "-c", READER, str(EXAMPLE), str(file), str(seconds)]
    index = [sys.executable, "-m", "rollcall", "index", str(library), "--force", "--json", "-d", str(file)]
    subprocess.run(index, check=True, capture_output=True)  # so that networks are compiled, and photos known
    indexed = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            done = subprocess.run(index, check=True, capture_output=True, text=True)
            indexed += json.loads(done.stdout)["indexed"]
        out, _ = reader.communicate()
    return json.loads(out), indexed


def photographs(folder: Path) -> Path:
    """Return a folder of the packaged portraits, many times, no two files equal."""
    first = build(folder / "0")
    for number in range(1, COPIES):
        copy = Path(shutil.copytree(first, folder / str(number)))
        for file in copy.rglob("*.jpg"):
            with file.open("ab") as stream:
                stream.write(f"copy {number}".encode())
    return folder


def main() -> int:
    """Measure and print; fails if more than a page in a hundred was slow, or the database locked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--folder", type=Path, help="where the database is kept, or found; default: a temporary one")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        file = folder / f"paging-{given.photos}.db"
        # 1.67 faces a photo, as `rows` draws them.
        fill(file, round(given.photos * 1.7)).close()
        library = photographs(Path(temporary) / "library")
        os.environ.setdefault("ROLLCALL_CACHE__FOLDER", str(folder / "cache"))
        alone = read(file, given.seconds / 4)
        beside, indexed = read_while_indexing(file, library, given.seconds)
    lines, slow = [], 0
    for name in alone["walks"]:
        for when, found in (("alone", alone), ("while indexing", beside)):
            walks = [walk for walk in found["walks"][name] if walk]
            clock, processor = (sorted(page[kind] for walk in walks for page in walk) for kind in (0, 1))
            at = int(len(clock) * 0.99)
            slow += clock[at] >= SLOWEST
            late = sum(page >= SLOWEST for page in clock)
            note = f"{len(clock):,} pages in {len(walks)} walks of {found['photos'][name]:,} photos"
            note += (
                f"; 99 of 100 under {clock[at]:.1f} ms, {late} of {SLOWEST:g} ms or more, slowest {clock[-1]:.0f} ms"
            )
            note += f"; processor: 99 of 100 under {processor[at]:.1f} ms, slowest {processor[-1]:.1f} ms"
            middle = tuple(statistics.median(page[0] for page in walk) for walk in walks)
            lines.append(Line(f"{name}, {when}", middle, "ms a page", note))
    data = f"a database of {given.photos:,} photos; {indexed:,} photographs indexed during {given.seconds:g} s"
    report("Paging by sqlite3 while Rollcall indexes", data, lines, given.out, "paging", where, "by number, alone")
    locked = alone["locked"] + beside["locked"]
    print(f"  'database is locked': {locked}; ways whose 99th page of 100 takes {SLOWEST:g} ms or more: {slow}")
    return 1 if locked or slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
