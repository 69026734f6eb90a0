"""What the page keeps of answers holds until something is committed, and large libraries are looked through later."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from blobs import draw
from rollcall import corrections
from rollcall.errors import NotFoundError
from rollcall.web import remembered
from rollcall.web.remembered import Remembered
from rollcall.web.results import Results
from rollcall.web.translation import language
from web.waiting import until


def test_an_answer_is_kept_until_any_program_commits(served: Any) -> None:
    kept, asked = Remembered(served.plugin), []

    def find() -> int:
        asked.append(1)
        return len(asked)

    assert [kept.get("a", find) for _ in range(3)] == [1, 1, 1]
    served.plugin.correct(corrections.tag(served.photo("child.png"), "Seen", True))
    assert kept.known("a") is None
    assert [kept.get("a", find) for _ in range(2)] == [2, 2]
    with sqlite3.connect(served.file) as other:
        other.execute("INSERT INTO meta (key, value) VALUES ('of another program', '1')")
    assert kept.get("a", find) == 3
    served.plugin.photos([1])
    assert kept.known("a") == 3, "reading changes nothing"


def test_pages_show_what_was_changed_a_moment_ago(served: Any) -> None:
    assert "Seen" not in served.client.get("/tags").text
    served.plugin.correct(corrections.tag(served.photo("child.png"), "Seen", True))
    assert "Seen" in served.client.get("/tags").text
    assert "Seen" in served.client.get("/words").text


def test_results_go_on_as_they_began_and_begin_as_they_are(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "STRETCH", 10)
    kept, results = Remembered(served.plugin), Results("", "date", 0.05)
    every = [hit.photo_id for hit in served.plugin.search("", order="date", faces=False)]

    def at(offset: int, further: bool) -> list[int]:
        return [hit.photo_id for hit in kept.hits(results, offset, 7, further=further)]

    for offset in (0, 7, 14, 21, 28):
        assert at(offset, True) == every[offset : offset + 7]
    draw(served.library / "late.png", (30, 0), seed=77)
    served.plugin.index([served.library])
    now = [hit.photo_id for hit in served.plugin.search("", order="date", faces=False)]
    assert now != every
    assert at(14, True) == every[14:21], "nothing comes twice in a list that is shown"
    assert at(14, False) == now[14:21], "a page that is opened there is new"
    assert at(0, False) == now[:7] and at(7, True) == now[7:14]


def test_what_a_commit_made_useless_is_found_again_while_nobody_waits(shared: Any) -> None:
    kept, asked = Remembered(shared.plugin), []

    def find() -> int:
        asked.append(language())
        return len(asked)

    def gone() -> None:
        raise NotFoundError("album", 7)

    kept.get("a", find)
    with pytest.raises(NotFoundError):
        kept.get("gone", gone)
    kept.renew(lambda: True)
    assert len(asked) == 1, "it still holds"
    shared.plugin.correct(corrections.tag(shared.photo("child.png"), "Seen", True))
    kept.renew(lambda: False)
    assert kept.known("a") is None, "somebody waits"
    kept.renew(lambda: True)
    assert kept.known("a") == 2 and asked == ["en", "en"]
    assert kept.get("a", find) == 2


def test_what_comes_behind_the_first_photos_is_looked_up_before_anybody_scrolls(
    shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, results, searched = Remembered(shared.plugin), Results("", "date", 0.05), []
    search = shared.plugin.ranked
    monkeypatch.setattr(shared.plugin, "ranked", lambda *a, **b: searched.append(b["offset"]) or search(*a, **b))
    first = kept.hits(results, 0, 7, further=False)
    kept.renew(lambda: True)
    assert len(searched) == 2
    second = kept.hits(results, 7, 7, further=True)
    assert len(searched) == 2 and len({one.photo_id for one in (*first, *second)}) == 14
    shared.plugin.correct(corrections.tag(shared.photo("child.png"), "Seen", True))
    kept.renew(lambda: True)
    assert kept.hits(results, 14, 7, further=True) == search("", order="date")[14:21]


def test_what_the_first_page_needs_is_ready_before_it_is_asked_for(served: Any) -> None:
    kept = served.app.state.remembered
    assert until(lambda: kept.known("months")) == served.plugin.months()
    assert until(lambda: kept.known(("people", "unnamed"))) is not None
    assert until(lambda: served.app.state.queue.ranked)


def test_after_a_commit_what_a_page_showed_is_looked_up_again(shared: Any) -> None:
    shared.client.get("/tags")
    shared.plugin.correct(corrections.tag(shared.photo("child.png"), "Seen", True))
    found = until(lambda: shared.app.state.remembered.known("tags"))
    assert "Seen" in [tag.name for tag in found]


def test_large_libraries_are_looked_through_after_the_page_is_there(page: Any, served: Any) -> None:
    served.app.state.remembered._large = True
    until(lambda: served.app.state.warming.is_ready)
    served.app.state.queue.reset()
    for address, found in (
        ("/insight", "#failures"),
        ("/review", "form input[name=face]"),
        ("/people/questions", ".review"),
    ):
        assert "Looking through all photos" in served.client.get(address).text
        page.goto(served.url + address)
        page.locator(found).first.wait_for(state="attached")
        assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_a_database_of_which_commits_are_not_known_keeps_nothing(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(lambda library: draw(library / "one.png", (5, 0)))
    kept, asked = Remembered(served.plugin), []
    monkeypatch.setattr(served.plugin, "state", lambda: None)
    for _ in range(2):
        kept.get("a", lambda: asked.append(1))
    assert len(asked) == 2


def test_looking_ahead_takes_no_processor_while_it_fails(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []
    state = served.plugin.state

    def counted() -> Any:
        tried.append(time.monotonic())
        return state()

    monkeypatch.setattr(served.plugin, "state", counted)
    served.plugin.stop()
    until(lambda: len(tried) >= 4)
    assert min(after - before for before, after in zip(tried, tried[1:], strict=False)) > 0.1
