"""Albums on the page and over HTTP: saved searches, chosen photos, their order, and their download."""

from __future__ import annotations

import io
from typing import Any
from zipfile import ZipFile

import pytest

from web.waiting import followed, ready


def albums(served: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.client.get(f"{served.origin}/api/albums").json()
    return found


def test_a_search_is_saved_as_an_album_opened_renamed_removed_and_brought_back(page: Any, served: Any) -> None:
    page.fill("#q", "photos of children")
    page.click("#search button")
    page.click("summary:has-text('Save as album')")
    page.fill("#save-name", "The little ones")
    page.click(".menu button:has-text('Save')")
    followed(page, page.locator(".toast a"))
    assert page.text_content("h1") == "The little ones"
    assert (
        page.text_content(".found .count") == f"{served.plugin.count('photos of children', min_probability=0.5)} photos"
    )
    page.click("summary:has-text('Change')")
    page.fill("#album-name", "<b>Kids</b>")
    page.click("button:has-text('Rename')")
    page.wait_for_selector("h1:text-is('<b>Kids</b>')")
    page.click("summary:has-text('Change')")
    page.click("button:has-text('Remove the album')")
    page.wait_for_selector("text=The album is removed")
    assert albums(served) == []
    page.click("button:has-text('Undo')")
    page.wait_for_selector("button:has-text('Share')")
    page.click("a:has-text('All albums')")
    assert page.text_content(".albums .name") == "<b>Kids</b>"


def test_a_search_that_is_saved_twice_is_one_album_and_another_of_its_name_is_two(served: Any) -> None:
    for query, count in (("photos of children", 1), ("photos of children", 1), ("no people", 2)):
        answer = served.client.post("/albums", data={"name": "Kids", "q": query}, headers={"HX-Request": "true"})
        assert answer.status_code == 200 and f"/album/{count}" in answer.text
        assert len(albums(served)) == count


def test_the_search_of_an_album_is_changed_on_its_page(page: Any, served: Any) -> None:
    served.plugin.save_album("Kids", "photos of children", photos=[served.photo("nobody.png")])
    page.goto(f"{served.url}/album/1")
    ready(page)
    before = page.text_content(".found .count")
    page.click("summary:has-text('Change')")
    page.fill("#album-query", "taken:when")
    page.click("button:has-text('Change the search')")
    page.wait_for_selector("#toasts .note")
    assert page.input_value("#album-query") == "taken:when"
    page.fill("#album-query", "no people")
    page.click("button:has-text('Change the search')")
    page.wait_for_selector(".quiet a:text-is('no people')")
    (album,) = albums(served)
    assert (album["query"], album["added"]) == ("no people", 1)
    page.click(".toast button:has-text('Undo')")
    page.wait_for_selector(f".found .count:text-is('{before}')")
    assert albums(served)[0]["query"] == "photos of children"


def test_photos_of_an_album_follow_each_other_and_lead_back_to_their_place(page: Any, served: Any) -> None:
    three = ("child.png", "family.png", "group.png")
    served.plugin.save_album("Three", photos=[served.photo(name) for name in three])
    page.goto(f"{served.url}/album/1")
    names = page.eval_on_selector_all(
        ".tile a", "all => all.map((one) => one.getAttribute('aria-label').split(',')[0])"
    )
    followed(page, page.locator(f".tile a[aria-label^='{names[0]}']"))
    for name in names[1:]:
        ready(page)
        page.keyboard.press("ArrowRight")
        # The name may be broken between its parts, each of which is a text of its own.
        page.get_by_role("heading", name=name, exact=True).wait_for()
    ready(page)
    assert page.query_selector("a[rel=next]") is None
    page.keyboard.press("Escape")
    page.wait_for_selector("h1:text-is('Three')")
    assert page.url.endswith(f"#photo-{served.photo(names[2])}")


def test_selected_photos_are_put_into_an_album_and_taken_out_of_it(page: Any, served: Any) -> None:
    page.click("#select")
    for name in ("child.png", "nobody.png"):
        page.click(f".tile a[aria-label^='{name}']")
    page.fill("#selected-album", "Picked")
    page.click("#selected button:has-text('Add to album')")
    followed(page, page.locator(".toast a"))
    page.wait_for_selector("h1:text-is('Picked')")
    page.click("#select")
    page.click(".tile a[aria-label^='nobody.png']")
    page.click("#selected button:has-text('Take out')")
    page.wait_for_selector(".found .count:text-is('1 photo')")
    page.click(".toast button:has-text('Undo')")
    page.wait_for_selector(".found .count:text-is('2 photos')")


def test_an_album_is_made_changed_read_and_downloaded_over_http(served: Any) -> None:
    api = f"{served.origin}/api/albums"
    made = served.client.post(api, json={"name": "Kids", "query": "children", "min_probability": 0.5})
    assert made.status_code == 200
    number, photos = made.json()["album_id"], made.json()["photos"]
    assert photos == served.client.get(f"{served.origin}/api/search?q=children&min_probability=0.5").json()["total"]
    added = served.client.post(f"{api}/{number}/photos", json={"photo_ids": [served.photo("nobody.png")]})
    assert added.json()["photos"] == photos + 1
    assert served.client.put(f"{api}/{number}", json={"query": " "}).status_code == 422
    other = served.client.put(f"{api}/{number}", json={"query": "adults"}).json()
    assert (other["query"], other["min_probability"], other["added"]) == ("adults", 0.5, 1)
    served.client.put(f"{api}/{number}", json={"query": "children"})
    changed = served.client.put(f"{api}/{number}", json={"name": "All", "shared": True}).json()
    assert (changed["name"], changed["shared"], changed["added"]) == ("All", True, 1)
    listed = served.client.get(f"{api}/{number}/photos?limit=1000").json()
    assert len(listed) == photos + 1
    answer = served.client.get(f"{api}/{number}/zip")
    assert answer.headers["content-disposition"].startswith('attachment; filename="All.zip"')
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert len(archive.namelist()) == photos + 1
    assert served.client.delete(f"{api}/{number}").status_code == 200
    assert served.client.get(f"{api}/{number}").status_code == 404
    assert served.rows("SELECT name, added FROM v1_albums") == []


@pytest.mark.parametrize("body", [{"name": ""}, {"name": "x", "query": "taken:when"}, {"name": "x", "by": 1}])
def test_what_is_no_album_is_refused_with_a_reason(served: Any, body: dict[str, Any]) -> None:
    answer = served.client.post(f"{served.origin}/api/albums", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_a_download_says_which_photos_are_not_in_it_and_why(served: Any) -> None:
    numbers = f"{served.photo('child.png')},{served.photo('family.png')}"
    (served.library / "child.png").unlink()
    for there in (["family.png"], []):
        answer = served.client.get(f"/selection/zip?numbers={numbers}", headers={"Accept-Language": "de"})
        with ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.namelist() == [*there, "Nicht dabei.txt"]
            text = archive.read("Nicht dabei.txt").decode()
        assert "child.png: die Datei wurde" in text and str(served.library) not in text
        (served.library / "family.png").unlink(missing_ok=True)
