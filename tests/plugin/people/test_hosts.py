"""People over HTTP and on the command line: the same as in Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from people_blobs import faces_of
from rollcall.cli import cli
from rollcall.host import Plugin
from rollcall.web import app
from rollcall.web.security import cookie_name


@pytest.fixture
def client(family: Plugin) -> TestClient:
    found = TestClient(app.create(family, "secret", 8724), base_url="http://127.0.0.1:8724")
    found.cookies.set(cookie_name(8724), "secret")
    found.headers["Authorization"] = "Bearer secret"
    return found


def test_http_names_answers_merges_splits_and_undoes(client: TestClient, family: Plugin) -> None:
    first, second = (one["person_id"] for one in client.get("/api/people").json())
    anna = client.put(f"/api/people/{first}/names", json={"names": ["Anna", "Annie"]}).json()
    assert (anna["name"], anna["names"], anna["proposed"]) == ("Anna", ["Anna", "Annie"], 5)
    waiting = client.get(f"/api/people/{first}/faces", params={"state": "proposed"}).json()
    numbers = [face["face_id"] for face in waiting]
    assert client.post(f"/api/people/{first}/confirm", json={"face_ids": numbers[:3]}).json()["proposed"] == 2
    assert client.post(f"/api/people/{first}/reject", json={"face_ids": numbers[3:4]}).json()["faces"] == 5
    stranger = faces_of(family, 50, 50)[0]
    carl = client.post(f"/api/people/faces/{stranger}/name", json={"name": "Carl"}).json()
    assert client.post("/api/people/hide", json={"people": [carl["person_id"]]}).status_code == 200
    born = client.put(f"/api/people/{first}/birth", json={"date": "2010-02"}).json()
    assert (born["birth_date"], born["birth_date_source"]) == ("2010-02", "user")
    assert client.put(f"/api/people/{second}/me", json={}).json()["is_me"]
    related = client.post(f"/api/people/{first}/relations", json={"relation": "child_of", "other": second}).json()
    assert related["relations"] == [{"relation": "child_of", "person_id": second}]
    other = client.post("/api/people/split", json={"face_ids": numbers[:1], "name": "Dora"}).json()
    merged = client.post(f"/api/people/{first}/merge", json={"others": [other["person_id"]]}).json()
    assert merged["names"] == ["Anna", "Annie", "Dora"]
    assert client.post("/api/undo").status_code == 200
    assert [one["name"] for one in client.get("/api/people", params={"named": True}).json()].count("Dora") == 1


def test_the_page_says_what_forgetting_deletes_and_deletes_it_only_if_that_is_ticked(
    client: TestClient, family: Plugin
) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    assert f"/person/{anna}/forget" in client.get(f"/person/{anna}").text
    question = client.get(f"/person/{anna}/forget").text
    assert "Forget Anna?" in question
    assert "6 faces" in question
    origin = {"Origin": "http://127.0.0.1:8724"}
    assert "Nothing was deleted" in client.post(f"/person/{anna}/forget", headers=origin).text
    assert [one.person_id for one in family.people()] == [anna, ben]
    done = client.post(f"/person/{anna}/forget", data={"sure": "yes"}, headers=origin)
    assert done.headers["HX-Redirect"] == "/people"
    assert [one.person_id for one in family.people()] == [ben]
    assert client.get(f"/person/{anna}/forget").status_code == 404


def test_http_refuses_what_cannot_be_in_words(client: TestClient) -> None:
    first = client.get("/api/people").json()[0]["person_id"]
    assert client.get("/api/people/999").status_code == 404
    assert client.put(f"/api/people/{first}/birth", json={"date": "soon"}).status_code == 422
    assert client.put(f"/api/people/{first}/names", json={"names": [""]}).status_code == 422


def test_the_command_line_lists_names_and_shows_people(family: Plugin, tmp_path: Path) -> None:
    family.stop()
    run = CliRunner()

    def call(*words: str) -> str:
        done = run.invoke(cli, ["people", words[0], "-d", str(tmp_path / "rollcall.db"), *words[1:]])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "no name: 6 photos, 2014 to 2019" in call("list", "--unnamed")
    assert "Anna / Annie: 6 photos, 5 proposed" in call("name", "1", "Anna", "Annie")
    assert "born 2010-02" in call("birth", "anna", "2010-02")
    assert ", me" in call("me", "Annie")
    assert "confirmed 100%" in call("show", "Anna")
    assert "proposed" not in call("confirm", "Anna")
    call("hide", "--seen-once")
    call("group")
    assert '"name": "Anna"' in call("list", "--json")
    wrong = run.invoke(cli, ["people", "show", "-d", str(tmp_path / "rollcall.db"), "Nobody"])
    assert wrong.exit_code == 2 and "nobody is called 'Nobody'" in wrong.output
