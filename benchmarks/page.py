"""How long the page's server takes for an answer, with many photos in the database.

Every page that one can begin at, the next parts of it while scrolling, any month, the parts that a page asks for by
itself, and answers with their undo. Pictures are not asked for: there are none behind the rows. The requests go through
the whole application, guard and templates included, without a socket. With `--named` the faces are people.

    python benchmarks/page.py [--faces 175000] [--named 0] [--rounds 20] [--only WORDS] [--folder FOLDER] [--cold]

After the start the server prepares what it will need while nobody waits; requests are measured after that, or with
`--cold` before. Nothing of what the page keeps outlives a commit, so each kind of requests is measured twice: each time
right after a correction was committed, and again and again without one. Fails if the median processor time of a kind of
requests is above the limit for it, either way.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_plus

import numpy as np
import rows
from fastapi.testclient import TestClient
from named import add_people

from rollcall import Plugin, corrections
from rollcall.web.app import create

PORT = 8724
TOKEN = "benchmark"
#: What a request may take on a processor at the median, in milliseconds.
PAINT, SCROLL, MONTH, MANY = 100.0, 30.0, 200.0, 1000.0
QUERIES = (
    *("photos of children", "two children", "a woman and a child", "a woman and a baby", "only adults"),
    *("women over 60", "group photos", "no people", 'tag:"People/Children"', "taken:2012-06", 'path:"2012"'),
)
NAMED = ("Anna", "Anna and Ben", "Lena as a child", "Somebody 77", "my children")


class Request(NamedTuple):
    """A kind of requests: what it is called, what it may take, and one of them by its number."""

    name: str
    limit: float
    ask: Callable[[int], object]
    fresh: bool = True  # whether it is asked for right after a commit, too


def milliseconds(
    work: Callable[[int], object], rounds: range, before: Callable[[], object] = lambda: None
) -> tuple[np.ndarray, np.ndarray]:
    """Return how long each round took by the clock and on processors; what is done `before` each is not counted.

    On a machine that is busy with other things the clock also counts waiting for a processor.
    """
    clock, processor = [], []
    for number in rounds:
        before()
        began, spent = time.perf_counter(), time.process_time()
        work(number)
        clock.append(1000 * (time.perf_counter() - began))
        processor.append(1000 * (time.process_time() - spent))
    return np.array(clock), np.array(processor)


class Visitor:
    """Asks the application for pages and parts of them."""

    def __init__(self, plugin: Plugin, client: TestClient) -> None:
        self.plugin, self.client = plugin, client
        self.shown: dict[str, str] = {}
        self.corrected = 0

    def get(self, path: str, part: bool = False) -> str:
        """Return the text of a page, or of a part."""
        answer = self.client.get(path, headers={"HX-Request": "true"} if part else {})
        assert answer.status_code == 200, (path, answer.text)
        return answer.text

    def post(self, path: str, **form: object) -> str:
        """Return the answer to a form."""
        headers = {"HX-Request": "true", "Origin": f"http://127.0.0.1:{PORT}"}
        answer = self.client.post(path, data=form, headers=headers)
        assert answer.status_code == 200, (path, answer.text)
        return answer.text

    def commit(self) -> None:
        """Correct the age of one more face, after which nothing that is kept holds any more."""
        self.corrected += 1
        # As the page would, so that it can undo it.
        self.plugin.correct(corrections.age(1000 + self.corrected, 30), origin="page")

    def review(self, _: int) -> None:
        """Answer the question that is shown."""
        text = self.shown.get("review") or self.get("/review", True)
        face, group = (re.findall(rf'name="{name}" value="(\w+)"', text)[0] for name in ("face", "group"))
        self.shown["review"] = self.post("/review", face=face, group=group, what="adult")

    def pages(self) -> Iterator[Request]:
        """Yield what one begins at."""
        yield Request("library", PAINT, lambda _: self.get("/"))
        for query in QUERIES:
            yield Request(f"library, `{query}`", PAINT, lambda _, q=query: self.get(f"/?q={quote_plus(q)}"))
        yield Request(
            "library, `photos of children`, newest first",
            PAINT,
            lambda _: self.get("/?q=photos+of+children&order=date"),
        )
        yield Request(
            "library, back to place 6,000 of results", PAINT, lambda _: self.get("/?q=photos+of+children&at=6000")
        )
        photo = self.plugin.search("photos of children", limit=1, faces=False)[0].photo_id
        face = self.plugin.photos([photo])[0].faces[0].face_id
        for name, path in (
            ("albums", "/albums"),
            ("album", "/album/1"),
            ("a photo", f"/photo/{photo}"),
            ("review", "/review"),
            ("review, similar faces", f"/review/alike/{face}?group=children"),
            ("tags", "/tags"),
            ("a tag's suggestions", "/tag?name=People/Children&above=0.3"),
            ("statistics", "/insight"),
            ("folders", "/indexing"),
            ("sharing", "/sharing"),
            ("people", "/people"),
        ):
            yield Request(name, PAINT, lambda _, path=path: self.get(path))

    def parts(self) -> Iterator[Request]:
        """Yield what pages ask for by themselves, and scrolling."""
        by_date = self.plugin.search("", order="date", faces=False)
        starts, ends = ([hit.photo_id for hit in some] for some in (by_date[:6000], by_date[-6000:]))
        children = "/?q=photos+of+children"
        yield Request("scrolling, the start", SCROLL, lambda n: self.get(f"/?after={starts[60 * n]}", True))
        yield Request("scrolling, the end", SCROLL, lambda n: self.get(f"/?after={ends[60 * n]}", True))
        yield Request("scrolling up", SCROLL, lambda n: self.get(f"/?newer={ends[60 * n]}", True))
        for query in ("photos of children", "a woman and a child", "only adults", 'tag:"People/Children"'):
            for first in (0, 6000):
                yield Request(
                    f"scrolling, `{query}`, from {first:,}",
                    SCROLL,
                    lambda n, q=query, first=first: self.get(
                        f"/?q={quote_plus(q)}&offset={first + 60 * (n + 1)}", True
                    ),
                )
        yield Request(
            "scrolling, newest first, from 6,000",
            SCROLL,
            lambda n: self.get(f"{children}&order=date&offset={6000 + 60 * (n + 1)}", True),
        )
        yield Request("scrolling an album", SCROLL, lambda n: self.get(f"/album/1?offset={60 * (n + 1)}", True))
        yield Request("the months of the slider", PAINT, lambda _: self.get("/months", True))
        yield Request("to any month", MONTH, lambda n: self.get(f"/?until={2006 + n % 20}-{1 + 5 * n % 12:02}", True))
        yield Request("back to a photo", PAINT, lambda n: self.get(f"/?near={ends[60 * n]}"))
        yield Request("what the search box completes", PAINT, lambda _: self.get("/words", True))
        yield Request("years, folders and tags", PAINT, lambda _: self.get("/chips", True))
        yield Request("on this day", PAINT, lambda _: self.get("/on-this-day", True))
        for query in ("photos of children", "a woman and a child", "only adults"):
            yield Request(f"number of `{query}`", PAINT, lambda _, q=query: self.get(f"/count?q={quote_plus(q)}", True))
        yield Request(
            "a photo of results", PAINT, lambda n: self.get(f"/photo/{1000 + n}?q=photos+of+children&at={100 + n}")
        )

    def people(self) -> Iterator[Request]:
        """Yield what concerns people with names."""
        for query in NAMED:
            yield Request(f"library, `{query}`", PAINT, lambda _, q=query: self.get(f"/?q={quote_plus(q)}"))
        for name, path in (
            ("a person", "/person/1"),
            ("a child", "/person/4"),
            ("a group without a name", "/person/700"),
            ("a person, likeliest first", "/person/2?order=likeliest"),
            ("people, proposals", "/people/review"),
            ("people, hidden", "/people?hidden=true"),
            ("forgetting a person", "/person/9/forget"),
            ("people, questions", "/people/questions"),
        ):
            yield Request(name, PAINT, lambda _, path=path: self.get(path))
        yield Request(
            "scrolling people", SCROLL, lambda n: self.get(f"/people/more?kind=unnamed&offset={48 * (n + 1)}", True)
        )
        yield Request(
            "scrolling a person", SCROLL, lambda n: self.get(f"/person/{n + 1}/faces?offset=96&order=newest", True)
        )
        yield Request("who was seen on one day", PAINT, lambda _: self.get("/people/once", True))

    def answers(self) -> Iterator[Request]:
        """Yield what changes the database."""
        yield Request("an answer of the review", PAINT, self.review)
        yield Request("undo", PAINT, lambda _: self.post("/undo"))
        yield Request("undo and redo", 2 * PAINT, lambda _: (self.post("/undo"), self.post("/redo")), False)
        yield Request(
            "a tag of 60 photos",
            MANY,
            lambda n: self.post("/selection", what="tag", tag=f"T{n}", photos=[*range(1, 61)]),
        )
        yield Request("undo of 60 photos", MANY, lambda _: self.post("/undo"))
        yield Request("the library after a change", PAINT, lambda _: self.get("/"))
        yield Request("results after a change", PAINT, lambda _: self.get("/?q=a+woman+and+a+child"))


@contextmanager
def visiting(file: Path, cache: str, cold: bool = False) -> Iterator[Visitor]:
    """Serve a database, without a socket; once the server is ready, or with `cold` at once."""
    plugin = Plugin({"database.url": f"sqlite:///{file}", "cache.folder": cache})
    plugin.start()
    url, headers = f"http://127.0.0.1:{PORT}", {"Authorization": f"Bearer {TOKEN}"}
    app = create(plugin, TOKEN, PORT)
    with TestClient(app, base_url=url, headers=headers) as client:
        while not (cold or app.state.warming.is_ready):
            time.sleep(0.1)
        yield Visitor(plugin, client)
    plugin.stop()


def measure(visitor: Visitor, requests: Iterator[Request], rounds: int, only: str) -> int:
    """Print a line for each kind of requests; return how many are above their limit."""
    slow = 0
    for one in requests:
        if only not in one.name:
            continue
        _, first = milliseconds(one.ask, range(1))
        _, fresh = milliseconds(one.ask, range(1, rounds + 1), *([visitor.commit] if one.fresh else []))
        times, spent = milliseconds(one.ask, range(rounds, 2 * rounds + 1))
        # The first one without a commit before it still fills what is kept.
        times, spent = times[1:], spent[1:]
        above = max(np.median(fresh), np.median(spent)) > one.limit
        slow += above
        most = [np.quantile(one, 0.95) for one in (fresh, spent)]
        figures = (first[0], np.median(fresh), most[0], np.median(spent), most[1], np.median(times))
        text = " ".join(f"{figure:8.1f}" for figure in figures)
        print(f"{one.name:46} {text} {one.limit:6.0f}{'  slow' if above else ''}", flush=True)
    return slow


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=175_000)
    parser.add_argument("--named", type=int, default=0, help="People with names; 0: faces are nobody.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="Measure only requests whose names have these words.")
    parser.add_argument("--folder", type=Path, help="Where the database is kept from run to run.")
    parser.add_argument("--cold", action="store_true", help="Begin before the server has prepared anything.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        name = f"page-{given.faces}-{given.named}.db" if given.named else f"page-{given.faces}.db"
        file = (given.folder or Path(temporary)) / name
        database = rows.fill(file, given.faces)
        if given.named:
            add_people(database, given.named)
        database.close()
        with visiting(file, temporary, given.cold) as visitor:
            plugin = visitor.plugin
            if not plugin.albums():
                plugin.save_album("Children", "photos of children")
            kinds = [visitor.pages, visitor.parts, *([visitor.people] if given.named else []), visitor.answers]
            total = plugin.status().photos["indexed"]
            print(f"{total:,} photos, {given.faces:,} faces, {given.named:,} names, {given.rounds} rounds, in ms")
            print(f"{'':46} {'processor':>8} {'after a commit':>17} {'without one':>17} {'clock':>8}")
            print(f"{'request':46} {'first':>8} " + 2 * f"{'median':>8} {'95 %':>8} " + f"{'median':>8} {'limit':>6}")
            slow = sum(measure(visitor, kind(), given.rounds, given.only) for kind in kinds)
        print(f"above their limit: {slow}")
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
