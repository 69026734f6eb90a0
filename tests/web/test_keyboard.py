"""The keyboard alone: what has the focus after each step, since whoever cannot see where it is has to begin again."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from blobs import draw
from web.conftest import Served, serving
from web.waiting import ready, settled, until


@pytest.fixture
def served(tmp_path: Path) -> Any:
    """Serve three photos of children, and an album of them."""

    def library(folder: Path) -> None:
        for number in range(3):
            draw(folder / f"child{number}.png", (5, 0), seed=number)

    with serving(tmp_path / "served", library) as one:
        one.plugin.save_album("Kids", "children")
        yield one


def focused(page: Any, selector: str, words: str = "") -> None:
    """Wait until what has the focus is what it should be, and is seen."""
    settled(page)
    what = "([selector, words]) => document.activeElement.matches(selector) && document.activeElement.checkVisibility()"
    page.wait_for_function(f"{what} && document.activeElement.textContent.includes(words)", arg=[selector, words])


def test_what_an_answer_takes_away_leaves_the_focus_where_it_was(page: Any, served: Served, tmp_path: Path) -> None:
    for name in ("Summer", "Summer/Beach"):
        draw(tmp_path / "more" / name / "photo.png", (6, 0), seed=len(name))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{served.url}/choose?path={tmp_path / 'more'}")  # its answer alone: where the picker goes on from
    page.goto(f"{served.url}/indexing")
    ready(page)
    page.locator("#chooser summary").press("Enter")
    page.locator(".entries").wait_for()
    for folder in (tmp_path, tmp_path / "more", tmp_path / "more" / "Summer"):
        page.evaluate(
            "path => htmx.ajax('GET', `${base}/choose?path=${encodeURIComponent(path)}`, '#choose')",
            str(folder.parent),
        )
        entry = page.locator(".entries button", has_text=folder.name).first
        entry.focus()
        entry.press("Enter")
        page.get_by_role("button", name=f"Add “{folder.name}”").wait_for()
        focused(page, ".entries")
    page.get_by_role("button", name="Add “Summer”").press("Enter")
    focused(page, "#run-photos", "See the photos")
    page.get_by_text("Done: 2 new photos with 2 faces").wait_for()
    # A button that means nothing for a while says so, and keeps the focus.
    page.locator("#run-start").press("Enter")
    page.get_by_text("5 unchanged").wait_for()
    focused(page, "#run-start", "Look for new photos")
    assert page.locator("#run-people").is_hidden(), "no new faces"

    page.goto(f"{served.url}/")
    ready(page)
    page.locator(".tile a").nth(1).focus()
    name = page.evaluate("document.activeElement.href")
    page.evaluate("htmx.ajax('GET', `${base}/`, {source: '#results', target: '#results', swap: 'innerHTML'})")
    focused(page, ".tile a")
    assert page.evaluate("document.activeElement.href") == name

    page.goto(f"{served.url}/album/1")
    ready(page)
    page.get_by_role("button", name="Share", exact=True).press("Enter")
    page.get_by_role("button", name="Stop sharing").wait_for()
    focused(page, "#album button, #album a, #album summary")
    page.locator("details.menu summary").press("Enter")
    page.locator("#album-name").fill("Ours")
    page.locator("#album-name").press("Enter")
    page.get_by_role("heading", name="Ours").wait_for()
    focused(page, "summary", "Change")


def test_escape_ends_a_selection_before_it_leaves_the_album(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/album/1")
    ready(page)
    page.keyboard.press("v")
    page.locator(".tile a").first.press(" ")
    page.keyboard.press("Escape")
    page.locator("#selected").wait_for(state="hidden")
    assert page.url.endswith("/album/1")
    page.keyboard.press("v")
    page.locator("#selected-none").press("Enter")
    focused(page, "#select")
    page.keyboard.press("Escape")
    page.wait_for_url("**/albums")


def test_photos_that_a_run_left_behind_are_named_after_a_start(page: Any, served: Served) -> None:
    with sqlite3.connect(served.file) as connection:
        connection.execute(
            "UPDATE photos SET state = 'pending', face_count = NULL, content_hash = NULL, model_version = NULL"
        )
    page.goto(f"{served.url}/")
    page.get_by_text("3 photos were not looked at yet.").wait_for()
    page.get_by_role("link", name="Go on").click()
    ready(page)
    page.get_by_text("3 photos were not looked at yet.").wait_for()
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Done: 3 new photos with 3 faces.").wait_for()
    page.get_by_role("link", name="Name the people").wait_for()


def test_photos_of_this_day_that_come_late_move_nothing(page: Any, served: Served) -> None:
    with sqlite3.connect(served.file) as connection:
        date = "(strftime('%Y', 'now', 'localtime') - 3) || strftime('-%m-%dT12:00:00', 'now', 'localtime')"
        connection.execute(f"UPDATE photos SET taken_local = {date} WHERE id = 1")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route(re.compile("/(on-this-day|months|chips)$"), hold)
    page.set_viewport_size({"width": 500, "height": 160})
    page.goto(f"{served.url}/")
    page.locator(".grid[data-seen] .tile").first.wait_for()
    until(lambda: page.wait_for_timeout(30) or len(held) == 3)
    top = "document.querySelector('.tile').getBoundingClientRect().top + scrollY"
    before = page.evaluate(top)
    for one in held:
        with page.expect_response(one.request.url):
            one.continue_()
    settled(page)
    page.locator("#more-chips [data-chips]").first.wait_for()
    assert page.evaluate(top) == before
    assert page.locator(".memories").count() == 0
    # Out of sight they come.
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".memories").wait_for(state="attached")


def test_photos_have_their_places_before_scripts_that_are_late(page: Any, served: Served) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route(re.compile("/static/keys.js"), hold)
    page.goto(f"{served.url}/", wait_until="commit")
    page.locator(".grid[data-seen] .tile").first.wait_for()
    assert page.locator(".month[data-there]").count() == 1
    until(lambda: held).pop().continue_()
    ready(page)
