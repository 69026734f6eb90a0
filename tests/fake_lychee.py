"""A strict Lychee that takes the results of its face service, and what tests of the service share.

Written from Lychee's rules for the two addresses, its tables, and the documentation of its face service.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from blobs import BlobAnalyzer
from rollcall.bridges.lychee.running import LycheeService
from rollcall.settings import load
from strict_server import BadRequest, Reply, StrictServer, body, checked

KEY = {"X-API-Key": "lychee-key"}


class FakeLychee(StrictServer):
    """The two addresses that take results; a result replaces all faces of its photo."""

    def __init__(self) -> None:
        super().__init__()
        self.faces: dict[str, dict[str, dict[str, Any]]] = {}  # photo to number to face
        self.status: dict[str, str] = {}
        self.labels: dict[str, int] = {}
        self.suggestions: list[dict[str, Any]] = []
        self.numbers = 0
        self.deleted: set[str] = set()  # photos and faces
        self.route("POST", "/api/v2/FaceDetection/results", self.guarded(self._results))
        self.route("POST", "/api/v2/FaceDetection/cluster-results", self.guarded(self._clusters))

    def allowed(self) -> bool:
        return self.headers.get("x-api-key") == "lychee-key"

    def _results(self, query: Any, content: bytes | None) -> Reply:
        value = checked(
            body(content), {"photo_id": str, "status": str}, {"faces": [dict], "error_code": str, "message": str}
        )
        if value["status"] == "error":
            checked(value, {"photo_id": str, "status": str, "error_code": str, "message": str})
            self.status[value["photo_id"]] = "error"
            return Reply(200, {"faces": []})
        if value["status"] != "success" or "faces" not in value:
            raise BadRequest("neither faces nor an error")
        box = dict.fromkeys(("x", "y", "width", "height", "confidence"), float)
        made: dict[str, dict[str, Any]] = {}
        mapping = []
        for face in value["faces"]:
            kinds = {**box, "laplacian_variance": float, "embedding_id": str, "crop": str, "suggestions": [dict]}
            checked(face, kinds)
            if not all(0 <= face[name] <= 1 for name in box):
                raise BadRequest("a number outside of 0 to 1")
            known = {number for faces in self.faces.values() for number in faces}
            for one in face["suggestions"]:
                checked(one, {"lychee_face_id": str, "confidence": float})
                if one["lychee_face_id"] not in known or not 0 <= one["confidence"] <= 1:
                    raise BadRequest("a suggestion of a face that is not there")
            self.numbers += 1
            made[f"face-{self.numbers}"] = face
            mapping.append({"embedding_id": face["embedding_id"], "lychee_face_id": f"face-{self.numbers}"})
        if made and value["photo_id"] in self.deleted:
            return Reply(500, {"message": "the row that a foreign key names is not there"})
        self.status[value["photo_id"]] = "success"
        self.faces[value["photo_id"]] = made
        return Reply(200, {"faces": mapping})

    def _clusters(self, query: Any, content: bytes | None) -> Reply:
        value = checked(body(content), {"labels": [dict]}, {"suggestions": [dict]})
        if not value["labels"]:
            return self.refuse(422, "labels are required")
        known = {number for faces in self.faces.values() for number in faces} | self.deleted
        for one in value["labels"]:
            checked(one, {"face_id": str, "cluster_label": int})
            if one["face_id"] not in known:
                raise BadRequest("a label of a face that is not there")
        for one in value.get("suggestions", []):
            checked(one, {"face_id": str, "suggested_face_id": str, "confidence": float})
            if not {one["face_id"], one["suggested_face_id"]} <= known or not 0 <= one["confidence"] <= 1:
                raise BadRequest("a suggestion of a face that is not there")
        suggestions = value.get("suggestions", [])
        if any({one["face_id"], one["suggested_face_id"]} & self.deleted for one in suggestions):
            return Reply(500, {"message": "the row that a foreign key names is not there"})
        labels = {one["face_id"]: one["cluster_label"] for one in value["labels"]}
        self.labels = {one: label for one, label in labels.items() if one not in self.deleted}
        self.suggestions = suggestions
        return Reply(202)

    def delete(self, photo: str) -> None:
        """Delete a photo with its faces; the face service is not told."""
        self.deleted |= {photo, *self.faces.pop(photo, ())}

    def photo_of(self, number: str) -> str:
        return next(photo for photo, faces in self.faces.items() if number in faces)


def make(tmp_path: Path, uploads: Path, lychee: FakeLychee) -> LycheeService:
    settings = load(
        None,
        {
            "bridges.lychee_url": "http://lychee",
            "bridges.lychee_key": "lychee-key",
            "bridges.lychee_photos": str(uploads),
        },
    )
    return LycheeService(settings, BlobAnalyzer(), tmp_path / "rollcall.db.lychee", lychee)


def work(service: LycheeService) -> None:
    while service.worker.step():
        pass


def detect(client: TestClient, photo: str, path: str) -> None:
    answer = client.post("/detect", json={"photo_id": photo, "photo_path": path}, headers=KEY)
    assert answer.status_code == 202, answer.text
