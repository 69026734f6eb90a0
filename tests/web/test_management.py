"""What is done rarely, over HTTP: single faces, the whole log, erasure, learning; and whose corrections are undone."""

from __future__ import annotations

import json

import pytest

from rollcall import corrections


def test_one_face_is_read(served) -> None:
    face = served.faces("child.png")[0]
    told = served.client.get(f"/api/faces/{face}").json()
    assert (told["face_id"], told["photo_id"], len(told["age_distribution"])) == (face, served.photo("child.png"), 101)
    assert served.client.get("/api/faces/99999").status_code == 404


def test_a_gender_without_a_label_is_refused(served) -> None:
    face, photo = served.faces("child.png")[0], served.photo("child.png")
    said = {"said": [{"kind": "gender", "face_id": face}]}
    assert served.client.post("/api/corrections", json=said).status_code == 422
    for form in ({"what": "gender", "face": face}, {"what": "gender", "face": face, "label": ""}):
        assert served.client.post(f"/photo/{photo}/say", data=form).status_code == 422
    assert served.client.get("/api/corrections").json() == []
    form = {"what": "gender", "face": face, "unknown": "true"}
    assert served.client.post(f"/photo/{photo}/say", data=form).status_code == 200
    assert served.client.get("/api/corrections").json()[0]["value"] == {"label": None}


def test_the_log_is_exported_imported_and_restored(served) -> None:
    face = served.faces("child.png")[0]
    for age in (20, 30):
        served.plugin.correct(corrections.age(face, age))
    lines = [json.loads(line) for line in served.client.get("/api/corrections/export").text.splitlines()]
    assert [line["value"]["low"] for line in lines] == [20, 30]
    told = served.client.post("/api/corrections/import", json={"lines": lines}).json()
    assert told == {"added": 0, "known": 2, "waiting": 0}
    assert served.client.post("/api/corrections/import", json={"lines": [{"x": 1}]}).status_code == 422
    assert served.client.post("/api/restore", json={"to": 1}).json()["count"] == 1
    assert served.client.get(f"/api/faces/{face}").json()["age"] == 20
    assert served.client.post("/api/restore", json={"to": 999}).status_code == 404


def test_nothing_is_forgotten_unless_the_trial_is_switched_off(served) -> None:
    face = served.faces("child.png")[0]
    told = served.client.post("/api/forget", json={"erase_faces": [face]}).json()
    assert (told["faces"], told["dry_run"]) == (1, True)
    assert served.client.get(f"/api/faces/{face}").status_code == 200
    assert served.client.post("/api/forget", json={"erase_faces": [face], "dry_run": False}).json()["faces"] == 1
    assert served.client.get(f"/api/faces/{face}").status_code == 404


def test_learning_from_too_few_corrections_changes_nothing(served) -> None:
    told = served.client.post("/api/adapt", timeout=300).json()
    assert (told["id"], told["changed"], told["age"]["helps"]) == (None, 0, False)
    assert served.client.post("/api/adapt/undo").json() is None


def test_a_tab_undoes_its_own_corrections(served) -> None:
    face, photo = served.faces("child.png")[0], served.photo("child.png")
    for tab, age in (("a", 20), ("b", 30)):
        form = {"what": "age", "face": face, "low": age}
        served.client.post(f"/photo/{photo}/say", data=form, headers={"X-Tab": tab})
    undo = {"what": "undo"}
    assert served.client.post(f"/photo/{photo}/say", data=undo, headers={"X-Tab": "a"}).status_code == 200
    assert served.client.get(f"/api/faces/{face}").json()["age"] == 30
    assert served.client.post(f"/photo/{photo}/say", data=undo, headers={"X-Tab": "a"}).status_code == 409
    assert served.client.post("/api/undo", params={"origin": "page b"}).json()["count"] == 1


def test_a_tab_undoes_the_names_that_were_given_in_it(served) -> None:
    face, photo = served.faces("child.png")[0], served.photo("child.png")
    naming = {"what": "name", "face": face, "name": "Nora"}
    assert served.client.post(f"/photo/{photo}/who", data=naming, headers={"X-Tab": "c"}).status_code == 200
    assert [one.name for one in served.plugin.people_named("nora")] == ["Nora"]
    undo = {"what": "undo"}
    assert served.client.post(f"/photo/{photo}/say", data=undo, headers={"X-Tab": "d"}).status_code == 409
    assert served.client.post(f"/photo/{photo}/say", data=undo, headers={"X-Tab": "c"}).status_code == 200
    assert served.plugin.people_named("nora") == []


@pytest.mark.parametrize(("header", "total"), [("de-DE,de;q=0.9,en;q=0.8", 1), ("nonsense;q=x", 1), ("en", 1)])
def test_a_query_in_the_browsers_language_is_understood(shared, header: str, total: int) -> None:
    answer = shared.client.get("/api/search", params={"q": "gruppenfotos"}, headers={"Accept-Language": header})
    assert answer.json()["total"] == total
    assert shared.client.get("/", params={"q": "gruppenfotos"}, headers={"Accept-Language": header}).status_code == 200


def test_the_browsers_language_decides_where_several_understand(shared) -> None:
    from rollcall.web.inputs import language_of

    class Request:
        def __init__(self, value: str) -> None:
            self.headers = {"accept-language": value}

    wanted = {"de-AT,en;q=0.5": "de", "en-US,de;q=0.9": None, "pl,fr;q=0.7,en;q=0.3": "fr", "": None, "x;q=y,it": "it"}
    assert {value: language_of(Request(value)) for value in wanted} == wanted  # type: ignore[arg-type]
