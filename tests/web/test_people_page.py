"""The pages about people, as somebody uses them in a real browser; what was said is read back by sqlite3."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from peopled import ANNA, BEN, GROUP, OTHER, STRANGER, SharpAnalyzer, add_people, draw_people
from rollcall import corrections
from rollcall.storage.tables import EmbeddingRow, FacePersonRow, PersonRow
from web.accessibility import complaints_of_axe
from web.waiting import held_one, quiet, settled, until

NAMES = "SELECT names FROM v1_people WHERE person_id = ?"
FACES = "SELECT COUNT(*) FROM v1_faces WHERE person_id = ?"


@pytest.fixture
def served(serve: Callable[..., Any]) -> Any:
    """Serve a library with people; `people` has their numbers."""
    one = serve(draw_people, SharpAnalyzer)
    one.people = add_people(one.plugin)
    return one


@pytest.fixture(scope="module")
def shared_people(serve_shared: Callable[..., Any]) -> Any:
    """Serve the same to tests that leave it as they found it."""
    one = serve_shared(draw_people, SharpAnalyzer)
    one.people = add_people(one.plugin)
    return one


def test_groups_are_named_one_after_another_with_the_keyboard_alone(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/people")
    assert "2 people" in page.locator("#people").inner_text()
    page.keyboard.press("n")
    page.keyboard.type("Carla")
    page.keyboard.press("Enter")
    page.get_by_text("Carla has a name now").first.wait_for()
    assert served.rows(NAMES, served.people[GROUP]) == [('["Carla"]',)]
    # The next group has the focus by itself, and a name that somebody has makes them one person.
    until(lambda: page.evaluate("document.activeElement.name") == "name")
    page.keyboard.type("ben")
    page.keyboard.press("Enter")
    page.get_by_text("Ben is one person with this group now").first.wait_for()
    assert served.rows(NAMES, served.people[OTHER]) == []
    assert served.rows(FACES, served.people[BEN]) == [(7,)]
    settled(page)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("u")
    page.locator("#toasts").get_by_text("Undone: two made one person").wait_for()
    assert served.rows(f"{FACES} AND person_state = 'confirmed'", served.people[BEN]) == [(4,)]


def test_a_name_that_is_typed_before_the_last_one_is_answered_goes_to_the_next_group(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/people")
    held: list[Any] = []
    page.route("**/people", lambda one: held.append(one) if one.request.method == "POST" else one.continue_())
    page.keyboard.press("n")
    page.keyboard.type("Carla")
    page.keyboard.press("Enter")
    page.keyboard.type("Do")
    until(lambda: page.evaluate("document.activeElement.value") == "Do")
    held_one(page, held).continue_()
    page.get_by_text("Carla has a name now").first.wait_for()
    settled(page)
    page.keyboard.type("ra")
    page.keyboard.press("Enter")
    held_one(page, held).continue_()
    page.get_by_text("Dora has a name now").first.wait_for()
    names = served.rows("SELECT person_id, names FROM v1_people WHERE names IN ('[\"Carla\"]', '[\"Dora\"]')")
    assert sorted(names) == sorted([(served.people[GROUP], '["Carla"]'), (served.people[OTHER], '["Dora"]')])


def test_nothing_left_to_undo_is_a_message_over_the_person(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/person/{served.people[STRANGER]}")
    page.keyboard.press("U")
    page.locator("#toasts").get_by_text("nothing to redo").wait_for()
    assert page.locator("#person h1").is_visible()


def test_a_cover_that_cannot_be_shown_leaves_the_name_readable(chromium: Any, served: Any) -> None:
    served.library.rename(served.library.with_name("unplugged"))
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{served.url}/?token={served.token}")
    page.goto(f"{served.url}/people")
    page.locator(".person .unshown").first.wait_for()
    for card in page.locator(".person:has(.unshown)").all():
        note, name = card.locator(".unshown").bounding_box(), card.locator(".name").bounding_box()
        assert note["width"] > 100 and note["y"] + note["height"] <= name["y"] + 1
        assert "plug in its disk" in card.locator(".unshown").get_attribute("title")
    context.close()


def test_one_group_dragged_onto_another_is_the_same_person(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/people")
    source = page.locator(f"[data-person='{served.people[STRANGER]}'] img")
    source.drag_to(page.locator(f"[data-person='{served.people[OTHER]}'] img"))
    page.get_by_text("one person now").first.wait_for()
    assert served.rows(FACES, served.people[OTHER]) == [(5,)]


def test_everyone_seen_on_one_day_only_is_hidden_at_once_and_shown_again(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/people")
    page.get_by_role("button", name="Hide everyone seen on one day only (1)").click()
    page.get_by_text("1 person hidden").first.wait_for()
    hidden = "SELECT hidden FROM v1_people WHERE person_id = ?"
    assert served.rows(hidden, served.people[STRANGER]) == [(1,)]
    assert served.rows("SELECT COUNT(*) FROM v1_people WHERE hidden") == [(1,)]
    page.get_by_role("link", name="1 person hidden").click()
    page.wait_for_url("**/people?hidden=true")
    page.get_by_label("Tick the group with 2 photos").check()
    page.keyboard.press("h")
    until(lambda: served.rows(hidden, served.people[STRANGER]) == [(0,)])


def test_a_row_of_proposals_is_answered_by_one_key_and_what_is_rejected_never_comes_back(
    page: Any, served: Any
) -> None:
    anna = served.people[ANNA]
    page.goto(f"{served.url}/people/review")
    page.get_by_role("heading", name="Are these Anna?").wait_for()
    shown = page.eval_on_selector_all("input[name=faces]", "all => all.map(one => Number(one.value))")
    proposed = "SELECT face_id FROM v1_faces WHERE person_id = ? AND person_state = 'proposed'"
    assert [(one,) for one in shown] == served.rows(f"{proposed} ORDER BY person_probability DESC", anna)
    page.keyboard.press("3")
    page.keyboard.press("y")
    page.get_by_text("2 faces are Anna").first.wait_for()
    assert served.rows(f"{FACES} AND person_state = 'confirmed'", anna) == [(5,)]
    page.wait_for_function("() => document.querySelectorAll('input[name=faces]').length == 1")
    page.keyboard.press("n")
    page.get_by_role("heading", name="Nobody waits").wait_for()
    assert served.rows("SELECT COUNT(*) FROM person_rejections WHERE face_id = ?", shown[2]) == [(1,)]
    assert served.rows("SELECT person_id FROM v1_faces WHERE face_id = ?", shown[2]) == [(None,)]


def test_one_answer_for_a_row_is_never_for_likely_and_unlikely_faces(page: Any, served: Any) -> None:
    anna, plugin = served.people[ANNA], served.plugin
    likely, unlikely, rejected = (face.face_id for face in plugin.person_faces(anna, state="proposed"))
    with plugin.database.write() as session:
        for face, probability in ((likely, 0.9), (unlikely, 0.4), (rejected, 0.3)):
            session.get_one(FacePersonRow, face).probability = probability
    page.goto(f"{served.url}/people/review")
    page.get_by_role("heading", name="Is this Anna?").wait_for()
    page.keyboard.press("s")
    page.get_by_role("heading", name="Are these Anna?").wait_for()
    shown = page.eval_on_selector_all("input[name=faces]", "all => all.map(one => Number(one.value))")
    assert shown == [unlikely, rejected]
    assert page.locator("button.primary[name=what]").get_attribute("value") == "no"


def test_a_question_about_a_whole_group_is_answered_by_one_key_and_undone_by_another(page: Any, served: Any) -> None:
    anna, plugin = served.people[ANNA], served.plugin
    # Two of hers stand in a group of their own.
    theirs = [face.face_id for face in plugin.person_faces(anna, state="proposed")][:2]
    with plugin.database.write() as session:
        other = PersonRow(uid="other", created_at="2020-01-01T00:00:00", size=2)
        session.add(other)
        session.flush()
        for face in theirs:
            row = session.get_one(FacePersonRow, face)
            row.person_id, row.state = other.id, "automatic"
    page.goto(f"{served.url}/people")
    page.keyboard.press("q")
    page.get_by_role("heading", name="Are these Anna?").wait_for()
    shown = page.eval_on_selector_all("input[name=faces]", "all => all.map(one => Number(one.value))")
    assert sorted(shown) == sorted(theirs)
    confirmed = f"{FACES} AND person_state = 'confirmed'"
    page.keyboard.press("y")
    page.get_by_text("This is Anna.").first.wait_for()
    assert served.rows(confirmed, anna) == [(5,)]
    page.keyboard.press("u")
    page.locator("#toasts").get_by_text("Undone: two made one person").wait_for()
    assert served.rows(confirmed, anna) == [(3,)]


def test_a_no_to_a_question_never_comes_back(served: Any) -> None:
    anna, plugin = served.people[ANNA], served.plugin
    face = plugin.person_faces(anna, state="proposed")[0].face_id
    with plugin.database.write() as session:
        row = session.get_one(FacePersonRow, face)
        row.person_id, row.state, row.probability = None, "automatic", 0.0
    text = served.client.get("/people/questions").text
    assert f'value="{face}" checked' in text
    likely = float(re.findall(r', (\d+(?:\.\d+)?)%"', text)[0]) >= 50
    assert re.findall(r'class="primary" name="what" value="(\w+)"', text) == ["yes" if likely else "no"]
    answer = served.client.post("/people/questions", data={"what": "no", "person": anna, "faces": face})
    assert "This is not Anna" in answer.text
    assert served.rows("SELECT COUNT(*) FROM person_rejections WHERE face_id = ?", face) == [(1,)]
    assert f'value="{face}" checked' not in served.client.get("/people/questions").text


def test_what_was_skipped_does_not_come_back_in_another_row(served: Any) -> None:
    anna, plugin = served.people[ANNA], served.plugin
    theirs = [face.face_id for face in plugin.person_faces(served.people[GROUP])]
    with plugin.database.write() as session:
        vector = session.get_one(EmbeddingRow, plugin.person(anna).cover_face_id).vector
        for face in theirs:
            session.get_one(EmbeddingRow, face).vector = vector
            row = session.get_one(FacePersonRow, face)
            row.person_id, row.state, row.probability = None, "automatic", 0.0

    def asked(text: str) -> list[int]:
        return [int(one) for one in re.findall(r'value="(\d+)" checked', text)]

    shown = asked(served.client.get("/people/questions").text)
    assert len(set(shown) & set(theirs)) > 1
    served.client.post("/people/questions", data={"what": "skip", "person": anna, "faces": shown[0]})
    plugin.correct(corrections.ignore(shown[0]), by="host")
    assert not set(asked(served.client.get("/people/questions").text)) & set(shown)


def test_a_face_between_two_people_is_one_of_them_or_none_by_one_key(page: Any, served: Any) -> None:
    anna, ben, plugin = served.people[ANNA], served.people[BEN], served.plugin
    face = plugin.person_faces(served.people[STRANGER])[0].face_id
    with plugin.database.write() as session:
        mean = [
            np.frombuffer(session.get_one(EmbeddingRow, plugin.person(one).cover_face_id).vector, "<f2").astype(float)
            for one in (anna, ben)
        ]
        between = mean[0] + 0.9 * mean[1]
        session.get_one(EmbeddingRow, face).vector = (between / np.linalg.norm(between)).astype("<f2").tobytes()
        row = session.get_one(FacePersonRow, face)
        row.person_id, row.state, row.probability = None, "automatic", 0.0
    page.goto(f"{served.url}/people/questions")
    page.get_by_role("heading", name="Is this Anna?").wait_for()
    page.get_by_role("button", name="b Ben").wait_for()
    page.keyboard.press("b")
    page.get_by_text("This is Ben.").first.wait_for()
    who = "SELECT person FROM v1_faces WHERE face_id = ? AND person_state = 'confirmed'"
    assert served.rows(who, face) == [("Ben",)]
    page.keyboard.press("u")
    page.get_by_role("heading", name="Is this Anna?").wait_for()
    assert served.rows(who, face) == []
    asked = {"what": "instead", "person": anna, "faces": face, "instead": served.people[GROUP]}
    assert served.client.post("/people/questions", data=asked).status_code == 422
    page.reload()
    page.get_by_role("button", name="n nobody of these").wait_for()
    page.keyboard.press("n")
    page.get_by_text("This is nobody of them.").first.wait_for()
    rejected = "SELECT person_id FROM person_rejections WHERE face_id = ? ORDER BY person_id"
    assert served.rows(rejected, face) == sorted([(anna,), (ben,)])


def test_a_person_has_a_birth_date_relatives_and_is_me(page: Any, served: Any) -> None:
    anna = served.people[ANNA]
    page.goto(f"{served.url}/person/{anna}")
    assert "also Annie" in page.locator("#person").inner_text()
    page.get_by_label("Born").fill("2010-13")
    page.keyboard.press("Enter")
    page.get_by_text("is no birth date").first.wait_for()
    page.get_by_label("Born").fill("2010-03")
    page.keyboard.press("Enter")
    page.get_by_text("born March 2010").first.wait_for()
    page.get_by_label("Whose").fill("Ben")
    page.keyboard.press("Enter")
    page.get_by_text("a child of Ben").first.wait_for()
    page.get_by_role("button", name="This is me").click()
    page.get_by_role("heading", name="Anna (me)").wait_for()
    row = "SELECT birth_date, birth_date_source, is_me FROM v1_people WHERE person_id = ?"
    assert served.rows(row, anna) == [("2010-03", "user", 1)]
    assert served.rows("SELECT * FROM person_relations") == [(anna, served.people[BEN], "child_of")]
    page.goto(f"{served.url}/?q=my+father")
    assert page.locator(".tile").count() == 4
    page.goto(f"{served.url}/person/{anna}")
    page.get_by_label("Not related to Ben").click()
    until(lambda: served.rows("SELECT * FROM person_relations") == [])


def test_an_answer_works_as_soon_as_it_is_seen(page: Any, served: Any) -> None:
    # What a page puts off comes so late here that a person has typed and sent before it.
    page.add_init_script("const set = window.setTimeout; window.setTimeout = (f, ms = 0) => set(f, ms + 700);")
    page.goto(f"{served.url}/person/{served.people[ANNA]}")
    page.get_by_label("Born").fill("2010-13")
    page.keyboard.press("Enter")
    page.get_by_text("is no birth date").first.wait_for()
    assert page.evaluate("document.activeElement.value") == "2010-13"
    page.get_by_label("Born").fill("2010-03")
    page.keyboard.press("Enter")
    page.get_by_text("born March 2010").first.wait_for()


def test_faces_that_are_ticked_become_somebody_elses(page: Any, served: Any) -> None:
    ben = served.people[BEN]
    page.goto(f"{served.url}/person/{ben}?order=oldest")
    boxes = page.locator(".choose input")
    boxes.nth(0).check()
    boxes.nth(2).click(modifiers=["Shift"])
    assert page.locator(".choose input:checked").count() == 3
    page.get_by_label("Name of who the ticked faces are").fill("Dora")
    page.get_by_role("button", name="Somebody else").click()
    page.get_by_text("3 faces of somebody else").first.wait_for()
    assert served.rows(FACES, ben) == [(1,)]
    assert served.rows("SELECT faces FROM v1_people WHERE name = 'Dora'") == [(3,)]


def test_a_person_that_is_the_same_as_another_leads_to_that_one(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/person/{served.people[GROUP]}")
    page.get_by_label("Same as").fill("Ben")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/person/{served.people[BEN]}")
    page.get_by_role("heading", name="Ben", exact=True).wait_for()
    # One photo shows both, and one of its two faces cannot be Ben.
    assert served.rows(FACES, served.people[BEN]) == [(7,)]


def test_names_stand_beside_the_faces_of_a_photo_and_one_is_typed_there(page: Any, served: Any) -> None:
    _, _, other = served.faces("02.png")
    page.goto(f"{served.url}/photo/{served.photo('02.png')}?face={other}")
    assert page.locator(".called").all_inner_texts() == ["Anna", "Ben"]
    page.get_by_label("Name", exact=True).fill("Emil")
    page.get_by_role("button", name="Set name").click()
    until(lambda: page.locator(".called").all_inner_texts() == ["Anna", "Ben", "Emil"])
    assert served.rows("SELECT person, person_state FROM v1_faces WHERE face_id = ?", other) == [("Emil", "confirmed")]
    proposed = served.faces("04.png")[0]
    page.goto(f"{served.url}/photo/{served.photo('04.png')}?face={proposed}")
    assert page.locator(".called").first.inner_text() == "Anna?"
    page.keyboard.press("y")
    until(lambda: page.locator(".called").first.inner_text() == "Anna")


def test_a_person_is_searched_from_their_page(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/person/{served.people[ANNA]}")
    page.get_by_role("link", name="All photos").click()
    page.wait_for_url(re.compile(r"q=person"))
    until(lambda: page.locator(".tile").count() == 6)
    until(lambda: page.locator("datalist#words option[value='Anna']").count() == 1)


def test_what_is_not_there_is_said(served: Any) -> None:
    before = served.rows("SELECT COUNT(*) FROM corrections")
    assert served.client.get("/person/999").status_code == 404
    answer = served.client.post("/people", data={"what": "hide"})
    assert answer.status_code == 422 and "nobody is ticked" in answer.text
    answer = served.client.post("/people", data={"what": "name", "people": served.people[GROUP], "name": " "})
    assert answer.status_code == 422 and "a name is needed" in answer.text
    answer = served.client.post(f"/person/{served.people[ANNA]}", data={"what": "merge", "name": "Nobody"})
    assert answer.status_code == 422 and "nobody is named" in answer.text
    assert served.rows("SELECT COUNT(*) FROM corrections") == before


def test_axe_finds_nothing_serious_and_nothing_is_wider_than_a_phone(chromium: Any, served: Any) -> None:
    # The checks are put into the page from outside, which its policy would forbid.
    context = chromium.new_context(viewport={"width": 1100, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{served.url}/?token={served.token}")
    face = served.faces("04.png")[0]
    found = []
    for address in (
        "/people",
        "/people?hidden=true",
        "/people/review",
        "/people/questions",
        f"/person/{served.people[ANNA]}",
        f"/person/{served.people[GROUP]}?order=likeliest",
        f"/photo/{served.photo('04.png')}?face={face}",
    ):
        page.goto(served.url + address)
        quiet(page)
        found += [
            (address, scheme, one["id"], one["impact"], one["nodes"][0]["html"][:200])
            for scheme, one in complaints_of_axe(page)
        ]
        page.set_viewport_size({"width": 390, "height": 700})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > 390:
            found.append((address, "", "wide", wide, ""))
        page.set_viewport_size({"width": 1100, "height": 800})
    context.close()
    assert found == []


def test_what_is_refused_stands_in_its_field_again_to_be_corrected(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/person/{served.people[ANNA]}")
    page.get_by_label("Born").fill("2O15")
    page.keyboard.press("Enter")
    page.get_by_text("is no birth date").first.wait_for()
    until(lambda: page.get_by_label("Born").input_value() == "2O15")
    assert page.evaluate("document.activeElement.id") == "person-birth"


@pytest.mark.parametrize(
    ("language", "written", "stored"),
    [
        ("en", "2015", "2015"),
        ("en", "3/2015", "2015-03"),
        ("en", "21.3.2015", "2015-03-21"),
        ("de", "21. 3. 2015", "2015-03-21"),
        ("fr", "21/3/2015", "2015-03-21"),
        ("en", "4/3/2015", None),  # the fourth of March, or the third of April
        ("es", "30/2/2015", None),
    ],
)
def test_a_birth_date_may_be_written_as_people_write_dates(
    shared_people: Any, language: str, written: str, stored: str | None
) -> None:
    served, anna = shared_people, shared_people.people[ANNA]
    served.client.post(f"/person/{anna}", data={"what": "birth", "birth": ""})
    headers = {"HX-Request": "true", "Accept-Language": language}
    answer = served.client.post(f"/person/{anna}", data={"what": "birth", "birth": written}, headers=headers)
    assert answer.status_code == (200 if stored else 422)
    found = served.rows("SELECT birth_date FROM v1_people WHERE person_id = ? AND birth_date_source = 'user'", anna)
    assert found == ([(stored,)] if stored else [])


def test_the_order_of_faces_stays_when_something_is_said_of_them(served: Any) -> None:
    text = served.client.get(f"/person/{served.people[ANNA]}?order=likeliest").text
    said = re.findall(r'(?:<form|<span hidden) [^>]*hx-(?:post|get)="[^"]*/person/\d+(\?[^"]*)?"', text)
    assert set(said) == {"?order=likeliest"}
    data, headers = {"what": "hide"}, {"HX-Request": "true"}
    text = served.client.post(f"/person/{served.people[ANNA]}?order=likeliest", data=data, headers=headers).text
    assert re.findall(r'order=(\w+)"[^>]* aria-current', text) == ["likeliest"]


def test_another_order_leaves_the_focus_where_it_is(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/person/{served.people[ANNA]}")
    link = page.get_by_role("link", name="oldest first")
    link.press("Enter")
    page.wait_for_url("**?order=oldest")
    page.locator("[aria-current]").get_by_text("oldest first").wait_for()
    page.wait_for_function("() => document.activeElement.textContent === 'oldest first'")
    page.go_back()
    page.locator("[aria-current]").get_by_text("newest first").wait_for()
    page.get_by_role("heading", name="Anna", exact=True).wait_for()


def test_nobody_is_a_child_of_their_own_child(served: Any) -> None:
    anna, data = served.people[ANNA], {"what": "child_of", "name": "Ben"}
    headers = {"HX-Request": "true"}
    assert served.client.post(f"/person/{anna}", data=data, headers=headers).status_code == 200
    for what in ("parent_of", "partner_of"):
        answer = served.client.post(f"/person/{anna}", data={**data, "what": what}, headers=headers)
        assert answer.status_code == 422 and "take that back first" in answer.text
    assert served.rows("SELECT relation FROM person_relations") == [("child_of",)]
    assert served.client.post(f"/person/{anna}", data=data, headers=headers).status_code == 200


def test_a_name_that_somebody_else_has_is_pointed_out(served: Any) -> None:
    data, headers = {"what": "names", "name": "Ben"}, {"HX-Request": "true"}
    answer = served.client.post(f"/person/{served.people[ANNA]}", data=data, headers=headers)
    assert "Somebody else is called Ben, too" in answer.text


def test_what_was_said_in_another_tab_is_seen_in_this_one_but_not_under_what_is_typed(
    chromium: Any, served: Any
) -> None:
    context = chromium.new_context()
    here, there = context.new_page(), context.new_page()
    here.goto(f"{served.url}/?token={served.token}")
    for page in (here, there):
        page.goto(f"{served.url}/people")
    draft = here.locator(".person input[name=name]").nth(1)
    draft.fill("Som")
    there.locator(".person input[name=name]").first.fill("Carla")
    there.keyboard.press("Enter")
    there.get_by_text("Carla has a name now").first.wait_for()
    here.wait_for_timeout(300)
    assert here.get_by_text("Carla").count() == 0 and draft.input_value() == "Som"
    draft.fill("")
    here.evaluate("dispatchEvent(new Event('focus'))")
    here.locator(".person .name").get_by_text("Carla").wait_for()
    # With nothing typed, at once.
    person = context.new_page()
    person.goto(f"{served.url}/person/{served.people[ANNA]}")
    there.goto(f"{served.url}/person/{served.people[ANNA]}")
    there.get_by_label("Names").fill("Annabel")
    there.locator("form", has=there.locator("#person-names")).get_by_role("button").click()
    person.get_by_role("heading", name="Annabel").wait_for()
    context.close()


def test_all_photos_of_a_person_are_as_many_as_their_page_says(served: Any) -> None:
    anna = served.people[ANNA]
    with served.plugin.database.write() as session:
        one = select(FacePersonRow.face_id).where(FacePersonRow.person_id == anna, FacePersonRow.source == "auto")
        unlikely = session.scalars(one).first()
        session.execute(update(FacePersonRow).where(FacePersonRow.face_id == unlikely).values(probability=0.3))
    text = served.client.get(f"/person/{anna}").text
    count = int(re.findall(r"(\d+) photos", text)[0])
    address = re.findall(r'href="[^"]*(/\?q=person[^"]+)"', text)[0].replace("&amp;", "&")
    found = served.client.get(address).text
    assert found.count('class="tile"') == count


def test_a_birth_date_that_makes_somebody_older_than_anybody_was_is_taken_and_pointed_out(served: Any) -> None:
    address = f"/person/{served.people[ANNA]}"

    def born(text: str) -> str:
        return served.client.post(address, data={"what": "birth", "birth": text}, headers={"HX-Request": "true"}).text

    assert re.search(r"On their newest photo they would be 1[5-9]\d years old", born("1850"))
    assert served.rows("SELECT birth_date FROM v1_people WHERE person_id = ?", served.people[ANNA]) == [("1850",)]
    assert "they would be" not in born("1950")


def test_a_name_that_several_people_have_is_nobodys_until_it_is_said_whose(served: Any) -> None:
    anna, ben, other = (served.people[one] for one in (ANNA, BEN, OTHER))
    served.client.post(f"/person/{ben}", data={"what": "names", "name": "anna"})
    face, photo = served.rows("SELECT face_id, photo_id FROM v1_faces WHERE person_id = ?", other)[0]
    for address, form in (
        ("/people", {"what": "name", "people": other, "name": "Anna"}),
        (f"/person/{other}", {"what": "merge", "name": "Anna"}),
        (f"/person/{other}", {"what": "child_of", "name": "Anna"}),
        (f"/photo/{photo}/who", {"what": "name", "face": face, "name": "Anna"}),
    ):
        answer = served.client.post(address, data=form)
        assert answer.status_code == 409 and "tick under People who is one person" in answer.text, address
    assert served.rows(FACES, other) == [(3,)]
    # Of two with one name, each means the other.
    served.client.post(f"/person/{ben}", data={"what": "merge", "name": "Anna"})
    assert served.rows("SELECT COUNT(*) FROM v1_people WHERE person_id IN (?, ?)", anna, ben) == [(1,)]


def test_escape_unticks_before_it_leads_back(page: Any, served: Any) -> None:
    page.goto(f"{served.url}/people")
    page.locator(".pick input").first.check()
    page.locator("#picked").wait_for()
    page.keyboard.press("Escape")
    page.locator("#picked").wait_for(state="hidden")
    page.goto(f"{served.url}/person/{served.people[ANNA]}")
    page.locator("input[form=chosen]").first.check()
    page.get_by_text("1 selected").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("1 selected").wait_for(state="hidden")
    assert page.locator("input[form=chosen]:checked").count() == 0
    page.keyboard.press("Escape")
    page.wait_for_url("**/people")
