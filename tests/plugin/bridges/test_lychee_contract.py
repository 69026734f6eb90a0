"""What Lychee and the tests of its own face service ask of a face service, asked of ours in requests as Lychee's.

Of a service whose parts are other ones, the behaviour is tested that those tests are about: through the interface.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from blobs import BlobAnalyzer, draw
from fake_lychee import KEY, FakeLychee, detect, make, work
from rollcall.bridges.lychee import worker
from rollcall.bridges.lychee.running import LycheeService
from rollcall.settings import load


def delete(client: TestClient, path: str, value: Any) -> Any:
    answer = client.request("DELETE", path, json=value, headers=KEY)
    assert answer.status_code == 200, answer.text
    return answer.json()


def match(client: TestClient, file: Path) -> Any:
    answer = client.post("/match", files={"image": (file.name, file.read_bytes())}, headers=KEY)
    assert answer.status_code == 200, answer.text
    return answer.json()["matches"]


@pytest.fixture
def found(client: TestClient, service: LycheeService, lychee: FakeLychee) -> FakeLychee:
    """The faces of two photos are found, and sent."""
    detect(client, "a", "or/a.png")
    detect(client, "b", "or/b.png")
    work(service)
    return lychee


def test_health_tells_without_a_key_whether_the_networks_are_loaded(client: TestClient, service: LycheeService) -> None:
    assert client.get("/health").json() == {"status": "degraded", "model_loaded": False, "embedding_count": 0}
    service.load()
    assert client.get("/health").json() == {"status": "ok", "model_loaded": True, "embedding_count": 0}


def test_a_wrong_key_is_401_for_an_upload_too(client: TestClient, uploads: Path) -> None:
    picture = {"file": ("selfie.png", (uploads / "or" / "b.png").read_bytes(), "image/png")}
    assert client.post("/match", files=picture).status_code == 422
    assert client.post("/match", files=picture, headers={"X-API-Key": "wrong"}).status_code == 401


def test_the_configuration_is_that_of_the_detector_in_use_without_secrets(tmp_path: Path, uploads: Path) -> None:
    values = {"lychee_url": "http://lychee", "lychee_key": "lychee-key", "lychee_photos": str(uploads)}
    for network, threshold in (("single-pass", "0.6"), ("mtcnn-2016", "0.8")):
        settings = load(
            None,
            {
                **{f"bridges.{name}": value for name, value in values.items()},
                "detector.network": network,
                "detector.threshold": 0.6,
                "detector.threshold_onet": 0.8,
            },
        )
        service = LycheeService(settings, BlobAnalyzer(), tmp_path / network, FakeLychee())
        shown = TestClient(service.app()).get("/config", headers=KEY).json()["config"]
        assert (shown["detector_backend"], shown["detection_threshold"]) == (network, threshold)
        assert shown["match_threshold"] == "0.4" and shown["blur_threshold"] == "0" and shown["verify_ssl"] == "True"
        assert not any(secret in str(shown) for secret in values.values())
        service.store.close()


def test_a_job_has_the_whole_path_of_the_file(client: TestClient, service: LycheeService, uploads: Path) -> None:
    for path in ("or/a.png", "/or/a.png"):
        detect(client, "a", path)
        job = service.store.next_job()
        assert job is not None and (job.photo, job.path) == ("a", str((uploads / "or" / "a.png").resolve()))


def test_the_queue_moves_on_until_it_is_empty(client: TestClient, service: LycheeService) -> None:
    assert client.get("/queue", headers=KEY).json() == {"pending": 0}
    for photo in ("a", "b", "none"):
        detect(client, photo, f"or/{photo}.png")
    assert service.worker.step()
    assert client.get("/queue", headers=KEY).json() == {"pending": 2}
    assert client.get("/queue/b", headers=KEY).json() == {"photo_id": "b", "position": 1}
    assert client.get("/queue/a", headers=KEY).status_code == 404
    answer = client.delete("/queue", headers=KEY)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/queue", headers=KEY).json() == {"pending": 0}


def test_faces_come_with_the_highest_score_first_and_a_box_within_the_picture(
    client: TestClient, service: LycheeService, lychee: FakeLychee, uploads: Path
) -> None:
    draw(uploads / "edge.png", (0, 0), (120, 255), seed=4)
    detect(client, "edge", "edge.png")
    work(service)
    scores = [face["confidence"] for face in lychee.faces["edge"].values()]
    assert len(scores) == 2 and scores == sorted(scores, reverse=True)
    assert not lychee.refused


def test_a_selfie_of_nobody_who_is_known_has_no_matches(
    found: FakeLychee, client: TestClient, service: LycheeService, uploads: Path
) -> None:
    draw(uploads / "other.png", (128, 128), seed=5)
    service.worker.similarity = 0.999
    assert match(client, uploads / "other.png") == []
    assert len(match(client, uploads / "or" / "b.png")) == 2


def test_matches_come_with_the_most_similar_first(found: FakeLychee, client: TestClient, uploads: Path) -> None:
    similarities = [one["confidence"] for one in match(client, uploads / "or" / "a.png")]
    assert similarities == sorted(similarities, reverse=True)
    assert all(0 <= one <= 1 for one in similarities)


def test_what_is_deleted_or_purged_is_matched_no_more(found: FakeLychee, client: TestClient, uploads: Path) -> None:
    selfie = uploads / "or" / "b.png"
    (own,) = found.faces["b"]
    first = {one["lychee_face_id"] for one in match(client, selfie)}
    assert own in first
    assert delete(client, "/embeddings", {"face_ids": [own]}) == {"deleted": 1}
    assert {one["lychee_face_id"] for one in match(client, selfie)} == first - {own}
    assert delete(client, "/embeddings/sync", {"face_ids": [], "batch": 0}) == {"marked": 0}
    # Lychee sends an empty list as the body of a request that has no values.
    assert delete(client, "/embeddings/purge", []) == {"deleted": 2}
    assert match(client, selfie) == [] and client.get("/health").json()["embedding_count"] == 0


def test_later_batches_only_mark_and_nothing_present_is_purged(found: FakeLychee, client: TestClient) -> None:
    first, second = found.faces["a"]
    (third,) = found.faces["b"]
    assert delete(client, "/embeddings/sync", {"face_ids": [first], "batch": 0}) == {"marked": 1}
    for _ in range(2):
        assert delete(client, "/embeddings/sync", {"face_ids": [second, third], "batch": 3}) == {"marked": 2}
    assert delete(client, "/embeddings/purge", []) == {"deleted": 0}


def test_an_export_names_what_lychee_compares(found: FakeLychee, client: TestClient) -> None:
    exported = client.get("/embeddings/export", headers=KEY).json()
    assert exported["count"] == client.get("/health").json()["embedding_count"] == 3
    assert {(one["lychee_face_id"], one["photo_id"]) for one in exported["embeddings"]} == {
        (number, photo) for photo, faces in found.faces.items() for number in faces
    }
    assert all(isinstance(one["laplacian_variance"], float) for one in exported["embeddings"])


def test_a_request_for_groups_has_an_empty_list(found: FakeLychee, client: TestClient, service: LycheeService) -> None:
    found.labels = {}
    assert client.post("/cluster", json=[], headers=KEY).status_code == 202
    work(service)
    assert len(found.labels) == 3 and not found.refused


def test_without_faces_no_groups_are_sent_as_lychee_refuses_an_empty_result(
    client: TestClient, service: LycheeService, lychee: FakeLychee
) -> None:
    assert client.post("/cluster", json=[], headers=KEY).status_code == 202
    work(service)
    assert not lychee.requests and not service.store.jobs()


def test_a_photo_that_was_deleted_in_lychee_does_not_hold_up_the_others(
    client: TestClient, service: LycheeService, lychee: FakeLychee, caplog: pytest.LogCaptureFixture
) -> None:
    lychee.delete("a")
    detect(client, "a", "or/a.png")
    detect(client, "b", "or/b.png")
    with caplog.at_level(logging.ERROR):
        work(service)
    assert lychee.status == {"a": "error", "b": "success"}
    assert "could not take the result of photo a" in caplog.text
    assert not lychee.refused and not service.store.jobs()
    assert {photo for _, photo, _ in service.store.export()} == {"b"}


def test_while_all_of_lychee_fails_a_photo_waits(
    client: TestClient, service: LycheeService, lychee: FakeLychee
) -> None:
    lychee.trouble = lambda *_: "500"
    detect(client, "a", "or/a.png")
    assert not service.worker.step()
    lychee.trouble = lambda *_: None
    work(service)
    assert lychee.status == {"a": "success"}


def test_groups_arrive_although_lychee_lost_a_face_without_a_word(
    found: FakeLychee, client: TestClient, service: LycheeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same face on two photos is told apart, so that each is suggested for the other.
    monkeypatch.setattr(worker, "cluster", lambda vectors, similarity: list(range(len(vectors))))
    client.post("/cluster", json=[], headers=KEY)
    work(service)
    assert found.suggestions
    found.delete("b")
    client.post("/cluster", json=[], headers=KEY)
    work(service)
    assert set(found.labels) == set(found.faces["a"]) and found.suggestions == []
    assert not found.refused and not service.store.jobs()


@pytest.mark.parametrize("status", ["401", "403"])
def test_results_wait_while_the_key_is_not_the_same(
    client: TestClient, service: LycheeService, lychee: FakeLychee, status: str
) -> None:
    lychee.trouble = lambda *_: status
    detect(client, "a", "or/a.png")
    assert not service.worker.step()
    lychee.trouble = lambda *_: None
    work(service)
    assert lychee.status == {"a": "success"}


def test_the_service_takes_up_what_was_in_work_when_it_ended(
    client: TestClient, service: LycheeService, lychee: FakeLychee, tmp_path: Path, uploads: Path
) -> None:
    detect(client, "a", "or/a.png")
    service.worker.current = service.store.jobs()[0][0]
    service.store.close()
    after = make(tmp_path, uploads, lychee)
    assert TestClient(after.app()).get("/queue/a", headers=KEY).json() == {"photo_id": "a", "position": 1}
    work(after)
    assert lychee.status == {"a": "success"}
    after.store.close()
