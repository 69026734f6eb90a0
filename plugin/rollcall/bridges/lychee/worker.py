"""The thread that does Lychee's jobs, one after the other, and sends the results."""

from __future__ import annotations

import base64
import logging
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from rollcall.bridges.connection import Connection
from rollcall.bridges.lychee.clustering import cluster
from rollcall.bridges.lychee.store import Job, LycheeStore, StoredFace
from rollcall.errors import BridgeError, NotAPictureError, PictureError, TooLargeError, UnreadableError
from rollcall.indexing.run import PictureAnalyzer
from rollcall.media import decode
from rollcall.records import Box, Face, Picture
from rollcall.settings import Settings
from rollcall.storage.failures import of_other

_LOG: Final = logging.getLogger(__name__)
_RESULTS: Final = "/api/v2/FaceDetection/results"
_CLUSTERS: Final = "/api/v2/FaceDetection/cluster-results"
#: More faces of one photo than this, the lowest-scoring ones, are not sent.
MOST_FACES: Final = 100
_CROP: Final = 150  # pixels
_LONGEST_PAUSE: Final = 300.0  # seconds
#: Statuses below 500 that are not about the result that was sent.
_WAITING: Final = frozenset({401, 403, 408, 425, 429})
#: Similar faces of other groups that are sent for each face.
_SUGGESTIONS: Final = 3


class Engine:
    """Finds faces in files and uploaded pictures; one at a time, as the networks use all processors."""

    def __init__(self, analyzer: PictureAnalyzer, settings: Settings) -> None:
        self._analyzer, self._settings = analyzer, settings
        self._lock = threading.Lock()
        self.loaded = threading.Event()

    @property
    def model(self) -> str:
        """The model version of the embeddings."""
        return str(self._analyzer.model_version)

    def load(self) -> None:
        """Load the networks.

        Raises
        ------
        ModelError
            If they cannot be loaded.
        """
        warm_up = getattr(self._analyzer, "warm_up", None)
        if warm_up is not None:
            with self._lock:
                warm_up()
        self.loaded.set()

    def analyze(self, file: Path) -> tuple[Picture, list[Face]]:
        """Return a file's picture and its faces with embeddings, the highest-scoring first.

        Raises
        ------
        PictureError
            If the picture cannot be used.
        """
        picture = decode.decode(file, target=self._settings.detector.resolution, limits=self._settings.decode)
        with self._lock:
            (faces,) = self._analyzer.analyze([picture])
        self.loaded.set()
        return picture, sorted(faces, key=lambda face: -face.score)


class Worker(threading.Thread):
    """Does the jobs of the store until `stop` is set; a job is removed once Lychee has its result."""

    def __init__(self, store: LycheeStore, engine: Engine, connection: Connection, similarity: float) -> None:
        super().__init__(name="rollcall-lychee", daemon=True)
        self.store, self.engine, self.connection, self.similarity = store, engine, connection, similarity
        self.stopping = connection.stop
        self.woken = threading.Event()
        self.current: int = 0  # the number of the job in work

    def run(self) -> None:
        """Work until stopped."""
        pause = 1.0
        while not self.stopping.is_set():
            try:
                done, waits = self.step(), self.store.next_job() is not None
            except sqlite3.Error as error:  # such as of a full disk: the thread goes on when there is room
                _LOG.error("%s: %s; the jobs of Lychee wait", self.store.file, of_other(error))
                done, waits = False, True
            if not done:
                self.woken.wait(pause if waits else 60.0)
                self.woken.clear()
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = 1.0

    def step(self) -> bool:
        """Do the job that waits longest; return False if none waits, or Lychee cannot be reached for now."""
        job = self.store.next_job()
        if job is None:
            return False
        self.current = job.id
        try:
            if job.kind == "detect":
                self._detect(job)
            else:
                self._cluster()
        except BridgeError as error:
            # Lychee restarts, is away, or the key is not the same there, which somebody sets right: the job waits.
            if not 400 <= error.status_there < 500 or error.status_there in _WAITING:
                _LOG.warning("the result of photo %s waits: %s", job.photo, error)
                return False
            _LOG.error("Lychee refuses the result of photo %s: %s", job.photo, error)
        finally:
            self.current = 0
        self.store.end_job(job)
        if job.kind == "detect" and self.store.count():
            # Lychee expects groups after the last photo without asking for them.
            self.store.add_job_if_idle("cluster")
        return True

    def _detect(self, job: Job) -> None:
        try:
            picture, faces = self.engine.analyze(Path(job.path))
        except PictureError as error:
            self._send_error(job.photo, _code(error), error.reason)
            return
        except Exception as error:  # one picture that makes the analysis fail must not end the service
            _LOG.exception("the analysis of %s failed", job.path)
            self._send_error(job.photo, "internal_error", f"the analysis failed ({type(error).__name__})")
            return
        sent = {uuid.uuid4().hex: face for face in faces[:MOST_FACES] if face.embedding is not None}
        payload = {
            "photo_id": job.photo,
            "status": "success",
            "faces": [self._face(number, face, picture, job.photo) for number, face in sent.items()],
        }
        # Lychee replaces a photo's faces by these, so that a result may arrive twice.
        try:
            answer = self.connection.ask(_RESULTS, payload)
        except BridgeError as error:
            if error.status_there != 500:
                raise
            # So it answers each time for a photo that was deleted there meanwhile. If it takes the error, it works,
            # and this one result would hold up all others for ever.
            self._send_error(job.photo, "internal_error", "Lychee could not take the result")
            _LOG.error("Lychee could not take the result of photo %s: %s", job.photo, error)
            return
        self.store.replace_photo(job.photo, self._stored(job.photo, sent, answer))

    def _stored(self, photo: str, sent: dict[str, Face], answer: Any) -> list[StoredFace]:
        """Return the faces by the numbers that Lychee gave them.

        Raises
        ------
        BridgeError
            If its answer does not name them.
        """
        try:
            numbers = {str(one["embedding_id"]): str(one["lychee_face_id"]) for one in answer["faces"]}
        except (TypeError, KeyError) as error:
            raise BridgeError(
                self.connection.url, "its answer does not name the faces; check the version of Lychee"
            ) from error
        stored = []
        for number, face in sent.items():
            if number in numbers and face.embedding is not None:
                stored.append(StoredFace(numbers[number], photo, face.embedding, face.sharpness))
        return stored

    def _face(self, number: str, face: Face, picture: Picture, photo: str) -> dict[str, Any]:
        assert face.embedding is not None
        box = clipped(face.box)
        suggestions = self.store.similar(face.embedding, self.similarity, but=photo)
        return {
            "x": box.x,
            "y": box.y,
            "width": box.width,
            "height": box.height,
            "confidence": min(max(face.score, 0.0), 1.0),
            "embedding_id": number,
            "crop": base64.b64encode(crop(picture.pixels, box)).decode("ascii"),
            "laplacian_variance": face.sharpness,
            "suggestions": [{"lychee_face_id": one, "confidence": similarity} for one, similarity in suggestions],
        }

    def _send_error(self, photo: str, code: str, message: str) -> None:
        self.connection.ask(_RESULTS, {"photo_id": photo, "status": "error", "error_code": code, "message": message})

    def _cluster(self) -> None:
        ids, vectors = self.store.vectors()
        if not ids:
            return  # Lychee refuses a result without labels
        labels = cluster(vectors, self.similarity)
        payload = {
            "labels": [{"face_id": one, "cluster_label": label} for one, label in zip(ids, labels, strict=True)],
            "suggestions": self._across(ids, labels, vectors),
        }
        try:
            self.connection.ask(_CLUSTERS, payload)
        except BridgeError as error:
            if error.status_there != 500 or not payload["suggestions"]:
                raise
            # A suggestion of a face that was deleted there, without a word to this service, makes all of it fail.
            self.connection.ask(_CLUSTERS, {**payload, "suggestions": []})

    def _across(self, ids: Sequence[str], labels: Sequence[int], vectors: NDArray[np.float32]) -> list[dict[str, Any]]:
        """Return for each face similar ones of other groups, for review."""
        of = dict(zip(ids, labels, strict=True))
        found = []
        for one, label, vector in zip(ids, labels, vectors, strict=True):
            near = self.store.similar(vector, self.similarity, limit=_SUGGESTIONS + 10)
            others = [(other, value) for other, value in near if of[other] != label][:_SUGGESTIONS]
            found += [{"face_id": one, "suggested_face_id": other, "confidence": value} for other, value in others]
        return found


def clipped(box: Box) -> Box:
    """Return the part of a box that lies within the picture."""
    x, y = min(max(box.x, 0.0), 1.0), min(max(box.y, 0.0), 1.0)
    return Box(x, y, min(box.x + box.width, 1.0) - x, min(box.y + box.height, 1.0) - y)


def crop(pixels: NDArray[np.uint8], box: Box) -> bytes:
    """Return a JPEG of 150 by 150 pixels: the square around a face, with a margin, within the picture.

    Parameters
    ----------
    pixels
        (h, w, 3), RGB.
    box
        Fractions of the picture.
    """
    height, width = pixels.shape[:2]
    side = min(max(box.width * width, box.height * height) * 1.3, width, height)
    left = min(max((box.x + box.width / 2) * width - side / 2, 0.0), width - side)
    top = min(max((box.y + box.height / 2) * height - side / 2, 0.0), height - side)
    size = max(int(side), 1)
    part = pixels[int(top) : int(top) + size, int(left) : int(left) + size]
    scaled = cv2.resize(part, (_CROP, _CROP), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(scaled, cv2.COLOR_RGB2BGR))
    return bytes(encoded)


def _code(error: PictureError) -> str:
    if isinstance(error, TooLargeError):
        return "oom"
    if isinstance(error, NotAPictureError):
        return "corrupt_file"
    return "unreadable_file" if isinstance(error, UnreadableError) else "unsupported_file"
