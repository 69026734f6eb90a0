"""Several tabs, and a server that stops."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from blobs import BlobAnalyzer, draw
from rollcall.host import Plugin
from rollcall.web import api, security
from rollcall.web.app import create
from web.conftest import running
from web.waiting import until


def test_many_tabs_share_one_stream_and_another_takes_over(chromium: Any, served: Any) -> None:
    context = chromium.new_context()
    streams: list[str] = []
    context.on("request", lambda asked: streams.append(asked.url) if asked.url.endswith("/api/progress") else None)
    pages = [context.new_page() for _ in range(8)]
    pages[0].goto(f"{served.url}/?token={served.token}")
    for page in pages:
        page.goto(f"{served.url}/indexing")
    until(lambda: pages[-1].wait_for_timeout(50) or len(streams) >= 1)  # events come while the page is waited for
    # A browser that had a connection for each would not load the last page, nor send this.
    pages[-1].get_by_role("button", name="Look for new photos").click()
    for page in pages:
        page.get_by_text("unchanged").first.wait_for()
    before = len(streams)
    pages[0].close()
    until(lambda: pages[-1].wait_for_timeout(50) or len(streams) > before)
    context.close()


def test_another_tab_listens_while_the_one_that_listens_stands_still(
    chromium: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody waits so long here as a tab does; what the server says comes as much more often.
    monkeypatch.setattr(api, "STILL_HERE", 0.5)
    context = chromium.new_context()
    context.add_init_script("const wait = setTimeout; window.setTimeout = (f, ms) => wait(f, ms > 13000 ? ms / 8 : ms)")
    first, second = context.new_page(), context.new_page()
    for page, path in ((first, f"/?token={served.token}"), (second, "/indexing")):
        page.goto(f"{served.url}{path}")
        until(lambda page=page: page.evaluate("Boolean(window.rollcallProgress?.())"))
    ended = "window.rollcallProgress().ended"

    def look_for_photos() -> int:
        before = int(second.evaluate(ended))
        second.get_by_role("button", name="Look for new photos").click()
        until(lambda: second.wait_for_timeout(30) or second.evaluate(ended) > before)
        return before + 1

    # As with a dialog open that asks something.
    halted = context.new_cdp_session(first)
    halted.send("Debugger.enable")
    halted.send("Debugger.pause")
    look_for_photos()
    halted.send("Debugger.resume")
    halted.send("Debugger.disable")
    # It goes on, and both hear of everything: also when the one that stood in is gone.
    runs = look_for_photos()
    until(lambda: first.evaluate(ended) == runs)
    second.close()
    served.client.post("/api/index", json={})
    until(lambda: first.wait_for_timeout(30) or first.evaluate(ended) > runs)
    context.close()


def test_a_server_that_stopped_is_named_and_one_that_comes_back_is_noticed(
    chromium: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody waits so long here as a page does; what the server says comes as much more often.
    monkeypatch.setattr(api, "STILL_HERE", 0.25)
    context = chromium.new_context()
    context.add_init_script("const wait = setTimeout; window.setTimeout = (f, ms) => wait(f, ms >= 2000 ? ms / 8 : ms)")
    page = context.new_page()
    page.goto(f"{served.url}/?token={served.token}")
    note = page.locator("#server")
    until(lambda: page.evaluate("Boolean(window.rollcallProgress?.())"))
    # Not by the offline mode of the browser, which begins a moment after it was asked for: what is sent before arrives.
    asked = re.compile("/(tags|api/status)$")
    page.route(asked, lambda one: one.abort("internetdisconnected"))
    page.evaluate("htmx.ajax('GET', document.documentElement.dataset.base + '/tags', '#results').catch(() => {})")
    note.get_by_text("has stopped").wait_for()
    page.unroute(asked)
    note.wait_for(state="hidden")
    # One that takes requests and answers none, as in a computer that sleeps. A route that nobody continues is held.
    page.route("**/tags", lambda _: None)
    page.route("**/api/status", lambda _: None)
    page.evaluate("void htmx.ajax('GET', document.documentElement.dataset.base + '/tags', '#results')")
    note.get_by_text("does not answer at present").wait_for()
    page.unroute("**/api/status")
    note.wait_for(state="hidden")
    # Also where nobody asks for anything: the stream is silent.
    page.route("**/api/status", lambda _: None)
    monkeypatch.setattr(api, "STILL_HERE", 3600.0)
    note.get_by_text("does not answer at present").wait_for()
    page.unroute("**/api/status")
    note.wait_for(state="hidden")
    context.close()


def test_a_server_that_was_started_anew_is_told_apart_from_one_that_stopped(chromium: Any, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "child.png", (5, 0))
    values = {"database.url": f"sqlite:///{tmp_path / 'a.db'}", "cache.folder": str(tmp_path / "cache")}
    context = chromium.new_context()
    page = context.new_page()
    note = page.locator("#server")

    def begin(port: int) -> tuple[Any, str, socket.socket]:
        token, listening = security.new_token(), socket.create_server(("127.0.0.1", port))
        return create(plugin, token, listening.getsockname()[1]), token, listening

    with Plugin(values, analyzer=BlobAnalyzer()) as plugin:
        plugin.index(tmp_path / "photos")
        app, token, listening = begin(0)
        port = listening.getsockname()[1]
        with running(app, listening):
            page.goto(f"http://127.0.0.1:{port}/?token={token}")
            until(lambda: page.evaluate("Boolean(window.rollcallProgress?.())"))
        note.get_by_text("Start it again, and open the page from there").wait_for()
        app, token, listening = begin(port)
        with running(app, listening):
            note.get_by_text("open the page at its new address").wait_for()
            page.goto(f"http://127.0.0.1:{port}/?token={token}")
            page.locator(".tile").first.wait_for()
            assert not note.is_visible()
    context.close()
