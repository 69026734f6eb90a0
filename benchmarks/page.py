"""How long the page's server takes for an answer, with many photos in the database.

First paint of the grid, the next parts of it while scrolling, any month, one photo, and an answer of the review.
Pictures are not asked for: there are none behind the rows. The requests go through the whole application, guard and
templates included, without a socket.

    python benchmarks/page.py [--faces 175000] [--rounds 20] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rows
from fastapi.testclient import TestClient

from rollcall import Plugin
from rollcall.web.app import create


def milliseconds(work: Callable[[int], object], rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how long each round took by the clock and on processors; the first one, which fills caches, is left out.

    On a machine that is busy with other things the clock also counts waiting for a processor.
    """
    clock, processor = [], []
    for number in range(rounds + 1):
        began, spent = time.perf_counter(), time.process_time()
        work(number)
        clock.append(1000 * (time.perf_counter() - began))
        processor.append(1000 * (time.process_time() - spent))
    return np.array(clock[1:]), np.array(processor[1:])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=175_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="Where the database is kept from run to run.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        file = (given.folder or Path(temporary)) / f"page-{given.faces}.db"
        rows.fill(file, given.faces).close()
        plugin = Plugin({"database.url": f"sqlite:///{file}", "cache.folder": temporary})
        plugin.start()
        total = plugin.status().photos["indexed"]
        token = "benchmark"
        port = 8724
        with TestClient(
            create(plugin, token, port),
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:

            def get(path: str, part: bool = False) -> str:
                answer = client.get(path, headers={"HX-Request": "true"} if part else {})
                assert answer.status_code == 200, answer.text
                return answer.text

            def review(_: int) -> None:
                face, group = state["face"], state["group"]
                answer = client.post(
                    "/review",
                    data={"face": face, "group": group, "what": "adult"},
                    headers={"HX-Request": "true", "Origin": f"http://127.0.0.1:{port}"},
                )
                assert answer.status_code == 200
                note(answer.text)

            by_date = plugin.search("", order="date", faces=False)
            starts = [hit.photo_id for hit in by_date[:6000]]
            ends = [hit.photo_id for hit in by_date[-6000:]]
            state: dict[str, str] = {}

            def note(text: str) -> None:
                state["face"] = re.findall(r'name="face" value="(\d+)"', text)[0]
                state["group"] = re.findall(r'name="group" value="(\w+)"', text)[0]

            note(get("/review"))
            work: dict[str, Callable[[int], object]] = {
                "first paint": lambda _: get("/"),
                "first paint, photos of children": lambda _: get("/?q=photos+of+children"),
                "first paint, a woman and a child": lambda _: get("/?q=a+woman+and+a+child"),
                "scrolling, near the start": lambda n: get(f"/?after={starts[60 * n]}", True),
                "scrolling, near the end": lambda n: get(f"/?after={ends[60 * n]}", True),
                "scrolling, photos of children": lambda n: get(f"/?q=photos+of+children&offset={60 * (n + 1)}", True),
                "the months": lambda _: get("/months", True),
                "to any month": lambda n: get(f"/?until={2006 + n % 20}-{1 + 5 * n % 12:02}", True),
                "back to a photo": lambda n: get(f"/?near={ends[60 * n]}", True),
                "further up from there": lambda n: get(f"/?newer={ends[60 * n]}", True),
                "years, folders and tags": lambda _: get("/chips", True),
                "one photo of results": lambda n: get(f"/photo/{1000 + n}?q=photos+of+children&at={100 + n}"),
                "one photo": lambda n: get(f"/photo/{1000 + n}"),
                "an answer of the review": review,
            }
            print(f"{total:,} photos, {given.faces:,} faces, {given.rounds} rounds")
            print(f"{'request':36} {'median':>9} {'95 %':>9} {'max':>9} {'processor':>9}  (ms)")
            for name, one in work.items():
                times, spent = milliseconds(one, given.rounds)
                figures = (np.median(times), np.quantile(times, 0.95), times.max(), np.median(spent))
                print(f"{name:36} " + " ".join(f"{figure:9.1f}" for figure in figures), flush=True)
        plugin.stop()


if __name__ == "__main__":
    main()
