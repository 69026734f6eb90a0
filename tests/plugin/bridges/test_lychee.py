"""The face service for Lychee, with a strict Lychee that gets its results."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from blobs import BlobAnalyzer, draw
from fake_lychee import KEY, FakeLychee, detect, make, work
from rollcall.bridges.lychee.clustering import cluster
from rollcall.bridges.lychee.running import LycheeService
from rollcall.bridges.lychee.store import LycheeStore, StoredFace
from rollcall.bridges.lychee.worker import clipped, crop
from rollcall.errors import BridgeError, SettingsError
from rollcall.people.evidence import evidence
from rollcall.records import Box
from rollcall.search import nuisance
from rollcall.settings import load
from strict_server import Killed


def test_a_file_that_cannot_be_used_is_one_sentence_and_its_jobs_wait(
    service: LycheeService, client: TestClient, lychee: FakeLychee
) -> None:
    connection = service.store._connection
    assert client.post("/detect", json={"photo_id": "p", "photo_path": "or/a.png"}, headers=KEY).status_code == 202
    for table in ("jobs", "faces"):
        connection.execute(f"ALTER TABLE {table} RENAME TO away_{table}")
    answer = client.request("DELETE", "/embeddings", json={"face_ids": ["x"]}, headers=KEY)
    assert answer.status_code == 503 and "it is the database of another program" in answer.json()["detail"]
    service.worker.start()
    time.sleep(0.2)
    for table in ("jobs", "faces"):
        connection.execute(f"ALTER TABLE away_{table} RENAME TO {table}")
    for _ in range(600):
        service.worker.woken.set()
        if lychee.status:
            break
        time.sleep(0.05)
    service.worker.stopping.set()
    service.worker.woken.set()
    service.worker.join(30)
    assert lychee.status == {"p": "success"}


@pytest.mark.parametrize("content", [b"no database at all " * 9, None], ids=["not a database", "a folder"])
def test_a_file_that_cannot_be_opened_is_told_in_words(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "x.lychee"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(BridgeError, match=r"x\.lychee: .*(damaged one|may not be opened); allow it, or delete"):
        LycheeStore(file, "model")


def test_detected_faces_arrive_with_boxes_crops_and_suggestions(
    client: TestClient, service: LycheeService, lychee: FakeLychee
) -> None:
    detect(client, "a", "or/a.png")
    detect(client, "b", "or/b.png")
    detect(client, "none", "or/none.png")
    work(service)
    assert not lychee.refused
    assert {photo: len(faces) for photo, faces in lychee.faces.items()} == {"a": 2, "b": 1, "none": 0}
    (number, face), _ = lychee.faces["a"].items()
    assert (face["x"], face["width"], face["suggestions"]) == (pytest.approx(0.05), pytest.approx(0.15), [])
    with Image.open(io.BytesIO(base64.b64decode(face["crop"]))) as image:
        assert (image.format, image.size) == ("JPEG", (150, 150))
    (same,) = lychee.faces["b"].values()
    assert [(one["lychee_face_id"], round(one["confidence"], 2)) for one in same["suggestions"]] == [(number, 1.0)]
    assert client.get("/health").json() == {"status": "ok", "model_loaded": True, "embedding_count": 3}


def test_a_picture_that_cannot_be_used_is_an_error_with_its_code(
    client: TestClient, service: LycheeService, lychee: FakeLychee
) -> None:
    detect(client, "broken", "or/broken.jpg")
    work(service)
    assert lychee.status == {"broken": "error"}
    assert not lychee.refused and not service.store.jobs()


def test_a_second_result_of_a_photo_takes_the_place_of_the_first(
    client: TestClient, service: LycheeService, lychee: FakeLychee
) -> None:
    for _ in range(2):
        detect(client, "a", "or/a.png")
        work(service)
    assert service.store.count() == 2
    assert {one for one, _, _ in service.store.export()} == set(lychee.faces["a"])


@pytest.mark.parametrize("trouble", ["500", "429", "half", "lost", "refuse to connect"])
def test_a_result_that_does_not_arrive_is_sent_again(
    client: TestClient, service: LycheeService, lychee: FakeLychee, trouble: str
) -> None:
    lychee.trouble = lambda number, *_: trouble if number == 1 else None
    detect(client, "a", "or/a.png")
    work(service)
    assert len(lychee.faces["a"]) == 2
    assert {one for one, _, _ in service.store.export()} == set(lychee.faces["a"])


def test_jobs_wait_while_lychee_is_away_and_survive_a_kill(
    client: TestClient, service: LycheeService, lychee: FakeLychee, tmp_path: Path, uploads: Path
) -> None:
    lychee.trouble = lambda *_: "503"
    detect(client, "a", "or/a.png")
    assert not service.worker.step()
    assert [photo for _, photo in service.store.jobs()] == ["a"]
    lychee.trouble = lambda number, *_: "kill after"
    with pytest.raises(Killed):
        service.worker.step()
    lychee.trouble = lambda *_: None
    service.store.close()
    after = make(tmp_path, uploads, lychee)
    work(after)
    assert {one for one, _, _ in after.store.export()} == set(lychee.faces["a"])
    assert not after.store.jobs() and not lychee.refused
    after.store.close()


def test_the_worker_starts_and_stops_with_the_application(service: LycheeService, lychee: FakeLychee) -> None:
    with TestClient(service.app()) as client:
        detect(client, "b", "or/b.png")
        for _ in range(3000):
            if lychee.status:
                break
            service.stop.wait(0.02)
    assert lychee.status == {"b": "success"}
    assert not service.worker.is_alive()


def test_faces_are_grouped_and_the_labels_arrive(
    client: TestClient, service: LycheeService, lychee: FakeLychee
) -> None:
    for photo in ("a", "b"):
        detect(client, photo, f"or/{photo}.png")
    assert client.post("/cluster", headers=KEY).status_code == 202
    work(service)
    assert not lychee.refused
    groups: dict[int, set[str]] = {}
    for number, label in lychee.labels.items():
        groups.setdefault(label, set()).add(lychee.photo_of(number))
    assert sorted(map(sorted, groups.values())) == [["a"], ["a", "b"]]


def test_the_last_photo_that_waits_starts_the_grouping(
    client: TestClient, service: LycheeService, lychee: FakeLychee
) -> None:
    detect(client, "none", "or/none.png")
    work(service)
    assert not lychee.labels, "without faces nothing is grouped"
    detect(client, "a", "or/a.png")
    detect(client, "b", "or/b.png")
    assert service.worker.step() and [photo for _, photo in service.store.jobs()] == ["b"]
    work(service)
    assert lychee.labels.keys() == {number for faces in lychee.faces.values() for number in faces}
    assert not lychee.refused and not service.store.jobs()


def test_jobs_are_done_in_their_order_and_a_full_queue_takes_no_more(service: LycheeService) -> None:
    store = service.store
    assert [store.add_job("detect", photo, most=2) for photo in ("a", "b", "c")] == [True, True, False]
    assert not store.add_job_if_idle("cluster")
    first = store.next_job()
    assert first is not None and first.photo == "a"
    store.end_job(first)
    store.end_job(first)
    assert [photo for _, photo in store.jobs()] == ["b"]
    assert store.add_job("detect", "c", most=2)


@pytest.mark.parametrize("field", ["file", "image"])
def test_a_selfie_is_matched(
    client: TestClient, service: LycheeService, lychee: FakeLychee, uploads: Path, field: str
) -> None:
    detect(client, "a", "or/a.png")
    work(service)
    picture = (uploads / "or" / "b.png").read_bytes()
    answer = client.post("/match", files={field: ("selfie.png", picture, "image/png")}, headers=KEY)
    assert answer.status_code == 200
    (match,) = answer.json()["matches"]
    assert match["lychee_face_id"] in lychee.faces["a"] and match["confidence"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["none.png", "broken.jpg"])
def test_a_selfie_without_a_face_is_422(client: TestClient, uploads: Path, name: str) -> None:
    picture = (uploads / "or" / name).read_bytes()
    assert client.post("/match", files={"file": ("s", picture)}, headers=KEY).status_code == 422
    assert client.post("/match", files={"other": ("s", picture)}, headers=KEY).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("POST", "/detect", {"photo_id": "p", "photo_path": "or/a.png"}),
        ("POST", "/cluster", None),
        ("POST", "/match", None),
        ("DELETE", "/embeddings", {"face_ids": ["face-1"]}),
        ("DELETE", "/embeddings/sync", {"face_ids": [], "batch": 0}),
        ("DELETE", "/embeddings/purge", None),
        ("GET", "/embeddings/export", None),
        ("GET", "/queue", None),
        ("DELETE", "/queue", None),
        ("GET", "/queue/p", None),
        ("GET", "/config", None),
    ],
)
def test_every_request_but_health_needs_the_key(client: TestClient, method: str, path: str, value: Any) -> None:
    assert client.request(method, path, json=value).status_code == 422
    assert client.request(method, path, json=value, headers={"X-API-Key": "wrong"}).status_code == 401
    assert client.get("/").url.path == "/health"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../etc/passwd", "or/../../secret.png", "link.png", "or", "missing.png", "a\0b"]
)
def test_nothing_outside_of_the_photos_is_opened(client: TestClient, uploads: Path, path: str) -> None:
    draw(uploads.parent / "secret.png", (5, 0))
    (uploads / "link.png").symlink_to(uploads.parent / "secret.png")
    answer = client.post("/detect", json={"photo_id": "p", "photo_path": path}, headers=KEY)
    assert answer.status_code == 400


def test_an_absolute_path_below_the_photos_is_taken(client: TestClient, uploads: Path) -> None:
    detect(client, "a", str(uploads / "or" / "a.png"))


def test_a_full_queue_is_429(client: TestClient, service: LycheeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.store, "add_job", lambda *_: False)
    assert client.post("/cluster", headers=KEY).status_code == 429
    value = {"photo_id": "a", "photo_path": "or/a.png"}
    assert client.post("/detect", json=value, headers=KEY).status_code == 429


def test_the_queue_is_counted_placed_and_purged(client: TestClient, service: LycheeService) -> None:
    for photo in ("a", "b"):
        detect(client, photo, f"or/{photo}.png")
    detect(client, "b", "or/b.png")
    assert client.get("/queue", headers=KEY).json() == {"pending": 2}
    assert client.get("/queue/b", headers=KEY).json() == {"photo_id": "b", "position": 2}
    service.worker.current = service.store.jobs()[0][0]
    assert client.get("/queue/a", headers=KEY).json() == {"photo_id": "a", "position": 0}
    assert client.get("/queue/other", headers=KEY).status_code == 404
    assert client.delete("/queue", headers=KEY).status_code == 204
    assert [photo for _, photo in service.store.jobs()] == ["a"], "the one in work is not affected"


def test_embeddings_are_deleted_marked_and_purged(
    client: TestClient, service: LycheeService, lychee: FakeLychee
) -> None:
    detect(client, "a", "or/a.png")
    detect(client, "b", "or/b.png")
    work(service)
    first, second = lychee.faces["a"]
    (third,) = lychee.faces["b"]

    def delete(path: str, value: Any = None) -> Any:
        return client.request("DELETE", path, json=value, headers=KEY)

    assert delete("/embeddings", {"face_ids": [first, "unknown"]}).json() == {"deleted": 1}
    assert delete("/embeddings", {"face_ids": []}).status_code == 422
    assert delete("/embeddings/purge").json() == {"deleted": 0}
    for _ in range(2):
        assert delete("/embeddings/sync", {"face_ids": [second], "batch": 0}).json() == {"marked": 1}
    assert delete("/embeddings/sync", {"face_ids": [], "batch": 1}).json() == {"marked": 0}
    assert delete("/embeddings/sync", {"face_ids": [], "batch": -1}).status_code == 422
    assert delete("/embeddings/purge").json() == {"deleted": 1}
    exported = client.get("/embeddings/export", headers=KEY).json()
    assert [one["lychee_face_id"] for one in exported["embeddings"]] == [second] != [third]
    assert exported["embeddings"][0].keys() == {"lychee_face_id", "photo_id", "laplacian_variance", "crop_path"}


def test_the_configuration_is_shown_without_the_key(client: TestClient) -> None:
    shown = client.get("/config", headers=KEY).json()["config"]
    assert all(isinstance(value, str) for value in shown.values())
    assert {"match_threshold", "cluster_eps", "max_faces_per_photo", "model_name", "workers"} <= shown.keys()
    assert "lychee-key" not in str(shown)


@pytest.mark.parametrize("name", ["lychee_url", "lychee_key", "lychee_photos"])
def test_a_setting_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    values = {"lychee_url": "http://lychee", "lychee_key": "key", "lychee_photos": str(tmp_path), name: ""}
    settings = load(None, {f"bridges.{key}": value for key, value in values.items()})
    with pytest.raises(SettingsError, match=f"bridges.{name}"):
        LycheeService(settings, BlobAnalyzer(), tmp_path / "x")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no database, but long enough to look like one\n" * 200)
    with pytest.raises(BridgeError, match="cannot be opened"):
        LycheeStore(tmp_path / "x", "model")


def test_similar_faces_come_in_their_order_and_only_of_one_model(tmp_path: Path) -> None:
    def unit(*values: float) -> Any:
        vector = np.array(values, np.float32)
        return vector / np.linalg.norm(vector)

    store = LycheeStore(tmp_path / "x", "one")
    faces = {"near": unit(1, 0.1), "same": unit(1, 0), "far": unit(0, 1), "half": unit(1, 1)}
    for name, vector in faces.items():
        store.replace_photo(f"photo of {name}", [StoredFace(name, f"photo of {name}", vector, 1.0)])
    assert [name for name, _ in store.similar(unit(1, 0), 0.5)] == ["same", "near", "half"]
    assert [name for name, _ in store.similar(unit(1, 0), 0.5, limit=1)] == ["same"]
    assert [name for name, _ in store.similar(unit(1, 0), 0.5, but="photo of same")] == ["near", "half"]
    store.close()
    other = LycheeStore(tmp_path / "x", "two")
    assert other.count() == 4 and other.similar(unit(1, 0), 0.5) == []
    other.close()


def test_strangers_are_not_similar_by_what_poor_faces_have_in_common(tmp_path: Path) -> None:
    weights = evidence().weights
    random = np.random.default_rng(0)
    poor = 2 * nuisance.directions(weights)[0] + random.normal(size=(3, 128)) / np.sqrt(128)
    poor = (poor / np.linalg.norm(poor, axis=1, keepdims=True)).astype(np.float32)
    store = LycheeStore(tmp_path / "x", f"single-pass-10+{weights}:0123")
    for number, vector in enumerate(poor):
        store.replace_photo(str(number), [StoredFace(f"face {number}", str(number), vector, 1.0)])
    assert float((poor @ poor.T).min()) > 0.7
    assert [name for name, _ in store.similar(poor[0], 0.5)] == ["face 0"]
    assert cluster(store.vectors()[1], 0.5) == [0, 1, 2]
    store.close()


def vectors(*directions: tuple[int, float]) -> Any:
    """Return unit vectors: an axis each, and how far they lean to an axis of their own."""
    found = np.zeros((len(directions), 64), np.float32)
    for row, (axis, lean) in enumerate(directions):
        found[row, axis], found[row, 32 + row] = 1, lean
    return found


def test_equal_faces_are_one_group_and_others_are_not() -> None:
    assert cluster(vectors(), 0.5) == []
    assert cluster(vectors((0, 0)), 0.6) == [0]
    assert cluster(vectors((0, 0), (1, 0), (2, 0)), 0.9) == [0, 1, 2]
    assert cluster(vectors((0, 0), (0, 0.05), (1, 0), (0, 0.05)), 0.7) == [0, 0, 1, 0]
    assert cluster(vectors((0, 0), (0, 0.02), (1, 0)), 0.9, smallest=2) == [0, 0, -1]


def test_a_chain_of_similar_faces_is_not_one_person() -> None:
    angles = np.linspace(0, np.pi / 2, 12)
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = cluster(chain, 0.9)
    assert labels[0] != labels[-1], "although each is similar to the next"
    assert len(set(labels)) < 12


def test_large_sets_are_taken_apart_and_grouped_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from rollcall.bridges.lychee import clustering

    rng = np.random.default_rng(1)
    centres = rng.normal(size=(20, 64))
    points = np.repeat(centres, 15, axis=0) + 0.1 * rng.normal(size=(300, 64))
    expected = [row // 15 for row in range(300)]
    assert cluster(points.astype(np.float32), 0.5) == expected
    monkeypatch.setattr(clustering, "_LARGEST", 10)
    monkeypatch.setattr(clustering, "_BLOCK", 7)
    assert cluster(points.astype(np.float32), 0.5) == expected


def test_a_crop_is_a_square_of_150_pixels_within_the_picture() -> None:
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[20:40, 30:50] = (250, 10, 10)
    for box in (Box(0.25, 0.25, 0.17, 0.25), Box(-0.1, -0.1, 0.2, 0.2), Box(0, 0, 1, 1), Box(0.99, 0.99, 0.5, 0.5)):
        with Image.open(io.BytesIO(crop(pixels, clipped(box)))) as image:
            assert image.size == (150, 150)
    with Image.open(io.BytesIO(crop(pixels, Box(0.25, 0.25, 0.17, 0.25)))) as image:
        red, _, blue = image.getpixel((75, 75))  # type: ignore[misc]
        assert red > 200 and blue < 60
