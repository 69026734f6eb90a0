"""How long it takes to find what to ask about people, the first time and after one answer each (benchmarks/rows.py).

Each question is answered with no before the library is asked anew. Times are those of this process on processors. The
database is changed: give a folder of its own.

    OPENBLAS_NUM_THREADS=1 python benchmarks/people_questions.py [--faces 200000] [--folder FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import measuring
import named
import rows

from rollcall.corrections import log
from rollcall.people import questions, stating
from rollcall.people.kept import KeptFaces
from rollcall.settings import TagSettings

ANSWERS = 5


def main() -> None:
    """Measure one library, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=200_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    times: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        database = rows.fill(folder / f"{given.faces}.db", given.faces)
        named.add_people(database)
        kept = KeptFaces()
        for _ in range(ANSWERS + 1):
            began = time.process_time()
            with database.read() as session:
                asked = questions.of_library(session, 500, kept)
            times.append(1000 * (time.process_time() - began))
            with database.write() as session:
                log.record(session, stating.answer(session, asked[0], False), "user", TagSettings(), None)
        database.close()
    measuring.report(
        f"Questions about people, {given.faces:,} faces",
        "rows drawn at random by benchmarks/rows.py, people by benchmarks/named.py",
        [
            measuring.Line("the first time", (times[0],), "milliseconds", "all faces are read"),
            measuring.Line("after an answer", tuple(times[1:]), "milliseconds", "what changed is read"),
        ],
        given.out,
        "people-questions",
        measuring.machine(),
    )


if __name__ == "__main__":
    main()
