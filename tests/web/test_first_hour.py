"""The first hour of a family: from an empty database to a named child and an album that a guest looks at."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from blobs import draw
from peopled import SharpAnalyzer
from rollcall.host import Plugin
from rollcall.web import home_network, security
from rollcall.web.app import create
from web.conftest import running
from web.waiting import followed, ready

#: A second address of this machine, which stands for the one in the home network.
HOME = "127.0.0.2"


def test_from_an_empty_database_to_a_named_child_and_a_shared_album(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        draw(tmp_path / "photos" / f"child{number}.png", (5 + number, 250), seed=number)
    draw(tmp_path / "photos" / "other.png", (40, 10), seed=9)
    values = {"database.url": f"sqlite:///{tmp_path / 'a.db'}", "cache.folder": str(tmp_path / "cache")}
    context = chromium.new_context()
    device = chromium.new_context(viewport={"width": 390, "height": 800}, user_agent="Mozilla/5.0 (Linux; Android 14)")
    page, phone = context.new_page(), device.new_page()
    with Plugin(values, analyzer=SharpAnalyzer()) as plugin:
        first = socket.create_server(("127.0.0.1", 0))
        port, token = first.getsockname()[1], security.new_token()
        app = create(plugin, token, port)
        monkeypatch.setattr(home_network, "own_address", lambda: HOME)
        with running(app, first):
            page.goto(f"http://127.0.0.1:{port}/?token={token}")
            followed(page, page.get_by_role("link", name="add a folder"))
            page.get_by_label("Or type its path").fill(str(tmp_path / "photos"))
            page.get_by_role("button", name="Add this folder").click()
            page.get_by_text("Done: 4 new photos with 4 faces").wait_for()
            followed(page, page.get_by_role("link", name="See the photos"))
            followed(page, page.locator(".tile a[aria-label^='child0.png']"))
            page.locator(".frame .face").click()
            page.locator("#who-name").fill("Mia")
            page.locator("#who-name").press("Enter")
            page.locator(".called").get_by_text("Mia").wait_for()
            page.goto(f"http://127.0.0.1:{port}{security.start_path(token)}/")
            ready(page)
            page.locator("#q").fill("Mia")
            page.locator("#q").press("Enter")
            page.get_by_text("Save as album").click()
            page.locator("#save-name").press("Enter")
            followed(page, page.locator(".toast").get_by_role("link", name="open"))
            page.get_by_role("button", name="Share", exact=True).click()
            followed(page, page.get_by_role("link", name="Invite somebody"))
            page.get_by_role("button", name="Let the home network in").click()
            page.get_by_role("button", name="Code for a guest").click()
            code = page.locator(".pairing").inner_text()
            assert re.fullmatch(r"\d{4} \d{4}", code)
            phone.goto(f"http://{HOME}:{port}/")
            phone.get_by_label("Code").fill(code)
            phone.get_by_role("button", name="Open").click()
            # The page of the codes says so by itself, with a name for a device that nobody gave one.
            page.locator("#invitation").get_by_text("“Android” is let in.").wait_for()
            page.locator("#devices").get_by_role("button", name="End the session of Android").wait_for()
            phone.locator(".albums .name").get_by_text("Mia").click()
            phone.locator(".tile").first.click()
            phone.wait_for_function("() => document.getElementById('picture')?.naturalWidth > 0")
            assert phone.evaluate("document.documentElement.scrollWidth") <= 390
            assert [one.name for one in plugin.guests()] == ["Android"]
            page.get_by_role("button", name="End the session of Android").click()
            page.locator("#devices").get_by_text("There are none.").wait_for()
            page.get_by_role("button", name="Code for a guest").click()
            page.locator(".pairing").wait_for()
    context.close()
    device.close()
