"""Looking at photos: enlarging, keys, filters, months; and choosing the first folder."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blobs import draw
from rollcall.web import names
from web.waiting import until


def ready(page: Any) -> None:
    """Wait until the page's scripts have begun, and what the server does is known."""
    until(lambda: page.evaluate("Boolean(window.htmx && window.rollcallProgress?.())"))


def test_a_photo_is_enlarged_sharp_and_closed_again(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/photo/{served.photo('family.png')}")
    page.wait_for_load_state("networkidle")
    page.locator("#picture").dblclick(position={"x": 5, "y": 5})
    viewer = page.locator("dialog.viewer")
    viewer.wait_for()
    page.mouse.wheel(0, -600)
    page.locator("dialog.viewer.enlarged img[data-sharp]").wait_for()
    page.keyboard.press("0")
    page.locator("dialog.viewer:not(.enlarged)").wait_for()
    page.keyboard.press("ArrowRight")  # the next photo, as large
    page.wait_for_url(re.compile(rf"/photo/(?!{served.photo('family.png')}$)"))
    until(lambda: page.evaluate("document.querySelector('.viewer img').src === document.getElementById('picture').src"))
    page.keyboard.press("Escape")
    viewer.wait_for(state="detached")
    assert "/photo/" in page.url


def test_a_slideshow_stays_in_the_full_screen_while_photos_follow_each_other(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/photo/{served.photo('family.png')}")
    ready(page)
    page.keyboard.press("p")
    until(lambda: page.evaluate("document.fullscreenElement?.parentElement.className === 'viewer'"))
    page.evaluate("window.stays = true")
    seen = [page.url]
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
        until(lambda: page.evaluate("location.href") not in seen)
        seen.append(page.evaluate("location.href"))
        name = page.locator("aside h1").inner_text()
        until(lambda name=name: page.locator(".viewer img").get_attribute("alt") == name)
        assert name in page.title()
    assert page.evaluate("window.stays && document.fullscreenElement?.parentElement.className === 'viewer'")
    page.keyboard.press("Escape")
    page.locator("dialog.viewer").wait_for(state="detached")
    page.keyboard.press("d")  # what is behind the viewer is as good as a page that was opened
    page.locator("#frame.drawable").wait_for()


def test_a_question_mark_shows_the_keys_of_the_page(page: Any, served: Any) -> None:
    page.wait_for_load_state("networkidle")
    page.keyboard.press("?")
    page.locator("#keys").get_by_text("go to the search box").wait_for()
    assert not page.locator("#keys").get_by_text("draw a missing face").is_visible()
    page.keyboard.press("Escape")
    page.locator("#keys").wait_for(state="hidden")


def test_filters_write_the_query_and_leave_it_again(page: Any, served: Any) -> None:
    page.locator("[data-chips]").first.wait_for()  # what depends on the library is there, too
    page.get_by_role("button", name="children", exact=True).click()
    page.wait_for_url("**q=children*")
    page.get_by_role("button", name="two people").click()
    page.wait_for_url("**faces*2*")
    page.get_by_role("button", name="one person").click()
    page.wait_for_url("**faces*1*")
    assert page.locator("#q").input_value() == "children faces:1"
    page.get_by_label("Folder").select_option(label="maybe")
    page.wait_for_url("**maybe*")
    assert page.locator("#q").input_value() == 'children faces:1 path:"maybe/*"'
    assert page.locator("#results [role=alert]").count() == 0
    page.get_by_role("button", name="children", exact=True).click()
    until(lambda: page.locator("#q").input_value() == 'faces:1 path:"maybe/*"')


def years(folder: Path) -> None:
    for year in range(2001, 2021):
        for month in (2, 9):
            for number in range(3):
                draw(folder / f"IMG_{year}{month:02}1{number}_101010.png", (30, 0), seed=year * 100 + month + number)


def test_any_month_is_reached_in_one_movement_and_photos_lie_under_their_months(serve: Callable, chromium: Any) -> None:
    served = serve(years)
    page = chromium.new_context(viewport={"width": 1100, "height": 800}).new_page()
    page.goto(f"{served.url}/?token={served.token}")
    page.locator("#scrub").wait_for()
    assert page.locator(".month h2").first.inner_text() == "September 2020"
    box = page.locator("#scrub").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 0.5 * box["height"])
    page.wait_for_url("**until=20*")
    month = re.findall(r"until=(\d{4}-\d\d)", page.url)[0]
    assert "2008" < month < "2013"
    page.locator(f".month[data-month='{month}']").wait_for()
    # It stands right below the bar.
    top = f"document.querySelector('.month[data-month=\"{month}\"]').getBoundingClientRect().top"
    bar = page.locator(".bar").bounding_box()["height"]
    until(lambda: bar < page.evaluate(top) < bar + 60)
    # Upwards lie the newer ones, which come when they are looked for and move it nowhere.
    page.mouse.wheel(0, -200)
    until(lambda: page.locator(".month").first.get_attribute("data-month") > month)
    until(lambda: bar < page.evaluate(top) < 400)
    # No month has two headings.
    page.mouse.wheel(0, -2000)
    until(lambda: page.locator(".month").first.get_attribute("data-month") == "2020-09")
    headings = page.eval_on_selector_all(".month", "all => all.map(one => one.dataset.month)")
    assert len(headings) == len(set(headings)) and headings == sorted(headings, reverse=True)
    # Pictures of photos that made room for others are given up: the browser would go on with them first.
    page.route("**/thumb.webp**", lambda _: None)  # held
    with page.expect_request("**/thumb.webp**") as asked:
        page.goto(f"{served.url}/", wait_until="commit")
    page.locator("#scrub").wait_for()
    with page.expect_event("requestfailed", lambda failed: failed == asked.value):
        page.locator("#scrub").press("End")
    page.context.close()


def test_photos_without_a_date_come_last_and_are_reached_from_both_sides(serve: Callable) -> None:
    def library(folder: Path) -> None:
        years(folder)
        for number in range(5):
            draw(folder / f"undated{number}.png", (30, 0), seed=number)

    plugin = serve(library).plugin
    every = [hit.photo_id for hit in plugin.search("", order="date", faces=False)]
    assert plugin.months()[-1] == ("", 5) and sum(month.photos for month in plugin.months()) == len(every)
    for month in ("2020-09", "2010-05", "2001-02", ""):
        found = plugin.photos_until(month, limit=7)
        place = every.index(found[0])
        assert found == every[place : place + 7]
    for place in (0, 3, len(every) - 6, len(every) - 1):
        assert plugin.newer_photos(every[place], limit=4) == every[max(place - 4, 0) : place]


def test_an_age_is_corrected_with_one_touch(page: Any, served: Any) -> None:
    (face,) = served.faces("child.png")
    page.goto(f"{served.url}/photo/{served.photo('child.png')}?face={face}")
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="teen", exact=True).click()
    page.locator(".touch [aria-pressed=true]").wait_for()
    ages = "SELECT age_low, age_high, age_source FROM v1_faces WHERE face_id = ?"
    assert served.rows(ages, face) == [(13, 19, "user")]
    page.keyboard.press("a")
    until(lambda: served.rows(ages, face) == [(20, 59, "user")])


def test_the_first_folder_is_chosen_from_what_this_machine_has(
    serve: Callable, chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_PICTURES_DIR", str(tmp_path / "home" / "Pictures"))
    draw(tmp_path / "home" / "Pictures" / "summer" / "a.png", (6, 0), seed=90)
    (tmp_path / "home" / "Pictures" / ".hidden").mkdir()
    served = serve(lambda folder: draw(folder / "one.png", (30, 0)))
    page = chromium.new_context().new_page()
    page.goto(f"{served.url}/?token={served.token}")
    page.goto(f"{served.url}/indexing")
    page.get_by_text("Choose a folder").click()
    page.locator("#choose .entries").get_by_role("button", name="summer 1 photo").click()
    assert page.get_by_role("button", name=".hidden").count() == 0
    page.get_by_role("button", name="Add “summer”").click()
    page.locator("#folders").get_by_text("summer").wait_for()
    page.get_by_text("Done: 1 new photo with 1 face").wait_for()
    page.context.close()


def test_a_folder_of_this_machine_that_cannot_be_opened_says_so(shared: Any) -> None:
    assert "not there any more" in shared.client.get("/choose", params={"path": "/no/such/folder"}).text
    assert "not there any more" in shared.client.get("/choose", params={"path": "x\x00y"}).text


def test_a_folder_is_removed_from_the_library_and_what_was_entered_comes_back_with_it(page: Any, served: Any) -> None:
    face = served.faces("child.png")[0]
    served.client.post(
        f"/photo/{served.photo('child.png')}/say",
        data={"what": "age", "face": face, "low": 44},
        headers={"HX-Request": "true"},
    )
    page.goto(f"{served.url}/indexing")
    ready(page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove").click()
    page.locator("#toasts").get_by_text("32 photos").wait_for()
    until(lambda: page.locator("#folders").inner_text().strip() == "None yet.")
    assert served.rows("SELECT 1 FROM v1_photos") == [] and (served.library / "child.png").exists()
    served.plugin.index([served.library])
    ages = "SELECT age FROM v1_faces JOIN v1_photos USING (photo_id) WHERE path = 'child.png'"
    assert served.rows(ages) == [(44.0,)]


def test_several_photos_are_selected_and_tagged_as_one_step(page: Any, served: Any) -> None:
    ready(page)
    tiles = page.locator(".tile")
    tiles.nth(0).click(modifiers=["ControlOrMeta"])
    tiles.nth(3).click(modifiers=["Shift"])
    page.get_by_text("4 selected").wait_for()
    tiles.nth(1).click()
    page.get_by_text("3 selected").wait_for()
    wide = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 800})
    bar = page.locator("#selected").bounding_box()
    assert bar["height"] < 80 and bar["x"] >= 0 and bar["x"] + bar["width"] <= 390, "one row on a phone"
    page.set_viewport_size(wide)
    page.locator("#selected-tag").fill("Holiday")
    page.get_by_role("button", name="Tag", exact=True).click()
    tagged = "SELECT COUNT(*) FROM v1_tags WHERE tag = 'Holiday' AND state = 'applied'"
    until(lambda: served.rows(tagged) == [(3,)])
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    until(lambda: served.rows(tagged) == [(0,)])
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 3
    page.keyboard.press("Escape")
    page.locator("#selected").wait_for(state="hidden")


def test_photos_arrive_in_the_grid_while_they_are_looked_at(page: Any, served: Any) -> None:
    ready(page)
    page.wait_for_function("() => window.rollcallProgress()")
    draw(served.library / "arriving.png", (6, 0), seed=77)
    served.client.post("/api/index")
    page.locator("[aria-label^='arriving.png']").wait_for()
    page.locator("#toasts").get_by_text("Done: 1 new photo, 1 face").wait_for()


def test_after_the_first_run_the_slider_and_the_filters_are_there_without_a_reload(
    chromium: Any, serve: Callable
) -> None:
    served = serve(lambda folder: draw(folder / "undated.png", (30, 0)))
    page = chromium.new_context().new_page()
    page.goto(f"{served.url}/?token={served.token}")
    ready(page)
    assert page.locator("#scrub").count() == 0
    for month in (1, 4, 7):
        draw(served.library / "2019" / f"IMG_20190{month}10_101010.png", (30, 0), seed=month)
    (served.library / "none.jpg").write_bytes(b"\xff\xd8 this is none")
    served.client.post("/api/index")
    # What could not be read is no new photo.
    page.locator("#toasts").get_by_text(re.compile("^Done: 3 new photos, .* 1 file could not be read")).wait_for()
    page.locator("#scrub").wait_for()
    page.get_by_label("Year").select_option("taken:2019")
    page.wait_for_url("**taken*2019*")
    page.context.close()


def test_a_run_that_ends_between_two_reports_ends_with_the_sentence_too(page: Any) -> None:
    ready(page)
    page.wait_for_function("() => window.rollcallProgress()")
    toasts = page.locator("#toasts").get_by_text("Done: 2 new photos, 3 faces")
    for ended in (1, 2, 2):  # the second run finds as many photos as the first; nothing is new in the third report
        now = {"state": "idle", "total": 2, "done": 2, "failed": 0, "faces": 3, "ended": ended}
        page.evaluate(
            "now => document.dispatchEvent(new CustomEvent('rollcall:progress', { detail: now }))",
            {**page.evaluate("() => window.rollcallProgress()"), **now},
        )
        toasts.nth(min(ended, 2) - 1).wait_for()
    assert toasts.count() == 2
    # And leads on.
    assert page.locator("#toasts").get_by_role("link", name="Name the people").count() == 2


def test_months_of_a_single_photo_stand_side_by_side_under_their_names(serve: Callable, chromium: Any) -> None:
    def library(folder: Path) -> None:
        for year in (2018, 2019):
            for month in range(1, 13):
                draw(folder / f"IMG_{year}{month:02}10_101010.png", (30, 0), seed=year * 100 + month)
        for number in range(9):
            draw(folder / f"IMG_201711{number + 10}_101010.png", (30, 0), seed=number)

    served = serve(library)
    page = chromium.new_context().new_page()
    page.goto(f"{served.url}/?token={served.token}")
    places = """all => all.map(({dataset, firstElementChild: name, lastElementChild: {children}}) => {
      const [first, last] = [children[0], children[children.length - 1]].map((one) => one.getBoundingClientRect());
      return {month: dataset.month, name: name.innerText, under: name.getBoundingClientRect().bottom <= first.top,
              left: first.left, row: Math.round(first.top), rows: last.top > first.top,
              height: Math.round(first.height)};
    })"""
    for width, together in ((1200, 3), (390, 2)):
        page.set_viewport_size({"width": width, "height": 800})
        until(lambda: page.locator(".month.whole").count() == 24)
        found = page.eval_on_selector_all(".month", places)
        small = [one for one in found if one["month"] > "2018"]
        rows = {one["row"]: [other for other in small if other["row"] == one["row"]] for one in small}
        assert max(map(len, rows.values())) >= together and len(rows) <= 24 / together
        # Each under its name, in the order of time, and as high as its neighbours.
        assert all(one["under"] and one["name"] for one in found)
        assert [one["month"] for one in found] == sorted((one["month"] for one in found), reverse=True)
        for row in rows.values():
            assert [one["left"] for one in row] == sorted(one["left"] for one in row)
            assert max(one["height"] for one in row) - min(one["height"] for one in row) <= 1
        # A month of many photos has rows of its own.
        large = found[-1]
        assert large["rows"] and large["row"] > max(rows)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()


def test_the_slider_at_the_edge_shows_where_one_has_scrolled_to(serve: Callable, chromium: Any) -> None:
    served = serve(years)
    page = chromium.new_context(viewport={"width": 1100, "height": 800}).new_page()
    page.goto(f"{served.url}/?token={served.token}")
    page.locator("#scrub").wait_for()
    page.locator(".month").nth(12).scroll_into_view_if_needed()
    # Asked in one moment: photos that come meanwhile move what is seen.
    both = """() => { const slider = document.getElementById("scrub");
        const months = [...document.querySelectorAll(".month")];
        const seen = months.find((one) => one.getBoundingClientRect().bottom > 120).dataset.month;
        return slider.value >= 4 && slider.dataset.months.split(" ")[slider.value] === seen; }"""
    until(lambda: page.evaluate(both))
    page.context.close()


@pytest.mark.parametrize("where", ["results", "album"])
def test_scrolling_up_from_a_place_in_results_brings_photos_and_not_a_second_page(
    serve: Callable, chromium: Any, where: str
) -> None:
    served = serve(years)
    album = served.plugin.save_album("Grown", "adults").album_id
    page = chromium.new_context(viewport={"width": 1100, "height": 800}).new_page()
    page.goto(f"{served.url}/?token={served.token}")
    path = f"/album/{album}?at=100" if where == "album" else "/?q=adults&order=date&sure=0.5&at=100"
    page.goto(served.url + path)
    page.mouse.wheel(0, 100)
    until(lambda: page.mouse.wheel(0, -3000) or page.locator(".tile").count() == 120)
    assert page.locator("main").count() == page.locator("h1").count() == 1
    assert page.eval_on_selector_all(".tile", "all => all.map(one => Number(one.dataset.at))") == list(range(120))
    page.context.close()


def test_a_link_to_a_search_is_sorted_as_was_chosen_last(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/?q=kids")
    page.get_by_label("Sort").select_option("date")
    page.wait_for_url("**order=date*")
    page.goto(f"{served.url}/?q=adults")
    page.wait_for_url("**q=adults&order=date")
    until(lambda: page.locator(".month").count())
    assert page.get_by_label("Sort").input_value() == "date"
    page.go_back()
    page.wait_for_url("**q=kids*")


@pytest.mark.parametrize(
    ("query", "name"),
    [('person:"Anna"', "Anna"), ('tag:"People/Children" 2019', "Children 2019"), ("two kids", "two kids")],
)
def test_an_album_is_called_by_the_words_of_its_search(query: str, name: str) -> None:
    assert names.suggested_name(query) == name


def test_the_way_back_leads_to_the_place_of_a_photo_though_it_has_left_the_results(page: Any, served: Any) -> None:
    here = "document.activeElement.closest('.tile')?.dataset.at"
    number = served.plugin.search("kids", min_probability=0.05)[12].photo_id
    page.goto(f"{served.url}/?q=kids&sure=0.05&at=12#photo-{number}")
    until(lambda: page.evaluate(here) == "12")
    page.goto(f"{served.url}/")
    page.goto(f"{served.url}/?q=kids&sure=0.05&at=14#photo-99999")
    until(lambda: page.evaluate(here) == "14")


def test_paper_has_the_photo_and_nothing_to_press(page: Any, served: Any) -> None:
    number = served.plugin.search("kids", limit=1)[0].photo_id
    page.goto(f"{served.url}/photo/{number}")
    page.locator("#frame[data-sized]").wait_for()
    page.emulate_media(media="print")
    assert page.locator("#picture").is_visible() and page.locator("h1").is_visible()
    assert not page.locator("button, input, nav a").locator("visible=true").all_inner_texts()
