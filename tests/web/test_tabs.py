"""Several tabs, and a server that stops."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from blobs import BlobAnalyzer, draw
from rollcall.host import Plugin
from rollcall.web import security
from rollcall.web.app import create
from web.conftest import running
from web.test_page import until


def test_many_tabs_share_one_stream_and_another_takes_over(chromium: Any, served: Any) -> None:
    context = chromium.new_context()
    streams: list[str] = []
    context.on("request", lambda asked: streams.append(asked.url) if asked.url.endswith("/api/progress") else None)
    pages = [context.new_page() for _ in range(8)]
    for page in pages:
        page.goto(f"{served.url}/?token={served.token}")
        page.goto(f"{served.url}/indexing")
    until(lambda: pages[-1].wait_for_timeout(50) or len(streams) >= 1)  # events come while the page is waited for
    # A browser that had a connection for each would not load the last page, nor send this.
    pages[-1].get_by_role("button", name="Look for new photos").click()
    for page in pages:
        page.get_by_text("unchanged").first.wait_for()
    before = len(streams)
    pages[0].close()
    until(lambda: pages[-1].wait_for_timeout(50) or len(streams) == before + 1)
    context.close()


def test_a_server_that_stopped_is_named_and_one_that_comes_back_is_noticed(chromium: Any, served: Any) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{served.url}/?token={served.token}")
    note = page.locator("#server")
    until(lambda: page.evaluate("Boolean(window.rollcallProgress?.())"))
    context.set_offline(True)
    page.evaluate("htmx.ajax('GET', document.documentElement.dataset.base + '/tags', '#results').catch(() => {})")
    note.get_by_text("has stopped").wait_for()
    context.set_offline(False)
    until(lambda: not note.is_visible())
    # One that takes requests and answers none, as in a computer that sleeps; nobody waits so long here.
    page.add_init_script("const wait = setTimeout; window.setTimeout = (f, ms) => wait(f, ms > 5000 ? 1000 : ms)")
    page.reload()
    until(lambda: page.evaluate("Boolean(window.rollcallProgress?.())"))
    # A route that nobody continues is held.
    page.route("**/tags", lambda _: None)
    page.route("**/api/status", lambda _: None)
    page.evaluate("void htmx.ajax('GET', document.documentElement.dataset.base + '/tags', '#results')")
    note.get_by_text("does not answer at present").wait_for()
    page.unroute("**/api/status")
    until(lambda: not note.is_visible())
    # Also where nobody asks for anything: the stream is silent.
    page.route("**/api/status", lambda _: None)
    note.get_by_text("does not answer at present").wait_for()
    page.unroute("**/api/status")
    until(lambda: not note.is_visible())
    context.close()


def test_a_server_that_was_started_anew_is_told_apart_from_one_that_stopped(chromium: Any, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "child.png", (5, 0))
    values = {"database.url": f"sqlite:///{tmp_path / 'a.db'}", "cache.folder": str(tmp_path / "cache")}
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
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
            until(lambda: page.evaluate("Boolean(window.rollcallProgress?.())"), 60)
        note.get_by_text("Start it again, and open the page from there").wait_for()
        app, token, listening = begin(port)
        with running(app, listening):
            note.get_by_text("open the page at its new address").wait_for()
            page.goto(f"http://127.0.0.1:{port}/?token={token}")
            page.locator(".tile").first.wait_for()
            assert not note.is_visible()
    context.close()
