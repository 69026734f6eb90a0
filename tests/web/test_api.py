"""The HTTP API says and does what the host's object does."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from blobs import draw
from rollcall.web import api
from rollcall.web.app import end
from web.waiting import until


def test_a_search_gives_photos_with_faces_and_how_many_there_are(shared) -> None:
    told = shared.client.get("/api/search", params={"q": "a woman and a child", "limit": 5}).json()
    assert told["total"] == 1
    (hit,) = told["hits"]
    assert hit["path"].endswith("family.png") and hit["probability"] == pytest.approx(1)
    assert len(hit["faces"]) == 3


def test_pages_of_a_search_follow_each_other_without_gaps(shared) -> None:
    numbers: list[int] = []
    for offset in range(0, 40, 7):
        hits = shared.client.get("/api/search", params={"limit": 7, "offset": offset, "order": "date"}).json()["hits"]
        numbers += [hit["photo_id"] for hit in hits]
    assert sorted(numbers) == [row[0] for row in shared.rows("SELECT photo_id FROM v1_photos WHERE state = 'indexed'")]


def test_a_query_that_is_not_understood_says_where_and_what_instead(shared) -> None:
    answer = shared.client.get("/api/search", params={"q": "two dogs"})
    assert answer.status_code == 422
    told = answer.json()
    assert (told["position"], told["suggestion"], told["suggestions"]) == (4, '"dogs"', ['"dogs"'])


def test_a_query_with_two_readings_says_which_one_was_taken(shared) -> None:
    answer = shared.client.get("/api/search", params={"q": "no boys or girls"}).json()
    assert answer["notices"] == ["read as: neither boys nor girls; for the other reading: (no boys) or girls"]
    assert shared.client.get("/api/search", params={"q": "boys"}).json()["notices"] == []
    page = shared.client.get("/", params={"q": "no boys or girls"}).text
    assert '/?q=%28no%20boys%29%20or%20girls"' in page or '/?q=%28no+boys%29+or+girls"' in page


def test_corrections_of_every_kind_hold_at_once_and_are_undone(served) -> None:
    child, family = served.photo("child.png"), served.photo("family.png")
    (face,) = served.faces("child.png")
    mother, father, daughter = served.faces("family.png")
    said = [
        {"kind": "age", "face_id": face, "low": 30},
        {"kind": "age", "face_id": daughter, "group": "babies"},
        {"kind": "gender", "face_id": mother, "label": "grandmother"},
        {"kind": "not_a_face", "face_id": father},
        {"kind": "box", "face_id": face, "box": {"x": 0.1, "y": 0.4, "width": 0.2, "height": 0.3}},
        {"kind": "box", "photo_id": child, "box": {"x": 0.6, "y": 0.1, "width": 0.2, "height": 0.3}},
        {"kind": "tag", "photo_id": family, "name": "Holiday/Sea", "accepted": True},
    ]
    done = served.client.post("/api/corrections", json={"said": said, "by": "test"}).json()
    assert done["count"] == len(said)
    drawn = done["face_ids"][5]
    assert served.rows("SELECT age, age_source FROM v1_faces WHERE face_id = ?", face) == [(30.0, "user")]
    assert served.rows("SELECT age FROM v1_faces WHERE face_id = ?", drawn) == [(33.0,)]
    assert served.rows("SELECT gender FROM v1_faces WHERE face_id = ?", mother) == [("grandmother",)]
    assert served.rows("SELECT 1 FROM v1_faces WHERE face_id = ?", father) == []
    assert ("Holiday/Sea", "user") in served.rows("SELECT tag, source FROM v1_tags WHERE photo_id = ?", family)
    log = served.client.get("/api/corrections").json()
    assert {entry["kind"] for entry in log} == {"age", "gender", "not_a_face", "box", "tag"}
    assert served.client.post("/api/undo").json()["count"] == len(said)
    assert served.rows("SELECT age_source FROM v1_faces WHERE face_id = ?", face) == [("model",)]
    assert served.client.post("/api/redo").json()["count"] == len(said)
    assert served.rows("SELECT age_source FROM v1_faces WHERE face_id = ?", face) == [("user",)]


@pytest.mark.parametrize(
    "one",
    [
        {"kind": "age", "face_id": 1},
        {"kind": "age", "low": 3},
        {"kind": "age", "face_id": 1, "low": -1},
        {"kind": "tag", "name": "x"},
        {"kind": "box", "photo_id": 1},
        {"kind": "box", "photo_id": 1, "box": {"x": 0, "y": 0, "width": 0, "height": 1}},
        {"kind": "take_back", "face_id": 1},
        {"kind": "smile", "face_id": 1},
        {"kind": "age", "face_id": 99999, "low": 3},
        {"kind": "age", "face_id": 1, "group": "giants"},
    ],
)
def test_a_correction_that_cannot_be_is_refused_with_a_reason_and_nothing_is_recorded(shared, one: dict) -> None:
    answer = shared.client.post("/api/corrections", json={"said": [one]})
    assert answer.status_code in (404, 422) and answer.json()["detail"]
    assert shared.client.get("/api/corrections").json() == []


def test_a_host_sets_and_takes_away_its_tags_but_not_what_a_person_rejected(served) -> None:
    photo = served.photo("child.png")
    assert served.client.put(f"/api/photos/{photo}/tags/Trip/Alps").json() is True
    assert ("Trip/Alps", "host") in served.rows("SELECT tag, source FROM v1_tags WHERE photo_id = ?", photo)
    assert served.client.delete(f"/api/photos/{photo}/tags/Trip/Alps").json() is True
    said = [{"kind": "tag", "photo_id": photo, "name": "Trip/Alps", "accepted": False}]
    served.client.post("/api/corrections", json={"said": said})
    assert served.client.put(f"/api/photos/{photo}/tags/Trip/Alps").json() is False


def test_look_alikes_review_tags_and_status_are_told(shared) -> None:
    face = shared.faces("maybe/00.png")[0]
    near = shared.client.get(f"/api/faces/{face}/similar").json()
    assert near[0]["face_id"] == shared.faces("maybe/13.png")[0] and near[0]["probability"] > 0.9
    questions = shared.client.get("/api/review", params={"limit": 5}).json()
    assert len(questions) == 5 and all(0 < question["probability"] < 1 for question in questions)
    assert any(tag["name"] == "People/Children" and tag["applied"] for tag in shared.client.get("/api/tags").json())
    status = shared.client.get("/api/status").json()
    assert status["photos"] == {"failed": 1, "indexed": 31} and status["folders"] == [str(shared.library)]


def test_what_is_not_there_is_said_to_be_not_there(shared) -> None:
    for path in ("/api/photos/9999", "/pictures/photo/9999/thumb.webp", "/pictures/face/9999.webp"):
        answer = shared.client.get(path)
        assert answer.status_code == 404 and "no" in answer.json()["detail"]


def test_pictures_are_upright_small_and_made_once(served) -> None:
    photo = served.photo("family.png")
    answer = served.client.get(f"/pictures/photo/{photo}/thumb.webp")
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (200, 120)
    kept = list((served.file.parent.parent / "cache" / "thumbnails").rglob("*.webp"))
    assert len(kept) == 1
    before = kept[0].stat().st_mtime_ns
    assert served.client.get(f"/pictures/photo/{photo}/thumb.webp").content == answer.content
    assert kept[0].stat().st_mtime_ns == before
    face = served.client.get(f"/pictures/face/{served.faces('family.png')[2]}.webp")
    with Image.open(io.BytesIO(face.content)) as image:
        red, green, blue = image.convert("RGB").getpixel((112, 112))
    assert red > 240 and green < 30 and blue > 225


def test_a_new_photo_is_found_by_a_run_that_tells_how_far_it_is(served) -> None:
    draw(served.library / "new.png", (7, 0), seed=77)
    states = []
    with served.client.stream("GET", "/api/progress") as stream:
        lines = stream.iter_lines()
        states.append(json.loads(next(lines)[6:])["state"])
        assert served.client.post("/api/index").json() is True
        for line in lines:
            if line.startswith("data: "):
                told = json.loads(line[6:])
                states.append(told["state"])
                if told["state"] == "idle" and told["seconds"]:
                    break
    assert states[0] == "idle" and told["done"] == 1 and told["failed"] == 0
    assert served.photo("new.png")


def test_who_listens_for_progress_hears_at_once_that_the_server_ends(served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "POLL_SECONDS", 3600.0)
    with served.client.stream("GET", "/api/progress") as stream:
        lines = stream.iter_lines()
        assert "idle" in next(lines)
        end(served.app)
        assert not any(lines)


def test_a_folder_is_added_or_refused_with_a_reason(served, tmp_path: Path) -> None:
    draw(tmp_path / "more" / "b.png", (8, 0), seed=78)
    for path, reason in (("more", "whole path"), (str(tmp_path / "none"), "not there")):
        answer = served.client.post("/api/folders", json={"path": path})
        assert answer.status_code == 422 and reason in answer.json()["detail"]
    assert served.client.post("/api/folders", json={"path": str(tmp_path / "more")}).json() is True
    until(lambda: served.rows("SELECT 1 FROM v1_photos WHERE path = 'b.png' AND state = 'indexed'"))


def test_what_failed_is_tried_again(served) -> None:
    (served.library / "broken.jpg").unlink()
    draw(served.library / "whole.png", (9, 0), seed=79).rename(served.library / "broken.jpg")
    assert served.client.post("/api/retry").json() == 1
    until(lambda: served.rows("SELECT 1 FROM v1_photos WHERE path = 'broken.jpg' AND state = 'indexed'"))


def test_a_box_that_is_none_is_refused_in_words(shared) -> None:
    for box in ("", "1,2", "a,b,c,d"):
        answer = shared.client.post(f"/photo/{shared.photo('child.png')}/say", data={"what": "draw", "box": box})
        assert answer.status_code == 422 and "is no box" in answer.text


def test_the_document_of_the_api_names_every_route(shared) -> None:
    paths = shared.client.get("/api/openapi.json").json()["paths"]
    assert {"/api/search", "/api/corrections", "/api/review", "/api/undo", "/api/status"} <= set(paths)
    assert all(path.startswith(("/api/", "/pictures/")) for path in paths)
