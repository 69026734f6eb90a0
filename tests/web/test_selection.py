"""What is answered for the faces of selected photos, and a photo that is shown in its folder."""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from blobs import draw
from rollcall.media import file_manager
from rollcall.web.security import is_sent_from_here
from web.waiting import held_one, ready, until

PART = {"HX-Request": "true"}
#: What starts programs, before the tests of the page are kept from it.
STARTED = file_manager._started
linux = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the file managers of Linux")


def fill(library: Path) -> None:
    draw(library / "child.png", (5, 0))
    draw(library / "woman.png", (61, 255), seed=1)
    draw(library / "two.png", (40, 0), (42, 255), seed=2)
    draw(library / "nobody.png", seed=3)
    draw(library / "a, 'b' $(c) & ü;.png", (30, 0), seed=4)


@pytest.fixture(scope="module")
def own(serve_shared: Callable[..., Any]) -> Any:
    return serve_shared(fill)


def say(served: Any, names: list[str], **form: object) -> httpx.Response:
    photos = [served.photo(name) for name in names]
    return served.client.post("/selection", data={"photos": photos, **form}, headers=PART)


ALL = ["child.png", "woman.png", "two.png", "nobody.png"]


def test_the_age_of_the_only_face_of_each_is_one_step_and_the_others_are_counted(own: Any) -> None:
    ages = "SELECT COUNT(*) FROM v1_faces WHERE age_source = 'user'"
    answer = say(own, ALL, what="age_group", label="teenager").text
    assert "Age of 2 faces: teenager; 1 with several faces is left; 1 without a face is left" in answer
    assert '/undo"' in answer
    assert own.rows(ages) == [(2,)]
    own.client.post("/undo", headers=PART)
    assert own.rows(ages) == [(0,)]
    assert say(own, ["two.png"], what="age_group", label="teenager").status_code == 409
    assert say(own, ["child.png"], what="age_group", label="hobbit").status_code == 422


def test_the_only_face_of_each_is_named_the_same_person_in_one_step(own: Any) -> None:
    answer = say(own, ALL, what="name", name=" Anna ").text
    assert "2 faces are Anna; 1 with several faces is left" in answer
    (anna,) = own.plugin.people_named("Anna")
    assert anna.faces == 2
    own.client.post("/undo", headers=PART)
    assert own.plugin.people_named("Anna") == []
    own.client.post("/redo", headers=PART)
    # Who has the name already is meant.
    assert "1 face is Anna" in say(own, ["a, 'b' $(c) & ü;.png"], what="name", name="anna").text
    assert [one.faces for one in own.plugin.people_named("Anna")] == [3]
    assert say(own, ["child.png"], what="name", name=" ").status_code == 422
    assert "no age is chosen" in say(own, ["child.png"], what="age_group", label="").text
    for _ in range(2):
        own.client.post("/undo", headers=PART)


def test_all_faces_of_selected_photos_are_ignored_and_come_back_together(own: Any) -> None:
    shown = "SELECT COUNT(*) FROM v1_faces"
    before = own.rows(shown)
    assert "3 faces ignored" in say(own, ["child.png", "two.png", "nobody.png"], what="ignore").text
    assert own.rows(shown) == [(before[0][0] - 3,)]
    own.client.post("/undo", headers=PART)
    assert own.rows(shown) == before
    assert say(own, ["nobody.png"], what="ignore").status_code == 409


def test_as_many_photos_as_may_be_selected_come_in_one_field(own: Any) -> None:
    photo = own.photo("child.png")
    for count, status in ((5000, 200), (5001, 422)):
        data = {"photos": ",".join([str(photo)] * count), "what": "ignore"}
        answer = own.client.post("/selection", data=data, headers=PART)
        assert answer.status_code == status, answer.text
    assert "more than 5000 photos are selected" in answer.text
    own.client.post("/undo", headers=PART)


def test_ticked_faces_of_a_person_are_given_an_age_and_ignored(own: Any) -> None:
    faces = [own.faces(name)[0] for name in ("child.png", "woman.png", "two.png")]
    person = own.plugin.split_faces(faces, "Vera").person_id
    form = {"faces": faces[:2], "label": "adult", "what": "age_group"}
    assert "Saved." in own.client.post(f"/person/{person}", data=form, headers=PART).text
    assert [own.plugin.face(face).age_source for face in faces] == ["user", "user", "model"]
    answer = own.client.post(f"/person/{person}", data={"faces": faces[:2], "what": "ignore"}, headers=PART).text
    assert "2 faces ignored." in answer and own.plugin.person(person).faces == 1
    for _ in range(2):
        own.client.post("/undo", headers=PART)
    assert [own.plugin.face(face).age_source for face in faces] == ["model"] * 3
    own.plugin.undo()


def test_fields_of_the_selection_offer_the_people_tags_and_albums_that_there_are(own: Any) -> None:
    own.plugin.name_face(own.faces("child.png")[0], "Mia <b>")
    own.plugin.save_album("Beach", photos=[own.photo("child.png")])
    say(own, ["child.png", "woman.png"], what="tag", tag="Trips/Oslo")
    say(own, ["child.png"], what="tag", tag="Afterwards")
    lists = dict(re.findall(r'(?s)<datalist id="known-(\w+)">(.*?)</datalist>', own.client.get("/completions").text))
    offered = {kind: re.findall(r'<option value="(.*?)">', options) for kind, options in lists.items()}
    assert offered["people"] == ["Mia &lt;b&gt;"] and offered["albums"] == ["Beach"]
    assert set(offered["tags"]) >= {"Trips/Oslo", "Afterwards"}
    # What is used most comes first.
    assert offered["tags"].index("Trips/Oslo") < offered["tags"].index("Afterwards")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Return a function that puts programs of a desktop in place, which write down how they are called."""
    monkeypatch.setattr(file_manager, "_started", STARTED)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")

    def put(**codes: int) -> Path:
        for name, code in codes.items():
            file = tmp_path / name.replace("_", "-")
            file.write_text(
                f'#!/bin/sh\nfor one in "$@"; do echo "$one" >> \'{tmp_path}/{name}.log\'; done\nexit {code}\n'
            )
            file.chmod(0o755)
        return tmp_path

    yield put


@linux
def test_a_photo_is_shown_in_its_folder_with_its_path_as_one_argument(own: Any, programs: Any) -> None:
    log = programs(dbus_send=0, xdg_open=0)
    name = "a, 'b' $(c) & ü;.png"
    answer = own.client.post(f"/photo/{own.photo(name)}/folder", headers=PART)
    assert "The folder is shown" in answer.text
    given = (log / "dbus_send.log").read_text().splitlines()
    assert given[-2:] == [f"array:string:{(own.library / name).as_uri()}", "string:"]
    assert "," not in given[-2] and not (log / "xdg_open.log").exists()
    # Without the service of file managers: the folder.
    log = programs(dbus_send=1)
    assert "The folder is shown" in say(own, [name], what="folder").text
    assert (log / "xdg_open.log").read_text().splitlines() == [str(own.library)]
    assert say(own, ["child.png", "two.png"], what="folder").status_code == 422


@pytest.mark.parametrize("system", ["win32", "darwin", "linux"])
def test_no_test_of_the_page_shows_a_folder_on_the_screen_of_whoever_runs_it(
    own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    began: list[object] = []
    monkeypatch.setattr(file_manager.sys, "platform", system)
    monkeypatch.setattr(file_manager.subprocess, "Popen", lambda *given, **values: began.append(given))
    monkeypatch.setattr(file_manager.shutil, "which", lambda name: name)
    monkeypatch.setenv("DISPLAY", ":0")
    assert "No file manager" in say(own, ["child.png"], what="folder").text
    assert began == []


@linux
@pytest.mark.parametrize("display", [True, False])
def test_where_no_file_manager_can_be_asked_the_path_is_given(
    own: Any, programs: Any, monkeypatch: pytest.MonkeyPatch, display: bool
) -> None:
    if display:
        programs(dbus_send=1, xdg_open=4)
    else:
        log = programs(dbus_send=0, xdg_open=0)
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    answer = own.client.post(f"/photo/{own.photo('child.png')}/folder", headers=PART).text
    assert "No file manager" in answer and f'data-copy="{own.library / "child.png"}"' in answer
    assert display or not list(log.glob("*.log"))


def test_only_photos_of_the_library_are_shown_and_only_to_whoever_sits_here(own: Any, programs: Any) -> None:
    log = programs(dbus_send=0, xdg_open=0)
    photo = own.photo("child.png")
    forged = {"Origin": "http://photos.example", **PART}
    assert own.client.post(f"/photo/{photo}/folder", headers=forged).status_code == 403
    assert own.client.post("/photo/9999/folder", headers=PART).status_code == 404
    assert own.client.get(f"/photo/{photo}/folder").status_code == 405
    gone = own.library / "two.png"
    gone.rename(own.library / "moved.png")
    try:
        answer = own.client.post(f"/photo/{own.photo('two.png')}/folder", headers=PART)
    finally:
        (own.library / "moved.png").rename(gone)
    assert answer.status_code == 404
    assert not list(log.glob("*.log"))
    for client in (("192.168.1.9", 5), None, ("", 0)):
        assert not is_sent_from_here({"client": client})


def test_a_selected_photo_is_named_and_its_path_copied(page: Any, served: Any) -> None:
    ready(page)
    page.locator(f".tile[data-id='{served.photo('child.png')}']").click(modifiers=["ControlOrMeta"])
    page.locator("#selected-folder").click()
    page.locator("#toasts").get_by_role("button", name="Copy the path").wait_for()
    page.locator(f".tile[data-id='{served.photo('woman.png')}']").click()
    assert page.locator("#selected-folder").is_disabled()
    page.locator("#selected-name").fill("Anna")
    page.get_by_role("button", name="Name the faces").click()
    until(lambda: [one.faces for one in served.plugin.people_named("Anna")] == [2])
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    until(lambda: served.plugin.people_named("Anna") == [])


def test_what_takes_long_says_so_and_numbers_of_many_are_one_field(page: Any, served: Any) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/selection", hold)
    page.goto(f"{served.url}/")
    ready(page)
    page.locator("#select").click()
    page.locator(".tile").nth(0).click()
    page.locator(".tile").nth(1).click()
    page.get_by_role("button", name="Ignore the faces").click()
    page.get_by_text("Working …").wait_for()
    one = held_one(page, held)
    assert re.search(r"photos=\d+%2C\d+(&|$)", one.request.post_data)
    one.continue_()
    page.locator("#working").wait_for(state="hidden")
    page.locator(".toast").get_by_text("ignored").wait_for()


def test_names_are_completed_once_a_field_is_gone_to_and_again_after_a_change(page: Any, served: Any) -> None:
    ready(page)
    page.locator(f".tile[data-id='{served.photo('child.png')}']").click(modifiers=["ControlOrMeta"])
    assert page.locator("datalist[id^=known-]").count() == 0
    page.locator("#selected-tag").focus()
    offered = "one => [...one.list.options].some((option) => option.value === 'Holiday')"
    page.locator("#known-tags").wait_for(state="attached")
    assert not page.locator("#selected-tag").evaluate(offered)
    page.locator("#selected-tag").fill("Holiday")
    page.get_by_role("button", name="Tag", exact=True).click()
    page.locator(".toast").wait_for()
    page.locator("#selected-name").focus()
    page.wait_for_function(f"() => ({offered})(document.getElementById('selected-tag'))")
    # Also where a single photo is tagged.
    page.goto(f"{served.url}/photo/{served.photo('family.png')}")
    ready(page)
    page.locator("#new-tag").focus()
    page.wait_for_function(
        f"() => document.getElementById('new-tag').list && ({offered})(document.getElementById('new-tag'))"
    )


def test_photos_of_ticked_faces_are_tagged_downloaded_copied_and_shown_in_their_folder(page: Any, served: Any) -> None:
    first, second = served.photo("child.png"), served.photo("family.png")
    faces = [served.faces("child.png")[0], *served.faces("family.png")[:2]]
    person = served.plugin.split_faces(faces, "Vera").person_id
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{served.url}/person/{person}")
    ready(page)
    box = "input[form=chosen][value='{}']"
    tag, folder = page.locator("#ticked button[value=tag]"), page.get_by_role("button", name="Show in folder")
    assert tag.is_disabled()
    for face in faces:
        page.locator(box.format(face)).check()
    page.locator("#ticked-menu").press("Enter")
    assert page.locator("#ticked-count").inner_text() == "3 selected" and folder.is_disabled()
    with page.expect_download() as download:
        page.locator("#ticked").get_by_role("button", name="Download").click()
    # Two faces of one photo are one photo.
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == ["child.png", "family.png"]
    page.get_by_role("button", name="Copy paths").click()
    page.wait_for_function("() => document.getElementById('live').textContent.includes('2')")
    copied = page.evaluate("() => navigator.clipboard.readText()").split("\n")
    assert sorted(copied) == [str(served.library / name) for name in ("child.png", "family.png")]
    page.locator("#ticked-tag").fill("Holiday")
    tag.press("Enter")
    page.locator(".toast").get_by_text("2 photos tagged").wait_for()
    tagged = "SELECT photo_id FROM v1_tags WHERE tag = 'Holiday' ORDER BY photo_id"
    assert served.rows(tagged) == [(one,) for one in sorted((first, second))]
    # The page is shown anew after that: who goes on finds ticks and place as they were.
    page.wait_for_function("() => document.activeElement.id === 'ticked-menu'")
    assert [page.locator(box.format(face)).is_checked() for face in faces] == [True] * 3
    for face in faces[1:]:
        page.locator(box.format(face)).uncheck()
    page.locator("#ticked-menu").click()
    folder.click()
    page.locator("#toasts").get_by_role("button", name="Copy the path").wait_for()
    # What is said of the faces themselves is done with them.
    page.locator("#chosen button[value=confirm]").click()
    page.wait_for_function("() => document.getElementById('ticked-count').textContent === ''")
