"""Several tabs, and a server that stops."""

from __future__ import annotations

from typing import Any

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
    context.close()
