"""Answers have the status and the sentence of the error that caused them."""

from __future__ import annotations

from typing import Any

import pytest

from rollcall.errors import (
    BusyError,
    ConflictError,
    LifecycleError,
    ModelError,
    NotFoundError,
    RollcallError,
    StoreError,
)


def test_nothing_to_undo_and_nothing_to_redo_are_conflicts(shared: Any) -> None:
    for name in ("undo", "redo"):
        answer = shared.client.post(f"/api/{name}")
        assert answer.status_code == 409 and "nothing" in answer.json()["detail"]


def test_an_age_group_that_there_is_not_is_invalid_and_those_that_there_are_get_named(shared: Any) -> None:
    said = [{"kind": "age", "face_id": shared.faces("child.png")[0], "group": "giants"}]
    answer = shared.client.post("/api/corrections", json={"said": said})
    assert answer.status_code == 422 and "seniors" in answer.json()["detail"][0]["msg"]


def test_a_gender_needs_a_label_even_if_it_is_null(served: Any) -> None:
    (face,) = served.faces("child.png")
    answer = served.client.post("/api/corrections", json={"said": [{"kind": "gender", "face_id": face}]})
    assert answer.status_code == 422
    said = [{"kind": "gender", "face_id": face, "label": None}]
    assert served.client.post("/api/corrections", json={"said": said}).status_code == 200
    assert served.rows("SELECT p_female, gender_source FROM v1_faces WHERE face_id = ?", face) == [(None, "user")]


def test_a_box_that_reaches_beyond_the_picture_is_cut_at_its_border(served: Any) -> None:
    (face,) = served.faces("child.png")
    box = {"x": 0.9, "y": 0.5, "width": 0.5, "height": 0.25}
    said = [{"kind": "box", "face_id": face, "box": box}]
    assert served.client.post("/api/corrections", json={"said": said}).status_code == 200
    ((x, y, width, height),) = served.rows("SELECT x, y, width, height FROM v1_faces WHERE face_id = ?", face)
    assert (x, y, width, height) == pytest.approx((0.9, 0.5, 0.1, 0.25))


@pytest.mark.parametrize(
    "path", ["/api/faces/99999/similar", "/face/99999/similar", "/review/alike/99999?group=adults"]
)
def test_a_face_that_there_is_not_has_no_similar_ones(shared: Any, path: str) -> None:
    assert shared.client.get(path).status_code == 404


def test_a_face_without_an_embedding_cannot_be_compared_at_present(serve: Any) -> None:
    served = serve(**{"attributes.embeddings": "off"})
    served.plugin.forget(embeddings=True)
    (face,) = served.faces("child.png")
    answer = served.client.get(f"/api/faces/{face}/similar")
    assert answer.status_code == 409 and "cannot be compared" in answer.json()["detail"]
    shown = served.client.get(f"/face/{face}/similar")
    assert shown.status_code == 200
    assert "cannot be compared with others at present" in shown.text and "attributes.embeddings" not in shown.text


@pytest.mark.parametrize(
    "error",
    [
        BusyError("sqlite:///x.db", "the library is being indexed", "index"),
        ConflictError("it was corrected meanwhile"),
        NotFoundError("face", 7),
        StoreError("sqlite:///x.db", "the disk is full"),
        ModelError("the weights are missing"),
        LifecycleError("the plugin is not started"),
    ],
)
def test_a_correction_that_fails_answers_with_the_status_and_sentence_of_its_error(
    shared: Any, monkeypatch: pytest.MonkeyPatch, error: RollcallError
) -> None:
    def fail(*given: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(shared.plugin, "correct", fail)
    (face,) = shared.faces("child.png")
    answer = shared.client.post("/api/corrections", json={"said": [{"kind": "ignore", "face_id": face}]})
    assert (answer.status_code, answer.json()) == (error.status, {"detail": str(error)})
    photo = shared.photo("child.png")
    answer = shared.client.post(f"/photo/{photo}/say", data={"what": "ignore", "face": face})
    assert answer.status_code == error.status and answer.headers["content-type"].startswith("text/html")


def test_a_review_goes_on_after_an_answer_that_is_refused(served: Any) -> None:
    answer = served.client.post("/review", data={"face": 99999, "group": "children", "what": "yes"})
    assert answer.status_code == 404 and "there is no face 99999" in answer.text and 'name="what"' in answer.text
    answer = served.client.post("/review", data={"face": 0, "group": "children", "what": "undo"})
    assert answer.status_code == 409 and "nothing left to undo" in answer.text and 'name="what"' in answer.text


def test_a_page_of_a_photo_that_there_is_not_changes_nothing(served: Any) -> None:
    (face,) = served.faces("child.png")
    served.client.post("/api/corrections", json={"said": [{"kind": "age", "face_id": face, "low": 30}]})
    assert served.client.post("/photo/99999/say", data={"what": "undo"}).status_code == 404
    assert served.rows("SELECT age_source FROM v1_faces WHERE face_id = ?", face) == [("user",)]


def test_an_answer_to_a_tag_that_is_not_understood_rejects_nothing(served: Any) -> None:
    photo = served.photo("maybe/00.png")
    form = {"name": "People/Children", "above": 0.3, "photo_id": photo}
    assert served.client.post("/tag", data={**form, "what": "smile"}).status_code == 422
    assert served.client.get("/api/corrections").json() == []


@pytest.mark.parametrize("path", ["~\x00", "/" + "x" * 4000, "/nowhere", "nowhere", " "])
def test_a_folder_that_cannot_be_is_refused_with_a_reason(shared: Any, path: str) -> None:
    answer = shared.client.post("/api/folders", json={"path": path})
    assert answer.status_code == 422 and ("whole path" in answer.text or "not there" in answer.text)


def test_a_browser_gets_a_page_and_a_program_gets_json(shared: Any) -> None:
    page = shared.client.get("/photo/99999")
    assert page.status_code == 404 and "<h1>" in page.text and "there is no photo 99999" in page.text
    part = shared.client.get("/photo/99999", headers={"HX-Request": "true"})
    assert part.status_code == 404 and "<h1>" not in part.text and 'role="alert"' in part.text
    assert "there is no photo 99999" in shared.client.get("/api/photos/99999").json()["detail"]


def test_a_query_for_those_similar_to_a_face_that_there_is_not_is_refused_with_a_sentence(shared: Any) -> None:
    answer = shared.client.get("/api/search", params={"q": "similar:face:99999"})
    assert answer.status_code in (404, 422) and "99999" in answer.json()["detail"]
