"""How long each phrase of docs/search.md takes until its first 100 photos are there (benchmarks/rows.py).

Every query that a table of the page shows, in its own language. Each ran once before, so that what it reads is in
memory; both times are medians: the clock's, and that of this process's threads on processors.

    python benchmarks/phrases.py [--faces 1000000] [--named 61] [--runs 5] [--folder FOLDER] [--only TEXT]
        [--out FOLDER]
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import measuring
import named
import rows

from rollcall import Plugin
from rollcall.errors import QueryError

PAGE = Path(__file__).parents[1] / "docs" / "search.md"
#: Tables whose first column holds queries have one of these heads.
HEADS = ("| query |",)
#: A phrase that takes longer than this, in seconds, is not repeated.
LONG = 5.0


def phrases(page: Path = PAGE) -> list[str]:
    """Return all queries that the tables of the page show, each once."""
    found: list[str] = []
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        inside = line.startswith(HEADS) or (inside and line.startswith("|"))
        query = re.match(r"\| `([^`]+)` \|", line) if inside else None
        if query is not None:
            found.append(query[1].replace("\\|", "|"))
    return list(dict.fromkeys(found))


def times(plugin: Plugin, query: str, runs: int) -> tuple[int, list[float], list[float]]:
    """Return how many photos came, and how long each run took: by the clock, and on processors; in milliseconds."""
    clock, processor = [], []
    for number in range(runs + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        hits = plugin.search(query, limit=100)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if number or wall > LONG:
            clock.append(1000 * wall)
            processor.append(1000 * cpu)
        if wall > LONG:
            break
    return len(hits), clock, processor


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--named", type=int, default=61, help="People with a name; each face is somebody. 0: nobody.")
    parser.add_argument("--folder", type=Path, help="Keep the database here, and use one that is there.")
    parser.add_argument("--only", default="", help="Only queries that contain this text.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where, lines = measuring.machine(), []
    unanswered: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{given.faces}.db"
        database = rows.fill(file, given.faces)
        if given.named:
            named.add_people(database, given.named)
        database.close()
        with Plugin({"database.url": str(file)}) as plugin:
            for query in phrases():
                if given.only not in query:
                    continue
                try:
                    count, clock, processor = times(plugin, query, given.runs)
                except QueryError as error:
                    # Without --named there is nobody whom it can mean.
                    unanswered.append(f"{query} ({error})")
                    continue
                note = f"{statistics.median(processor):.0f} ms on processors, {count} photos"
                print(f"{query}: {statistics.median(clock):.1f} ms, {note}", file=sys.stderr, flush=True)
                lines.append(measuring.Line(query, tuple(clock), "milliseconds", note))
    measuring.report(
        f"The phrases of docs/search.md, {given.faces:,} faces",
        f"rows drawn at random by benchmarks/rows.py, {given.named} people with a name (benchmarks/named.py)",
        lines,
        given.out,
        "phrases",
        where,
    )
    for line in unanswered:
        print(f"Not measured: {line}")
    slow = [line.name for line in lines if line.median >= 100]
    print(f"{len(lines)} phrases, {len(slow)} of them take 100 ms or more: {', '.join(slow) or 'none'}")


if __name__ == "__main__":
    main()
