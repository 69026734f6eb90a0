"""The page as a person uses it, in a real browser; what was said is read back from the database by sqlite3."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from blobs import draw
from drawn import stored
from rollcall import corrections
from web.accessibility import complaints_of_axe
from web.waiting import quiet, ready, until

PAGES = ("/", "/?q=kids", "/?q=two+childs", "/photo/{photo}", "/photo/{photo}?face={face}", "/review", "/tags")
MORE_PAGES = (
    "/tag?name=People/Children&above=0.3",
    "/insight",
    "/indexing",
    "/embed",
    "/review/alike/{face}?group=children",
)


def test_a_search_shows_what_is_meant_and_a_photo_opens(page: Any, served: Any) -> None:
    page.fill("#q", "a woman and a child")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"q=a(\+|%20)woman"))
    until(lambda: page.locator(".tile").count() == 1)
    assert "1 photo" in page.locator(".count").inner_text()
    page.locator(".tile a").click()
    page.wait_for_url(re.compile(rf"/photo/{served.photo('family.png')}\?"))
    assert page.locator("button.face").count() == 3


def test_a_query_that_is_not_understood_is_explained_where_it_was_typed(page: Any) -> None:
    page.fill("#q", "two dogs")
    page.keyboard.press("Enter")
    page.locator("#results .note").wait_for()
    text = page.locator("#results").inner_text()
    # A sign below the query points at the place, and no number has to be counted to.
    assert "two dogs\n    ^" in text and "position" not in text and 'Did you mean "dogs"?' in text


def test_scrolling_brings_all_photos_once(page: Any, serve: Any, served: Any) -> None:
    for number in range(70):
        draw(served.library / "many" / f"{number:03}.png", (50, number), seed=500 + number)
    served.plugin.index([served.library])
    page.goto(f"{served.url}/")

    def all_there() -> bool:
        page.mouse.wheel(0, 4000)
        return page.locator(".tile").count() == 101

    until(all_there)
    assert len(set(page.eval_on_selector_all(".tile a", "all => all.map(a => a.href)"))) == 101


def test_a_photo_that_shows_itself_anew_leaves_a_name_that_is_typed(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/photo/{served.photo('child.png')}?face={served.faces('child.png')[0]}")
    ready(page)
    page.locator("#who-name").press_sequentially("Mi")
    # As beside a face that was drawn and is not looked at yet.
    page.evaluate(
        """() => {
            window.held = 0;
            document.addEventListener("htmx:beforeRequest", (event) => {
                if (event.target.id === "again" && event.defaultPrevented) window.held += 1;
            });
            document.querySelector("#photo .side").insertAdjacentHTML("beforeend",
                `<p id="again" data-waits hx-get="${location.href}" hx-trigger="every 50ms" hx-target="#photo"></p>`);
            htmx.process(document.getElementById("again"));
        }"""
    )
    page.wait_for_function("() => window.held > 2")
    assert page.locator("#who-name").input_value() == "Mi"
    page.locator("#who-name").fill("")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_function("() => !document.getElementById('again')")


def test_words_of_tags_are_whole_beside_the_photo(page: Any, served: Any) -> None:
    photo = served.photo("child.png")
    served.plugin.correct(
        corrections.tag(photo, "People/Teenagers", True), corrections.tag(photo, "People/Grandchildren", True)
    )
    page.goto(f"{served.url}/photo/{photo}")
    heights = page.eval_on_selector_all(".tag span", "all => all.map(one => one.clientHeight)")
    assert len(heights) >= 2 and max(heights) < 36, "one line each"


def test_an_age_is_corrected_undone_and_done_again(page: Any, served: Any) -> None:
    (face,) = served.faces("child.png")
    page.goto(f"{served.url}/photo/{served.photo('child.png')}")
    page.locator(f"[data-face='{face}']").first.click()
    page.get_by_text("The exact age").click()
    page.locator("#age").fill("44")
    assert page.locator("#age-shown").inner_text() == "44"
    page.get_by_role("button", name="Set age").click()
    page.get_by_role("button", name="Back to the estimate").wait_for()
    ages = "SELECT age, age_source FROM v1_faces WHERE face_id = ?"
    assert served.rows(ages, face) == [(44.0, "user")]
    page.reload()
    page.keyboard.press("u")
    until(lambda: served.rows(ages, face)[0][1] == "model")
    page.get_by_text("not reviewed").or_(page.get_by_role("heading", name="1 face")).first.wait_for()
    page.wait_for_load_state("networkidle")
    page.keyboard.press("Shift+U")
    until(lambda: served.rows(ages, face) == [(44.0, "user")])


def test_gender_in_own_words_and_dismissing_a_face(page: Any, served: Any) -> None:
    mother, father, _ = served.faces("family.png")
    photo = served.photo("family.png")
    page.goto(f"{served.url}/photo/{photo}?face={mother}")
    page.get_by_label("Or in your words").fill("they")
    page.get_by_role("button", name="Set", exact=True).click()
    until(lambda: served.rows("SELECT gender FROM v1_faces WHERE face_id = ?", mother) == [("they",)])
    page.goto(f"{served.url}/photo/{photo}?face={father}")
    page.keyboard.press("x")
    until(lambda: page.locator("button.face").count() == 2)
    assert served.rows("SELECT 1 FROM v1_faces WHERE face_id = ?", father) == []
    # It is found again on its photo, and shown again by one press, which is undone as one step.
    page.goto(f"{served.url}/photo/{photo}")
    page.get_by_text("1 face is left out").click()
    until(lambda: page.locator(".dismissed img").evaluate("image => image.naturalWidth") > 0)
    page.get_by_role("button", name="Show again: left-out face 1").click()
    until(lambda: page.locator("button.face").count() == 3)
    assert page.locator(".dismissed").count() == 0
    assert served.rows("SELECT face_id FROM v1_faces WHERE face_id = ?", father) == [(father,)]
    page.keyboard.press("u")
    page.get_by_text("Undone: face shown again, family.png").wait_for()
    until(lambda: page.locator("button.face").count() == 2)


def test_a_missed_face_is_drawn_with_the_mouse(page: Any, served: Any) -> None:
    photo = served.photo("nobody.png")
    page.goto(f"{served.url}/photo/{photo}")
    page.get_by_role("button", name="Draw a missing face").click()
    frame = page.locator("#frame").bounding_box()
    x, y, width, height = (frame[name] for name in ("x", "y", "width", "height"))
    page.mouse.move(x + 0.2 * width, y + 0.3 * height)
    page.mouse.down()
    page.mouse.move(x + 0.4 * width, y + 0.7 * height, steps=4)
    page.mouse.up()
    page.locator("button.face.open").wait_for()
    ((left, top, wide, high, age),) = served.rows(
        "SELECT x, y, width, height, age FROM v1_faces WHERE photo_id = ?", photo
    )
    assert (left, top, wide, high) == pytest.approx((0.2, 0.3, 0.2, 0.4), abs=0.01)
    assert age == 33


def test_a_missed_face_is_drawn_with_the_keyboard_alone(page: Any, served: Any) -> None:
    photo = served.photo("nobody.png")
    page.goto(f"{served.url}/photo/{photo}")
    page.keyboard.press("d")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.locator("button.face.open").wait_for()
    ((left, top, wide),) = served.rows("SELECT x, y, width FROM v1_faces WHERE photo_id = ?", photo)
    assert (left, top, wide) == pytest.approx((0.38, 0.39, 0.21), abs=0.002)


def test_twenty_faces_are_reviewed_by_keyboard_and_all_of_it_is_kept(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/review")
    keys = "yncbtaoynx" * 2
    for number, key in enumerate(keys, 1):
        with page.expect_response("**/review") as answer:
            page.keyboard.press(key)
        assert answer.value.ok
        page.get_by_text(f"{number} answered").first.wait_for()
    said = served.rows("SELECT kind, value FROM corrections WHERE kind != 'undo'")
    assert len(said) == 20
    assert [kind for kind, _ in said].count("not_a_face") == 2
    page.reload()
    page.get_by_text("20 answered").first.wait_for()
    with page.expect_response("**/review"):
        page.keyboard.press("u")
    page.get_by_text("19 answered").first.wait_for()
    assert served.rows("SELECT COUNT(*) FROM corrections WHERE kind = 'undo'") == [(1,)]


def test_a_skipped_face_does_not_come_again(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/review")
    shown = page.locator("input[name=face]").first
    seen = [shown.get_attribute("value")]
    for _ in range(5):
        page.keyboard.press("s")
        until(lambda: shown.get_attribute("value") != seen[-1])
        seen.append(shown.get_attribute("value"))
    assert len(set(seen)) == 6
    assert served.rows("SELECT 1 FROM corrections") == []


def test_look_alikes_are_answered_together_and_undone_together(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/review")
    page.keyboard.press("l")
    # The keys of the page it goes to work once its scripts have run.
    page.wait_for_url("**/review/alike/**")
    page.get_by_role("heading", name="Which of these").wait_for()
    ticked = page.locator("input[name=faces]:checked").count()
    assert ticked >= 2
    page.keyboard.press("y")
    page.get_by_text(f"{ticked} faces answered in one go").first.wait_for()
    user = "SELECT COUNT(*) FROM v1_faces WHERE age_source = 'user'"
    assert served.rows(user) == [(ticked,)]
    page.keyboard.press("u")
    until(lambda: served.rows(user) == [(0,)])


def test_a_tag_is_accepted_of_all_above_a_certainty(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/tags")
    page.get_by_role("link", name="Look at the suggestions for People/Children").click()
    page.wait_for_url("**/tag?**")
    page.wait_for_load_state("networkidle")
    page.locator("#above").fill("0.5")
    button = page.get_by_role("button", name="Accept all 26")
    button.wait_for()
    button.click()
    button.wait_for(state="hidden")
    page.locator("#preview").get_by_text("Suggested from 50% on: 0 photos.").wait_for()
    assert page.get_by_role("button", name="Accept all").count() == 0  # there is nothing to accept
    accepted = "SELECT COUNT(*) FROM v1_tags WHERE tag = 'People/Children' AND state = 'applied' AND source = 'user'"
    assert served.rows(accepted) == [(26,)]


def test_indexing_is_shown_as_it_goes_and_a_folder_is_added(page: Any, served: Any, tmp_path: Path) -> None:
    draw(tmp_path / "more" / "c.png", (6, 0), seed=90)
    page.goto(f"{served.url}/indexing")
    page.get_by_label("Or type its path").fill("nowhere")
    page.get_by_role("button", name="Add this folder").click()
    # A refusal is an answer that the browser notes in its console; it is no fault of the page.
    page.locator("#folder-problem").get_by_text("whole path").wait_for()
    page.get_by_label("Or type its path").fill(str(tmp_path / "more"))
    page.get_by_role("button", name="Add this folder").click()
    page.get_by_text("1 of 1 photos").first.wait_for()
    until(lambda: served.rows("SELECT 1 FROM v1_photos WHERE path = 'c.png' AND state = 'indexed'"))


def test_failures_are_listed_and_tried_again(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/insight")
    assert "broken.jpg" in page.locator("#failures").inner_text()
    (served.library / "broken.jpg").unlink()
    draw(served.library / "whole.png", (9, 0), seed=91).rename(served.library / "broken.jpg")
    page.get_by_role("button", name="Try them again").click()
    until(lambda: served.rows("SELECT 1 FROM v1_photos WHERE path = 'broken.jpg' AND state = 'indexed'"))


def test_axe_finds_nothing_serious_on_any_page_and_nothing_is_wider_than_a_phone(chromium: Any, shared: Any) -> None:
    # The checks are put into the page from outside, which its policy would forbid.
    context = chromium.new_context(viewport={"width": 1100, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{shared.url}/?token={shared.token}")
    face = shared.faces("maybe/00.png")[0]
    found = []
    for address in (*PAGES, *MORE_PAGES):
        page.goto(shared.url + address.format(photo=shared.photo("maybe/00.png"), face=face))
        quiet(page)
        found += [
            (address, scheme, one["id"], one["nodes"][0]["html"][:200])
            for scheme, one in complaints_of_axe(page)
            if one["impact"] in ("serious", "critical")
        ]
        page.set_viewport_size({"width": 360, "height": 700})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > 360:
            found.append((address, "", "wide", wide))
        page.set_viewport_size({"width": 1100, "height": 800})
    context.close()
    assert found == []


def test_boxes_lie_on_the_faces_in_every_orientation_and_size_of_window(page: Any, served: Any) -> None:
    from PIL import Image

    draw(served.library / "plain.png", (20, 0), seed=93)
    import numpy as np

    with Image.open(served.library / "plain.png") as image:
        upright = np.asarray(image.convert("RGB"))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = Image.fromarray(stored(upright, orientation))
        turned.save(served.library / f"turned{orientation}.webp", lossless=True, exif=exif)
    served.plugin.index([served.library])
    for width in (360, 800, 1500):
        page.set_viewport_size({"width": width, "height": 700})
        for orientation in range(1, 9):
            page.goto(f"{served.url}/photo/{served.photo(f'turned{orientation}.webp')}")
            picture = page.locator("#picture").bounding_box()
            box = page.locator("button.face").bounding_box()
            # The square that was drawn: 30 x 30 pixels at (10, 50) of 200 x 120.
            middle = (box["x"] + box["width"] / 2 - picture["x"], box["y"] + box["height"] / 2 - picture["y"])
            assert middle[0] / picture["width"] == pytest.approx(25 / 200, abs=0.01)
            assert middle[1] / picture["height"] == pytest.approx(65 / 120, abs=0.01)


def test_a_page_that_is_not_there_says_so_to_people_and_programs(served: Any) -> None:
    assert "There is no such page." in served.client.get("/nowhere").text
    assert served.client.get("/api/nowhere").json() == {"detail": "Not Found"}


def test_tags_and_people_with_quotes_in_their_names_lead_to_their_photos(served: Any) -> None:
    photo, face = served.photo("child.png"), served.faces("child.png")[0]
    served.plugin.correct(corrections.tag(photo, 'The "big" one/“Sea”', True))
    person = served.plugin.name_face(face, 'Jo "the “Cat”"').person_id
    for page in ("/tags", f"/person/{person}"):
        text = served.client.get(page).text
        (link,) = re.findall(r'href="[^"]*(/\?q=(?:tag%3A%22The\+[^"]*Sea|person)[^"]*)"', text)
        assert f"/photo/{photo}?" in served.client.get(link.replace("&amp;", "&")).text
    # Names may have commas, which separate others.
    form = {"what": "names", "name": "Miller, Jo"}
    served.plugin.name_person(person, "Miller, Jo")
    served.client.post(f"/person/{person}", data=form)
    assert served.plugin.person(person).names == ("Miller, Jo",)
    served.client.post(f"/person/{person}", data=form | {"name": "Jo, Miller, Jo ,Joanna"})
    assert served.plugin.person(person).names == ("Jo", "Miller, Jo", "Joanna")
