"""How long searches take in databases of 10 thousand, 100 thousand and 1 million faces (benchmarks/rows.py).

The first 100 photos with their faces; each search ran once before, so that what it reads is in memory.

    python benchmarks/search.py [--faces 10000 100000 1000000] [--runs 15] [--folder FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import measuring
import rows

from rollcall import Plugin

QUERIES = ("photos of children", "two women", "taken:2012", "teenagers taken:2012", "faces:>=5", "similar:face:5")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="Keep the databases here, and use those that are there.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where, lines = measuring.machine(), []
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        for faces in given.faces:
            file = folder / f"{faces}.db"
            rows.fill(file, faces).close()
            plugin = Plugin({"database.url": str(file)})
            plugin.start(read_only=True)
            for text in QUERIES:

                def first_hundred(text: str = text) -> None:
                    assert plugin.search(text, limit=100), text  # noqa: B023 (called at once)

                times = measuring.seconds(first_hundred, given.runs)
                lines.append(
                    measuring.Line(f"{text}, {faces:,} faces", tuple(1000 * one for one in times), "milliseconds")
                )
            plugin.stop()
    measuring.report("Searching", "rows drawn at random by benchmarks/rows.py", lines, given.out, "search", where)


if __name__ == "__main__":
    main()
