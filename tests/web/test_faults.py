"""What a family ran into, each with the way it is now."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.web.translation import for_people
from web.waiting import held_one, ready, settled, until

HTMX = {"HX-Request": "true"}


# ---- In a host's frame


def test_every_page_in_a_hosts_frame_leads_to_pages_that_may_be_framed(serve: Callable) -> None:
    served = serve(**{"serve.embed_from": "http://127.0.0.1:9000"})
    framed = f"{served.url}/embed"
    todo: list[str] = [framed]
    seen: set[str] = set()
    while todo:
        address = todo.pop()
        answer = served.client.get(address)
        assert "frame-ancestors http://127.0.0.1:9000" in answer.headers["content-security-policy"], address
        text = answer.text if "html" in answer.headers["content-type"] else ""
        links = re.findall(r'(?:href|action|hx-get|hx-post)="([^"#]+)', text)
        assert [one for one in links if not one.startswith(framed.removeprefix(served.origin))] == []
        # One of each kind of page: without its numbers.
        kinds = {re.sub(r"\d+", "1", one): one for one in links if "/static/" not in one and "/choose" not in one}
        todo += [served.origin + one.replace("&amp;", "&") for kind, one in kinds.items() if kind not in seen]
        seen |= kinds.keys()
    assert any("/photo/" in one for one in seen) and any("/review" in one for one in seen)


@pytest.mark.parametrize(
    "wrong",
    [
        *("127.0.0.1:9000", "http://host/path", "http://host/", "http://a b", "ftp://host", "*", "http://*"),
        *("http://host:0", "http://host:65536", "http://-host", "http://a..b", "http://.", "http://999.1.1.1"),
        # Browsers compare no IPv6 address with what stands there: the page would open in no frame.
        *("http://[::1]:9000", "http://[:::::]", "http://h\xe4uschen.de", "http://user@host"),
    ],
)
def test_a_wrong_origin_of_a_host_is_refused_with_a_sentence(wrong: str) -> None:
    from rollcall.errors import SettingsError
    from rollcall.settings import load

    with pytest.raises(SettingsError, match="http://127.0.0.1:9000"):
        load(None, {"serve.embed_from": wrong})


def test_an_origin_of_a_host_is_taken_as_browsers_write_it() -> None:
    from rollcall.errors import SettingsError
    from rollcall.settings import load

    given = "HTTP://Photos.Local:9000, https://xn--huschen-5wa.de, http://my_host:0080"
    assert load(None, {"serve.embed_from": given}).serve.embed_from == (
        *("http://photos.local:9000", "https://xn--huschen-5wa.de", "http://my_host:80"),
    )
    with pytest.raises(SettingsError) as refused:
        load(None, {"serve.embed_from": "http://Host/"})
    # As it was typed, in one sentence.
    assert str(refused.value).startswith(
        "setting 'serve.embed_from' needs an origin as browsers show it: scheme, host and port, such as"
        " http://127.0.0.1:9000, not 'http://Host/';"
    )


# ---- The review


@pytest.mark.parametrize(("age", "likely"), [(6, "yes"), (40, "no")])
def test_look_alikes_are_asked_for_what_the_ticked_are(serve: Callable, age: int, likely: str) -> None:
    served = serve(lambda folder: draw(folder / "one.png", (age, 0)))
    (face,) = served.faces("one.png")
    text = served.client.get(f"/review/alike/{face}", params={"group": "children"}).text
    assert ("Which of these are children?" if likely == "yes" else "Which of these are not children?") in text
    primary = re.findall(r'<button class="primary" name="what" value="(\w+)"', text)
    assert primary == (["yes"] if likely == "yes" else [one for one in ("no", "younger", "older") if one in primary])
    assert "the ticked are children" in text


def test_look_alikes_are_ticked_and_sorted_by_their_likely_answer(serve: Callable) -> None:
    def library(folder: Path) -> None:
        for number, age in enumerate((12, 11, 40, 8, 35, 13)):
            draw(folder / f"{number}.png", (age, 10), seed=number)

    served = serve(library)
    face = served.faces("1.png")[0]
    text = served.client.get(f"/review/alike/{face}", params={"group": "children"}).text
    entries = re.findall(r'value="(\d+)"( checked)?>.*?<span>([\d.]+)%</span>', text)
    assert int(entries[0][0]) == face
    shares = [float(share) for _, _, share in entries[1:]]
    assert shares == sorted(shares, reverse=True) and min(shares) < 50 < max(shares)
    assert all(bool(ticked) == (float(share) >= 50) for _, ticked, share in entries)


def alike(served: Any, *faces: int, what: str) -> str:
    asked = {"faces": list(faces), "group": "children", "what": what}
    return str(served.client.post("/review/alike", data=asked, headers=HTMX).text)


def test_an_answer_for_all_touches_nothing_that_was_answered_meanwhile(serve: Callable) -> None:
    def library(folder: Path) -> None:
        for number, age in enumerate((12, 11, 13)):
            draw(folder / f"{number}.png", (age, 10), seed=number)

    served = serve(library)
    first, second, third = (served.faces(f"{number}.png")[0] for number in range(3))
    served.plugin.correct(corrections.age(second, 71), by="host")
    text = alike(served, first, second, third, what="yes")
    assert "2 faces answered in one go" in text and "1 was answered meanwhile and stays as it is" in text
    ages = dict(served.rows("SELECT face_id, age_low FROM v1_faces"))
    assert ages == {first: 0, second: 71, third: 0}
    # The page that asked, loaded again, asks what is asked now.
    again = served.client.get(f"/review/alike/{first}?group=children")
    assert again.status_code == 303 and again.headers["location"].endswith("/review")


def test_the_key_that_answers_for_all_leaves_what_is_not_ticked(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/review/alike/{served.faces('00.png')[0]}?group=children")
    ready(page)
    boxes = page.locator(".alike input")
    boxes.nth(2).set_checked(not boxes.nth(2).is_checked())
    shown, ticked = (
        set(page.eval_on_selector_all(which, "all => all.map(one => Number(one.value))"))
        for which in (".alike input", ".alike input:checked")
    )
    assert ticked and shown - ticked
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("y")
    page.get_by_text("answered in one go").wait_for()
    assert {row[0] for row in served.rows("SELECT face_id FROM v1_faces WHERE age_source = 'user'")} == ticked


def test_an_answer_for_none_records_nothing_and_offers_no_undo(served: Any) -> None:
    for faces in ((), (served.faces("child.png")[0],) * 2):
        text = alike(served, *faces, what="yes")
        assert ("1 face answered" if faces else "no face was ticked") in text
    assert "answered in one go" not in alike(served, what="younger")
    assert "no face was ticked" in alike(served, served.faces("child.png")[0], what="yes")
    assert len(served.plugin.corrections(limit=9)) == 1


def answer(served: Any, face: int, group: str, what: str) -> str:
    return str(served.client.post("/review", data={"face": face, "group": group, "what": what}, headers=HTMX).text)


def test_no_for_teenagers_asks_younger_or_older_and_never_the_same_again(serve: Callable) -> None:
    def library(folder: Path) -> None:
        draw(folder / "a.png", (19, 10), seed=1)
        draw(folder / "b.png", (13, 10), seed=2)

    served = serve(library, **{"tags.children": "", "tags.seniors": "", "tags.adults": ""})
    face, other = served.faces("a.png")[0], served.faces("b.png")[0]
    question, further = "Is this a teenager?", "Not teenagers: younger or older?"
    assert question in served.client.get("/review").text
    text = answer(served, face, "teenagers", "no")
    # Also when the page is loaded again.
    for shown in (text, served.client.get("/review").text):
        assert further in shown and question not in shown and 'value="older"' in shown
    # Also after something else was answered and undone.
    answer(served, other, "teenagers", "child")
    assert further in answer(served, other, "teenagers", "undo")
    # What was answered by mistake is taken back before anything is recorded, and what was recorded by undo.
    assert question in answer(served, face, "teenagers", "take_back")
    answer(served, face, "teenagers", "no")
    answer(served, face, "teenagers", "younger")
    assert served.plugin.face(face).age_source == "user"
    text = answer(served, other, "teenagers", "undo")
    assert question in text or further in text
    answer(served, other, "teenagers", "skip")
    assert further in served.client.get("/review").text
    answer(served, face, "teenagers", "older")
    rows = served.rows("SELECT age_low, age_source FROM v1_faces WHERE face_id = ?", face)
    assert rows == [(20, "user")]


def test_an_answer_to_a_question_that_was_answered_meanwhile_changes_nothing(served: Any) -> None:
    face = served.faces("child.png")[0]
    served.plugin.correct(corrections.age(face, 71), by="host")
    for what in ("yes", "no", "not_a_face", "older"):
        assert "1 was answered meanwhile and stays as it is" in answer(served, face, "teenagers", what)
    assert len(served.plugin.corrections(limit=9)) == 1
    assert served.plugin.face(face).age_interval == (71, 71)


def test_what_was_skipped_does_not_wait_where_nothing_waits(serve: Callable) -> None:
    served = serve(lambda folder: draw(folder / "a.png", (13, 10), seed=1))
    (face,) = served.faces("a.png")
    assert "1 photo waits" in served.client.get("/review").text
    text = served.client.post("/review", data={"face": face, "group": "children", "what": "skip"}, headers=HTMX).text
    assert "Nothing waits for you" in text and "photo waits" not in text and '<progress max="1" value="0"' in text
    assert 'href="/tags"' in text.replace(served.url.removeprefix(served.origin), "")


# ---- Undo


def test_undo_names_what_it_undid_and_offers_the_way_back(served: Any) -> None:
    photo, face = served.photo("child.png"), served.faces("child.png")[0]
    served.client.post(f"/photo/{photo}/say", data={"what": "age", "face": face, "low": 44}, headers=HTMX)
    text = served.client.post("/undo", headers=HTMX).text
    assert "Undone: age 44, child.png" in text and '/redo" hx-swap' in text
    assert "Done again: age 44" in served.client.post("/redo", headers=HTMX).text


def test_undo_leaves_what_a_host_recorded_later(served: Any) -> None:
    photo, face = served.photo("child.png"), served.faces("child.png")[0]
    served.client.post(f"/photo/{photo}/say", data={"what": "age", "face": face, "low": 44}, headers=HTMX)
    served.plugin.correct(corrections.gender(face, "they"), by="host")
    assert "Undone: age 44" in served.client.post("/undo", headers=HTMX).text
    assert served.rows("SELECT gender FROM v1_faces WHERE face_id = ?", face) == [("they",)]


def test_a_photo_that_is_open_twice_shows_what_was_done_in_the_other_tab(page: Any, served: Any) -> None:
    address = f"{served.url}/photo/{served.photo('child.png')}"
    page.goto(address)
    other = page.context.new_page()
    other.goto(address)
    ready(page)
    ready(other)
    other.locator("#new-tag").fill("from the other tab")
    other.keyboard.press("Enter")
    page.locator(".tag", has_text="from the other tab").wait_for()
    # What is typed there, or drawn, is not taken away by it.
    page.locator("#draw").click()
    other.locator("#new-tag").fill("another one")
    other.keyboard.press("Enter")
    other.locator(".tag", has_text="another one").wait_for()
    page.wait_for_timeout(300)
    assert page.locator("#frame.drawable").is_visible()


def test_nothing_left_to_undo_is_a_message_over_the_photo(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/photo/{served.photo('child.png')}")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("u")
    page.locator("#toasts").get_by_text("nothing left to undo").wait_for()
    assert page.locator("#picture").is_visible()
    assert "rollcall corrections" not in page.locator("#toasts").inner_text()


def test_the_last_step_is_undone_and_done_again_by_keys_on_pages_without_buttons_for_it(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/photo/{served.photo('child.png')}")
    ready(page)
    page.locator("#new-tag").fill("on a photo")
    page.keyboard.press("Enter")
    page.locator(".tag", has_text="on a photo").wait_for()
    settled(page)
    for address, key, message in (
        ("/", "u", "Undone: tag “on a photo"),
        ("/albums", "U", "Done again: tag “on a photo"),
        ("/tags", "u", "Undone: tag “on a photo"),
        ("/indexing", "u", "left to undo"),
    ):
        page.goto(f"{served.url}{address}")
        ready(page)
        page.keyboard.press(key)
        page.locator("#toasts").get_by_text(message).wait_for()
        page.keyboard.press("?")
        page.locator("#keys").get_by_text("undo", exact=True).wait_for()


def test_the_way_back_leads_to_what_the_message_names_and_goes_with_the_next_step(page: Any, served: Any) -> None:
    other = page.context.new_page()
    for one, name in ((page, "child.png"), (other, "nobody.png")):
        one.goto(f"{served.url}/photo/{served.photo(name)}")
        ready(one)
        for tag in ("first", "second"):
            one.locator("#new-tag").fill(f"{tag} of {name}")
            one.keyboard.press("Enter")
            one.locator(".tag", has_text=f"{tag} of {name}").wait_for()
            settled(one)
            one.locator("#picture").hover()
            one.evaluate("document.activeElement.blur()")
    offers = page.locator("#toasts").get_by_role("button", name="Redo")
    for tag in ("second", "first"):
        page.keyboard.press("u")
        page.locator("#toasts").get_by_text(f"Undone: tag “{tag} of child.png”").wait_for()
        settled(page)
        assert offers.count() == 1
    other.keyboard.press("u")
    other.locator("#toasts").get_by_text("Undone: tag “second of nobody.png”").wait_for()
    offers.click()
    page.locator("#toasts").get_by_text("Done again: tag “first of child.png”").wait_for()
    page.locator(".tag", has_text="first of child.png").wait_for()
    assert other.locator("#toasts").get_by_role("button", name="Redo").is_visible()
    page.locator("#new-tag").fill("third")
    page.keyboard.press("Enter")
    page.locator(".tag", has_text="third").wait_for()
    # A click on "Undo" of the older message would take the tag back that was set last.
    assert page.locator("#toasts form").count() == 0


# ---- Drawing


def test_a_click_draws_nothing_and_escape_leaves(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/photo/{served.photo('nobody.png')}")
    page.get_by_role("button", name="Draw a missing face").click()
    box = page.locator("#frame").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(*middle)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 5, middle[1] + 3)
    page.mouse.up()
    page.locator("h1").click()
    page.keyboard.press("Escape")
    page.locator("#frame:not(.drawable)").wait_for()
    assert served.rows("SELECT 1 FROM v1_faces WHERE photo_id = ?", served.photo("nobody.png")) == []
    assert "/photo/" in page.url


def test_a_box_is_moved_and_sized_with_the_mouse(page: Any, served: Any) -> None:
    face = served.faces("child.png")[0]
    page.goto(f"{served.url}/photo/{served.photo('child.png')}?face={face}")
    page.get_by_role("button", name="Move the box").click()
    frame, drawn = page.locator("#frame").bounding_box(), page.locator("#drawing").bounding_box()
    start = (drawn["x"] + drawn["width"] / 2, drawn["y"] + drawn["height"] / 2)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 0.25 * frame["width"], start[1], steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Take this box").click()
    box = "SELECT x, y, width FROM v1_faces WHERE face_id = ?"
    until(lambda: served.rows(box, face)[0][0] > 0.2)
    assert served.rows(box, face)[0] == pytest.approx((0.3, 50 / 120, 0.15), abs=0.01)


def test_a_small_box_is_moved_by_its_middle_and_goes_by_small_steps(page: Any, served: Any) -> None:
    face = served.faces("group.png")[2]
    page.set_viewport_size({"width": 200, "height": 500})
    page.goto(f"{served.url}/photo/{served.photo('group.png')}?face={face}")
    ready(page)
    page.get_by_role("button", name="More", exact=True).click()
    page.locator("#move").click()
    page.locator("#frame").scroll_into_view_if_needed()
    before = page.locator("#drawing").bounding_box()
    assert before["width"] < 28  # less than what is taken for its two edges of a large one
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y + 6, steps=3)
    page.mouse.up()
    moved = page.locator("#drawing").bounding_box()
    assert (moved["width"], moved["height"]) == pytest.approx((before["width"], before["height"]), abs=0.5)
    assert (moved["x"] - before["x"], moved["y"] - before["y"]) == pytest.approx((20, 6), abs=0.5)
    for _ in range(8):
        page.keyboard.press("Shift+ArrowLeft")
    narrow = page.locator("#drawing").bounding_box()
    page.keyboard.press("ArrowRight")
    step = page.locator("#drawing").bounding_box()["x"] - narrow["x"]
    assert 0 < step < narrow["width"] / 4


def test_the_right_button_draws_nothing(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/photo/{served.photo('nobody.png')}")
    ready(page)
    page.get_by_role("button", name="Draw a missing face").click()
    box = page.locator("#frame").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + 120, box["y"] + 90, steps=3)
    page.mouse.up(button="right")
    assert page.locator("#frame.drawable").is_visible()


def test_a_second_finger_moves_nothing_and_a_box_has_a_smallest_size(page: Any, served: Any) -> None:
    face = served.faces("child.png")[0]
    page.goto(f"{served.url}/photo/{served.photo('child.png')}?face={face}")
    ready(page)
    page.locator("#move").click()
    before = page.locator("#drawing").bounding_box()
    send = page.context.new_cdp_session(page).send
    first = {"id": 1, "x": before["x"] + before["width"] / 2, "y": before["y"] + before["height"] / 2}
    second = {"id": 2, "x": first["x"] + 60, "y": first["y"] - 40}
    moved = {**first, "x": first["x"] + 30, "y": first["y"] + 20}
    for kind, points in (
        ("touchStart", [first]),
        ("touchMove", [moved]),
        ("touchStart", [moved, second]),
        ("touchMove", [moved, {**second, "x": second["x"] - 90, "y": second["y"] + 70}]),
        ("touchEnd", [moved]),
        ("touchEnd", []),
    ):
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    after = page.locator("#drawing").bounding_box()
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((30, 20), abs=0.5)
    assert (after["width"], after["height"]) == pytest.approx((before["width"], before["height"]), abs=0.5)
    # A box that nobody could take hold of again would be lost.
    for key in ("Shift+ArrowLeft", "Shift+ArrowUp"):
        for _ in range(45):
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    size = "SELECT width, height FROM v1_faces WHERE face_id = ?"
    until(lambda: served.rows(size, face)[0][0] < 0.01)
    assert served.rows(size, face)[0] == pytest.approx((0.005, 0.005), abs=1e-4)


# ---- Folders


class SlowAnalyzer(BlobAnalyzer):
    """Waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def analyze(self, pictures: Sequence[Any]) -> list[Any]:
        assert self.go.wait(30)
        return super().analyze(pictures)


def test_a_folder_that_is_added_during_a_run_joins_the_queue_and_is_listed(served: Any, tmp_path: Path) -> None:
    slow = SlowAnalyzer()
    served.plugin.service.indexer.tools.analyzer = slow
    draw(served.library / "new.png", (30, 0), seed=50)
    draw(tmp_path / "second" / "b.png", (6, 0), seed=51)
    assert served.client.post("/api/index").json() is True
    assert served.client.post("/api/folders", json={"path": str(tmp_path / "second")}).json() is True
    text = served.client.get("/indexing").text
    assert str(tmp_path / "second") in text and "waits for its turn" in text
    slow.go.set()
    until(lambda: served.rows("SELECT 1 FROM v1_photos WHERE path = 'b.png' AND state = 'indexed'"))
    until(lambda: served.client.get("/api/status").json()["state"] == "idle")
    assert "waits for its turn" not in served.client.get("/indexing").text


class UnhurriedAnalyzer(BlobAnalyzer):
    """Takes its time for each photo, until it may hurry."""

    def __init__(self) -> None:
        super().__init__()
        self.hurry = threading.Event()

    def analyze(self, pictures: Sequence[Any]) -> list[Any]:
        self.hurry.wait(0.5 * len(pictures))
        return super().analyze(pictures)


def test_a_folder_is_removed_at_once_during_a_run_which_goes_on_with_the_others(served: Any, tmp_path: Path) -> None:
    unhurried = UnhurriedAnalyzer()
    served.plugin.service.indexer.tools.analyzer = unhurried
    for number in range(64):  # more than the removal would wait for
        draw(served.library / "new" / f"{number}.png", (6, 0), seed=600 + number)
    draw(tmp_path / "mistake" / "b.png", (6, 0), seed=51)
    assert served.client.post("/api/folders", json={"path": str(tmp_path / "mistake")}).json() is True
    until(lambda: served.app.state.activity.progress.ended == 1)
    until(lambda: served.client.post("/api/index").json())
    until(lambda: served.client.get("/api/status").json()["state"] == "indexing")
    answer = served.client.post("/indexing/remove", data={"path": str(tmp_path / "mistake")}, headers=HTMX)
    assert answer.status_code == 200 and "Removed from the library: 1 photo." in answer.text
    unhurried.hurry.set()
    until(lambda: served.client.get("/api/status").json()["state"] == "idle")
    until(
        lambda: served.rows("SELECT count(*) FROM v1_photos WHERE state = 'indexed' AND path LIKE 'new/%'") == [(64,)]
    )
    assert str(tmp_path / "mistake") not in served.client.get("/indexing").text


# ---- Results


def test_results_keep_their_place(page: Any, served: Any) -> None:
    for number in range(90):
        draw(served.library / "many" / f"{number:03}.png", (5, number % 20), seed=500 + number)
    served.plugin.index([served.library])
    page.goto(f"{served.url}/?q=children")
    page.wait_for_load_state("networkidle")

    def deep() -> bool:
        page.mouse.wheel(0, 3000)
        return page.locator(".tile").count() > 80

    until(deep)
    tile = page.locator(".tile").nth(70)
    name = tile.get_attribute("id")
    following = page.locator(".tile").nth(71).get_attribute("data-id")
    tile.locator("a").click()
    page.wait_for_url("**/photo/*at=70*")
    assert "children" in page.title()
    page.get_by_role("link", name="Next").click()
    page.wait_for_url(f"**/photo/{following}?*at=71*")
    page.get_by_role("link", name="Before").click()
    page.wait_for_url("**at=70*")
    page.get_by_role("link", name="Back to the results").click()
    page.wait_for_url("**/?q=children*")
    page.locator(f"#{name}").wait_for()
    until(lambda: page.locator(f"#{name}").evaluate("one => Math.abs(one.getBoundingClientRect().top) < innerHeight"))


def test_a_photo_keeps_its_neighbours_while_others_are_added_before_it(served: Any) -> None:
    asked = {"q": "faces:1", "order": "date"}
    shown = [hit["photo_id"] for hit in served.client.get("/api/search", params=asked).json()["hits"]]
    for number in range(8):
        draw(served.library / "added" / f"{number}.png", (5, number), seed=700 + number)
    served.plugin.index([served.library])
    text = served.client.get(f"/photo/{shown[1]}", params={**asked, "at": 1}).text
    now = [hit["photo_id"] for hit in served.client.get("/api/search", params=asked).json()["hits"]]
    at = now.index(shown[1])
    assert at > 4 and now[at + 1] == shown[2], "they came before it"
    assert re.search(rf'/photo/{shown[2]}\?[^"]*at={at + 1}"[^>]*rel="next"', text)
    assert re.search(rf'/photo/{shown[0]}\?[^"]*at={at - 1}"[^>]*rel="prev"', text)
    assert f'at={at}#photo-{shown[1]}"' in text, "and back to where it is now"


def test_the_page_starts_at_what_is_likely_and_goes_on_to_less_likely_ones(serve: Callable) -> None:
    def library(folder: Path) -> None:
        draw(folder / "child.png", (5, 0))
        draw(folder / "perhaps.png", (13, 10), seed=2)  # a quarter of what is known speaks for a child

    served = serve(library)
    text = served.client.get("/", params={"q": "children"}).text
    assert "child.png" in text and "perhaps.png" not in text
    (less,) = re.findall(r'class="button" href="([^"]+)">Show less likely', text)
    assert "perhaps.png" in served.client.get(served.origin + less.replace("&amp;", "&")).text


def test_a_photo_that_moved_in_the_results_leads_to_both_of_its_neighbours(shared: Any) -> None:
    numbers = [hit["photo_id"] for hit in shared.client.get("/api/search?q=faces:>0&order=date").json()["hits"]]
    assert len(numbers) >= 4
    for place in range(1, len(numbers) - 1):
        for stale in (place - 1, place, place + 1):
            page = shared.client.get(f"/photo/{numbers[place]}?q=faces:>0&order=date&at={stale}").text
            for key, beside in (("ArrowLeft", place - 1), ("ArrowRight", place + 1)):
                link = re.search(rf'href="[^"]*/photo/(\d+)[^"]*" data-key="{key}"', page)
                assert link and int(link[1]) == numbers[beside], (place, stale, key)


def test_searches_without_any_doubt_show_no_percentages_and_come_by_date(shared: Any) -> None:
    text = shared.client.get("/", params={"q": "faces:1"}).text
    assert 'class="chance"' not in text and 'id="order"' not in text and 'class="month"' in text
    assert 'class="chance"' in shared.client.get("/", params={"q": "children"}).text


# ---- Small screens, long words


def test_crowds_and_long_tags_are_no_wider_than_a_phone(page: Any, served: Any) -> None:
    draw(served.library / "crowd.png", *((30 + n, 255) for n in range(5)), seed=9)
    served.plugin.index([served.library])
    photo = served.photo("crowd.png")
    served.plugin.correct(corrections.tag(photo, "x" * 490, True))
    page.set_viewport_size({"width": 390, "height": 800})
    for address in (f"/photo/{photo}?face={served.faces('crowd.png')[-1]}", "/tags", "/"):
        page.goto(served.url + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        assert page.locator("header.bar").bounding_box()["height"] < 60
        # Words such as "Teenagers" are not cut in two.
        divided = "[...document.querySelectorAll('body *')].filter(e => getComputedStyle(e).hyphens === 'auto').length"
        assert page.evaluate(divided) == 0
        assert "\u00ad" not in page.content()


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_a_phone_at_twice_its_size_shows_no_page_wider_than_itself(page: Any, served: Any, language: str) -> None:
    photo, face = served.photo("family.png"), served.faces("family.png")[0]
    served.client.post(f"/photo/{photo}/who", data={"what": "name", "face": face, "name": "Bartholomäus"}, headers=HTMX)
    served.client.post("/albums", data={"q": "adults", "name": "Adults"}, headers=HTMX)
    page.set_extra_http_headers({"Accept-Language": language})
    page.set_viewport_size({"width": 195, "height": 400})
    wide, broken = {}, {}
    lines = """name => { const main = document.getElementById("main");
      const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
      for (let node; (node = walker.nextNode());) { const at = node.data.indexOf(name), range = document.createRange();
        if (at < 0 || node.parentElement.closest(".called-at, .who")) continue;
        range.setStart(node, at); range.setEnd(node, at + name.length);
        if (new Set([...range.getClientRects()].map(one => Math.round(one.top))).size > 1) return 2; } return 1; }"""
    for address in (
        "/?q=adults",
        "/albums",
        "/people",
        "/person/1",
        "/tags",
        "/insight",
        "/review",
        f"/photo/{photo}?face={face}",
        f"/photo/{photo}",
    ):
        page.goto(f"{served.url}{address}")
        ready(page)
        wide[address] = page.evaluate("document.documentElement.scrollWidth")
        broken[address] = page.evaluate(lines, "Bartholomäus")
    assert {address for address, number in broken.items() if number > 1} == set()
    assert {address: width for address, width in wide.items() if width > 195} == {}
    page.goto(f"{served.url}/tags")
    for width in (300, 320):
        page.set_viewport_size({"width": width, "height": 400})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_folder_that_is_removed_leaves_the_list_of_other_tabs_too(page: Any, served: Any) -> None:
    other = page.context.new_page()
    for one in (page, other):
        one.goto(f"{served.url}/indexing")
        ready(one)
    other.on("dialog", lambda asked: asked.accept())
    other.locator("#folder-list").get_by_role("button").click()
    other.locator("#folder-list").get_by_text("None yet.").wait_for()
    page.locator("#folder-list").get_by_text("None yet.").wait_for()


def test_a_tag_breaks_at_its_slash_and_not_inside_a_word(page: Any, served: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{served.url}/tags")
    lines = page.locator(".tags tbody th a").evaluate_all(
        """names => names.flatMap(name => [...name.childNodes].filter(node => node.nodeType === 3).map(node => {
        const range = document.createRange(); range.selectNodeContents(node);
        return [node.textContent, range.getClientRects().length]; }))"""
    )
    assert ["Children", 1] in lines
    assert [word for word, height in lines if height > 1] == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_panorama_takes_no_more_room_than_its_row(shared: Any) -> None:
    ratios = [float(one) for one in re.findall(r'class="tile"[^>]*data-ratio="([\d.]+)"', shared.client.get("/").text)]
    assert ratios and max(ratios) <= 2.6


# ---- Words


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("there is nothing left to undo; `rollcall corrections list` shows the log", "there is nothing left to undo"),
        ("too large; raise the setting decode.max_megapixels if it is wanted", "too large"),
        ("the file is empty; copy it again", "the file is empty; copy it again"),
        (
            "ages are not estimated (attributes.age = off), so nothing is found",
            "ages are not estimated, so nothing is found",
        ),
        ("no photo (of serve.jpg) is set; it is set by --limit", "no photo (of serve.jpg) is set"),
    ],
)
def test_commands_and_settings_are_left_out_for_people(message: str, shown: str) -> None:
    assert for_people(message) == shown


#: What nobody but an administrator knows, in all languages of the page.
TECHNICAL = (
    r"(?i)\b(?:insight|ind[ei]x\w*|indizier\w*|índice|interval\w*|embedding\w*|detector|detektor|détecteur|threshold"
    r"|schwelle\w*|umbral|seuil|blobs-1|(?:tags|serve|attributes)\.[a-z]+)\b|`|Nothing is going on|\s--[a-z]"
)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_technical_words_stand_in_technical_parts_alone(shared: Any, language: str) -> None:
    face, photo = shared.faces("child.png")[0], shared.photo("child.png")
    for address in (
        "/",
        "/?q=similar:face:999",
        "/?q=50+photos",
        "/indexing",
        "/insight",
        "/review",
        f"/review/alike/{face}?group=children",
        "/tags",
        "/people",
        "/people/questions",
        "/albums",
        "/sharing",
        "/photo/999",
        f"/photo/{photo}?face={face}",
        f"/photo/{shared.photo('broken.jpg')}",
    ):
        text = shared.client.get(address, headers={"Accept-Language": language}).text
        plain = re.sub(
            r"<details class=\"technical\">.*?</details>|<script.*?</script>|<[^>]+>", " ", text, flags=re.DOTALL
        )
        named = " ".join(re.findall(r'(?:title|aria-label|placeholder|alt)="([^"]*)"', text))
        assert re.findall(TECHNICAL, f"{plain} {named}") == [], address


# ---- Before the first photo


def test_pages_say_why_they_are_empty_and_offer_nothing_that_does_nothing(serve: Callable) -> None:
    served = serve(lambda folder: (folder / "broken.jpg").write_bytes(b"none"))
    people, review = (served.client.get(path).text for path in ("/people", "/review"))
    assert "Nobody yet" in people and "The ticked are one person" not in people and "groups below" not in people
    assert "No photo was looked at yet" in review and "undo the last answer" not in review


def test_a_run_says_that_it_is_getting_ready_until_the_first_photo(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/indexing")
    ready(page)
    # Read in the same moment: the server, too, tells how far it is.
    report = """(done) => { document.dispatchEvent(new CustomEvent("rollcall:progress", { detail: {
        state: "running", total: 9, done, skipped: 0, faces: 0, failed: 0, seconds: 3, last: "", message: "" } }));
        return ["run-state", "run-detail"].map((id) => document.getElementById(id).innerText).join(" "); }"""
    assert "Getting ready" in page.evaluate(report, 0)
    # What there is none of is not listed.
    assert page.evaluate(report, 1) == "Looking at photos … 1 of 9 photos · 3 s"


def test_a_picture_that_fails_before_the_scripts_have_begun_says_why_as_well(chromium: Any, served: Any) -> None:
    number = served.photo("child.png")
    (served.library / "child.png").unlink()
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{served.url}/?token={served.token}")
    held: list[Any] = []

    def hold(one: Any) -> None:
        held.append(one)

    page.route(re.compile(r"/library\.js"), hold)
    page.goto(f"{served.url}/photo/{number}", wait_until="commit")
    page.wait_for_function("() => document.getElementById('picture')?.complete")
    held_one(page, held).continue_()
    page.locator(".frame .unshown").get_by_text("deleted or moved").wait_for()
    context.close()


# ---- Photos that move while they are looked at


def test_a_photo_that_is_renamed_is_at_home_in_its_results_where_its_new_name_says(serve: Callable) -> None:
    def library(folder: Path) -> None:
        for number in range(1, 9):
            draw(folder / "trip" / f"2015-06-{number:02}.png", (5, 0), seed=number)

    served = serve(library)
    asked = {"q": "children", "order": "date"}

    def shown() -> list[int]:
        return [hit["photo_id"] for hit in served.client.get("/api/search", params=asked).json()["hits"]]

    before = shown()
    photo = served.photo("2015-06-05.png")
    (served.library / "trip" / "2015-06-05.png").rename(served.library / "2012-01-01.png")
    # It is not found yet: the page says so, and leads on as before.
    text = served.client.get(f"/photo/{photo}", params={**asked, "at": 3}).text
    assert "deleted or moved" in text and f"/photo/{before[4]}?" in text and f"/photo/{before[2]}?" in text
    served.plugin.index([served.library])
    now = shown()
    assert now == [*(one for one in before if one != photo), photo], "the oldest now"
    text = served.client.get(f"/photo/{photo}", params={**asked, "at": 3}).text
    assert re.search(rf'/photo/{now[-2]}\?[^"]*at=6"[^>]*rel="prev"', text) and 'rel="next"' not in text
    assert f'at=7#photo-{photo}"' in text
    # A name without a time takes none away.
    (served.library / "2012-01-01.png").rename(served.library / "holiday.png")
    served.plugin.index([served.library])
    assert shown() == now
    assert served.rows("SELECT taken_local FROM v1_photos WHERE photo_id = ?", photo)[0][0].startswith("2012-01-01")


def test_the_way_back_from_a_photo_whose_file_is_gone_leads_to_its_place_without_it(serve: Callable) -> None:
    def library(folder: Path) -> None:
        for number in range(1, 6):
            draw(folder / f"2015-06-{number:02}.png", (5, 0), seed=number)

    served = serve(library)
    photo = served.photo("2015-06-03.png")
    (served.library / "2015-06-03.png").unlink()
    served.plugin.index([served.library])
    tiles = re.findall(r'id="photo-(\d+)"', served.client.get("/", params={"near": photo}).text)
    assert tiles == [str(served.photo(f"2015-06-0{day}.png")) for day in (2, 1)]


def test_nothing_moves_while_a_photo_opens(page: Any, served: Any) -> None:
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((all) => all.getEntries().forEach((one) => { moved += one.value; }))"
        ".observe({ type: 'layout-shift', buffered: true });"
    )
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{served.url}/photo/{served.photo('family.png')}")
    ready(page)
    page.wait_for_function("document.getElementById('picture').naturalWidth > 0")
    # What was painted until now is reported with the next pictures.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("moved") < 0.02
