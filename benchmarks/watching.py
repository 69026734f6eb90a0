"""How soon a new photo is a visible row while its folder is watched: from the file's closing to the commit.

python benchmarks/watching.py [--photos 30] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from pathlib import Path

import library
import measuring
import numpy as np

from rollcall import Plugin


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=30)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where = measuring.machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = library.build(folder / "source", given.photos + 1, distinct=min(given.photos + 1, 12), large=0)
        contents = [file.read_bytes() for file in sorted(source.rglob("*.jpg"))]
        watched = folder / "watched"
        watched.mkdir()
        (watched / "0.jpg").write_bytes(contents[0])
        plugin = Plugin({"database.url": str(folder / "photos.db")})
        plugin.start(watch=[watched])
        reader = sqlite3.connect(f"file:{folder / 'photos.db'}?mode=ro", uri=True)
        visible = "SELECT COUNT(*) FROM v1_photos WHERE state = 'indexed'"
        taken: list[float] = []
        for number, content in enumerate(contents):
            if number:
                (watched / f"{number}.jpg").write_bytes(content)
            began = time.perf_counter()
            while reader.execute(visible).fetchone()[0] <= number:
                time.sleep(0.005)
                if time.perf_counter() - began > 120:
                    raise SystemExit(f"photo {number} was not seen")
            if number:
                taken.append(time.perf_counter() - began)
            time.sleep(0.3)
        reader.close()
        plugin.stop()
    late = float(np.percentile(taken, 95))
    lines = [measuring.Line("file closed to row visible", tuple(taken), "seconds", f"95th percentile {late:.3f}")]
    data = f"{given.photos} JPEGs of 12 megapixels, one at a time, all settings as they come"
    measuring.report("A new photo while watching", data, lines, given.out, "watching", where)


if __name__ == "__main__":
    main()
