"""What the hands do: Escape, fingers on a phone, a selection that stays in sight, searches that come again, keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from web.waiting import ready, until


@pytest.fixture
def phone(chromium: Any, shared: Any) -> Iterator[Any]:
    """Return a page of a telephone, and what a finger does there."""
    context = chromium.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{shared.url}/?token={shared.token}")
    ready(page)
    yield page
    context.close()


def touch(page: Any, *moves: tuple[float, float], resting: Callable[[], object] = lambda: None) -> None:
    """Put a finger down at the first place, move it over the others, let it rest until something is so, and lift it."""
    send = page.context.new_cdp_session(page).send
    for number, (x, y) in enumerate(moves):
        kind = "touchMove" if number else "touchStart"
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    resting()
    send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_that_rests_selects_though_it_is_never_quite_still(phone: Any) -> None:
    box = phone.locator(".tile").nth(1).bounding_box()
    x, y = box["x"] + 30, box["y"] + 30
    touch(phone, (x, y), (x + 2, y + 1), resting=phone.get_by_text("1 selected").wait_for)
    # Nor does it select no more, or open the photo, as it is lifted.
    phone.evaluate("new Promise(requestAnimationFrame)")
    assert phone.get_by_text("1 selected").is_visible() and "/photo/" not in phone.url


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


def test_seldom_used_tools_wait_behind_a_button_of_phones_and_undo_keeps_the_face(phone: Any, shared: Any) -> None:
    face = shared.faces("family.png")[0]
    phone.goto(f"{shared.url}/photo/{shared.photo('family.png')}?face={face}")
    ready(phone)
    assert phone.locator("#slideshow").is_visible() and not phone.locator("#draw").is_visible()
    phone.locator("button[value=teenager]").tap()
    phone.locator("button[value=teenager][aria-pressed=true]").wait_for()
    phone.get_by_role("button", name="More").tap()
    phone.locator(".seldom").get_by_role("button", name="Undo").tap()
    phone.locator("button[value=teenager]:not([aria-pressed])").wait_for()
    # What was looked at is still open, and so are the tools.
    assert phone.locator(f".face.open[data-face='{face}']").count() == 1
    assert phone.locator("#draw").is_visible()


def test_a_slideshow_is_begun_stopped_and_turned_by_touch_alone(phone: Any, shared: Any) -> None:
    photos = [shared.photo(name) for name in ("child.png", "family.png", "nobody.png")]
    album = shared.plugin.save_album("Summer", photos=photos).album_id
    phone.goto(f"{shared.url}/album/{album}")
    ready(phone)
    phone.get_by_role("link", name="Slideshow").tap()
    viewer = phone.locator("dialog.viewer")
    viewer.wait_for()
    ready(phone)
    assert "#" not in phone.url  # loaded again, the page does not begin it anew
    first = phone.url
    player = viewer.get_by_role("button", name="Slideshow")
    assert player.get_attribute("aria-pressed") == "true" and viewer.get_by_role("button", name="Before").is_disabled()
    # Nothing lies over the photo while nobody moves.
    phone.locator("dialog.viewer.still").wait_for()
    phone.touchscreen.tap(200, 300)
    phone.locator("dialog.viewer:not(.still)").wait_for()
    player.tap()
    assert player.get_attribute("aria-pressed") == "false"
    phone.wait_for_timeout(100)
    here = phone.url
    viewer.get_by_role("button", name="Next").tap()
    phone.wait_for_url(lambda address: address != here)
    # A browser may let the touch of the link count for the page it leads to: then the slideshow fills the screen.
    whole = "document.fullscreenElement?.parentElement.className.startsWith('viewer') === true"
    filled = phone.evaluate(whole)
    for expected in [False, True] if filled else [True]:
        viewer.get_by_role("button", name="Full screen").tap()
        phone.wait_for_function(f"() => ({whole}) === {str(expected).lower()}")
    viewer.get_by_role("button", name="Close").tap()
    viewer.wait_for(state="detached")
    assert phone.url != first or here != first
    # Also from a photo.
    phone.get_by_role("button", name="Slideshow").tap()
    viewer.wait_for()
    shared.plugin.remove_album(album)


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
    # The photo's address names the search, too; a page that is closed on its way to another may stay open for ever.
    page.wait_for_url(re.compile(r"/\?q=kids"))
    ready(page)


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


def test_letters_to_press_are_shown_where_there_may_be_a_keyboard(phone: Any, chromium: Any, shared: Any) -> None:
    # The forms of the question differ; each has a button with a letter.
    letters = "[...document.querySelectorAll('#question button kbd')].map(one => one.offsetWidth > 0)"
    phone.goto(f"{shared.url}/review")
    ready(phone)
    on_phone = phone.evaluate(letters)
    assert on_phone and not any(on_phone)
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{shared.url}/?token={shared.token}")
    ready(page)
    page.goto(f"{shared.url}/review")
    ready(page)
    on_desk = page.evaluate(letters)
    context.close()
    assert on_desk and all(on_desk)


def test_what_is_written_at_a_face_is_not_cut_off_by_the_edge_of_the_picture(phone: Any, shared: Any) -> None:
    phone.goto(f"{shared.url}/photo/{shared.photo('group.png')}")
    ready(phone)
    inside = """(places) => {
      const frame = document.getElementById("frame"), edge = frame.getBoundingClientRect();
      const faces = [...frame.querySelectorAll(".face")];
      faces.forEach((face, at) => {
        const [left, top] = places[at % 4];
        Object.assign(face.style, { left, top, width: "5%", height: "5%" });
      });
      keepInside(frame);
      return faces.map((face) => face.querySelector("span").getBoundingClientRect()).every((one) =>
        one.left >= edge.left - 1 && one.right <= edge.right + 1
        && one.top >= edge.top - 1 && one.bottom <= edge.bottom + 1);
    }"""
    assert phone.evaluate(inside, [["0%", "0%"], ["95%", "0%"], ["45%", "95%"], ["49%", "0%"]])
    assert phone.evaluate(inside, [["30%", "50%"], ["40%", "50%"], ["50%", "50%"], ["60%", "50%"]])


def test_a_refusal_that_is_said_again_is_shown_once_and_drawing_is_given_up_by_a_finger(
    phone: Any, shared: Any
) -> None:
    phone.goto(f"{shared.url}/photo/{shared.photo('child.png')}")
    ready(phone)
    for _ in range(3):
        with phone.expect_response("**/say"):
            phone.keyboard.press("u")
    until(lambda: phone.locator("#toasts [role=alert]").count() == 1)
    phone.locator("#more-tools").tap()
    phone.locator("#draw").tap()
    phone.get_by_role("button", name="Cancel").tap()
    assert phone.locator("#drawn").is_hidden() and phone.locator("#frame.drawable").count() == 0
