"""What the hands do: Escape, fingers on a phone, a selection that stays in sight, searches that come again, keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from web.waiting import ready, until


@pytest.fixture
def phone(chromium: Any, shared: Any) -> Iterator[Any]:
    """Return a page of a telephone, and what a finger does there."""
    context = chromium.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(f"{shared.url}/?token={shared.token}")
    ready(page)
    yield page
    context.close()


def touch(page: Any, *moves: tuple[float, float], rest: int = 0) -> None:
    """Put a finger down at the first place, move it over the others, let it rest, and lift it."""
    send = page.context.new_cdp_session(page).send
    for number, (x, y) in enumerate(moves):
        kind = "touchMove" if number else "touchStart"
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    page.wait_for_timeout(rest)
    send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_that_rests_selects_though_it_is_never_quite_still(phone: Any) -> None:
    box = phone.locator(".tile").nth(1).bounding_box()
    x, y = box["x"] + 30, box["y"] + 30
    touch(phone, (x, y), (x + 2, y + 1), rest=600)
    phone.get_by_text("1 selected").wait_for()
    assert "/photo/" not in phone.url


def test_a_finger_goes_to_the_next_photo_enlarged_or_not(phone: Any, shared: Any) -> None:
    here = shared.photo("family.png")
    phone.goto(f"{shared.url}/photo/{here}")
    ready(phone)
    box = phone.locator("#frame").bounding_box()
    y = box["y"] + box["height"] / 2
    touch(phone, *((300 - 40 * step, y) for step in range(6)))
    phone.wait_for_url(re.compile(rf"/photo/(?!{here}$)"))
    phone.wait_for_load_state("load")
    phone.locator("#enlarge").click()
    phone.locator("dialog.viewer").wait_for()
    touch(phone, *((80 + 40 * step, 400) for step in range(6)))
    phone.wait_for_url(f"**/photo/{here}")
    phone.locator("dialog.viewer").wait_for()


def test_what_another_search_does_not_show_is_not_selected_any_more(page: Any) -> None:
    ready(page)
    page.locator(".tile").nth(0).click(modifiers=["ControlOrMeta"])
    page.keyboard.press("ControlOrMeta+a")
    every = page.locator(".tile").count()
    page.get_by_text(f"{every} selected").wait_for()
    page.locator("#q").fill("kids")
    page.locator("#q").press("Enter")
    page.wait_for_url("**q=kids*")
    page.locator("#selected").wait_for(state="hidden")
    assert page.locator(".chosen").count() == 0


def test_escape_closes_a_menu_and_an_open_face_before_it_leaves_the_page(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/?q=kids")
    ready(page)
    page.get_by_text("Save as album").click()
    page.keyboard.press("Escape")
    page.locator("#save-name").wait_for(state="hidden")
    page.locator(".tile a").first.click()
    page.locator(".frame .face").first.wait_for()
    ready(page)
    page.locator(".frame .face").first.click()
    page.locator(".face.open").wait_for()
    page.keyboard.press("Escape")
    page.locator(".face.open").wait_for(state="detached")
    assert "/photo/" in page.url
    page.keyboard.press("Escape")
    page.wait_for_url("**q=kids*")


def test_the_last_searches_are_offered_and_forgotten(page: Any, served: Any) -> None:
    for query in ("kids", "adults", "women over 90"):  # the last one finds nobody
        page.goto(f"{served.url}/?q={query}")
        ready(page)
    page.goto(f"{served.url}/")
    ready(page)
    page.locator("#q").click()
    offered = page.locator("#recent [data-again]")
    until(lambda: offered.all_inner_texts() == ["adults", "kids"])
    page.get_by_role("button", name="kids", exact=True).click()
    page.wait_for_url("**q=kids*")
    page.locator("#recent").wait_for(state="hidden")
    page.locator("#q").fill("")
    page.get_by_role("button", name="Forget them").click()
    page.locator("#recent").wait_for(state="hidden")
    assert page.evaluate("localStorage.getItem('rollcall.searches')") is None


def test_every_key_of_a_page_is_shown_also_above_an_enlarged_photo(page: Any, served: Any) -> None:
    face = served.faces("child.png")[0]
    for path in ("/people", "/review", "/people/questions", f"/photo/{served.photo('child.png')}?face={face}"):
        page.goto(served.url + path)
        ready(page)
        page.keyboard.press("?")
        page.locator("#keys").wait_for()
        shown = page.eval_on_selector_all("#keys dl > div:not([hidden]) kbd", "all => all.map(one => one.textContent)")
        names = {"ArrowLeft": "←", "ArrowRight": "→", "Escape": "Esc"}
        keys = page.eval_on_selector_all("[data-key]", "all => all.map(one => one.dataset.key)")
        assert {names.get(key, key) for key in keys if not key.isdigit()} <= set(shown), path
        page.keyboard.press("Escape")
    page.keyboard.press("f")
    page.locator("dialog.viewer").wait_for()
    page.keyboard.press("?")
    page.locator("#keys").get_by_text("play a slideshow").wait_for()
    assert not page.locator("#keys").get_by_text("draw a missing face").is_visible()
    page.keyboard.press("Escape")
    page.locator("#keys").wait_for(state="hidden")
    page.locator("dialog.viewer").wait_for()


def test_a_small_photo_fills_the_screen_when_it_is_enlarged(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/photo/{served.photo('child.png')}")
    page.wait_for_load_state("load")
    page.keyboard.press("f")
    sizes = "(({clientWidth: w, clientHeight: h}) => Math.min(innerWidth - w, innerHeight - h))"
    until(lambda: page.evaluate(f"{sizes}(document.querySelector('dialog.viewer img'))") in (0, 1))


#: How much of the page has moved by itself since it was opened: the layout shift of the web vitals.
SHIFT = """new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (!one.hadRecentInput) window.shift = (window.shift || 0) + one.value;
}).observe({ type: "layout-shift", buffered: true })"""


@pytest.mark.parametrize("size", [(1200, 800), (390, 800)])
def test_photos_do_not_move_by_themselves_while_a_page_opens(chromium: Any, shared: Any, size: tuple[int, int]) -> None:
    album = shared.plugin.save_album(f"Wide {size[0]}", "kids").album_id
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.add_init_script(SHIFT)
    page.goto(f"{shared.url}/?token={shared.token}")
    for path in ("/", "/?q=kids", f"/album/{album}"):
        page.goto(shared.url + path)
        page.locator(".tile").first.wait_for()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.shift || 0") < 0.1, path
    context.close()
