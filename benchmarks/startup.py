"""How long `rollcall analyze` takes for one photo, from nothing: the first time ever, and with compiled programs kept.

Python's own compiled files (.pyc) are there, as after any installation.

    python benchmarks/startup.py [--runs 5] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measuring

from rollcall.commands import demo_library

COMMAND = [sys.executable, "-m", "rollcall", "analyze"]


def once(photo: Path, cache: Path, bytecode: Path) -> float:
    """Return the seconds of one start."""
    # Where an installation did not write them, the first start does, into a folder of this benchmark.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
    began = time.perf_counter()
    subprocess.run(
        [*COMMAND, str(photo), "--set", f"cache.folder={cache}"], env=environment, check=True, capture_output=True
    )
    return time.perf_counter() - began


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where = measuring.machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "photo.jpg"
        demo_library.write_photo(demo_library.portraits()[0], photo)
        once(photo, folder / "warm", folder / "pyc")
        first = tuple(once(photo, folder / f"cold-{run}", folder / "pyc") for run in range(given.runs))
        second = tuple(once(photo, folder / "warm", folder / "pyc") for _ in range(given.runs))
    lines = [
        measuring.Line("first start ever", first, "seconds"),
        measuring.Line("second start", second, "seconds"),
    ]
    measuring.report(
        "From nothing to the faces of one photo", "one packaged portrait", lines, given.out, "startup", where
    )


if __name__ == "__main__":
    main()
