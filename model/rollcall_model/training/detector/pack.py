"""A pack: training pictures as JPEG and their faces in two files, to be carried to another machine as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt64

from rollcall_model.datasets.exclusion import usable
from rollcall_model.detection import boxes as bx
from rollcall_model.training.detector.pictures import Faces, Source

#: Longest side of a picture in a pack, in pixels.
_SIDE: Final = 1024
_QUALITY: Final = 92
#: The teacher's boxes: from the first score on a face, from the second on unsure.
_SURE, _UNSURE = 0.7, 0.3
#: A labelled box and a teacher's box with a higher IoU are one face.
_SAME_FACE: Final = 0.4
#: Scales at which the teacher looks at a picture; enlarged it finds smaller faces.
_SCALES: Final = (0.4, 1.0, 1.6)


class Detecting(Protocol):
    """What finds the faces of pictures whose labels do not tell all, as `teacher.Teacher`."""

    def detect(
        self, image: UInt8[np.ndarray, "h w 3"], scales: tuple[float, ...], threshold: float
    ) -> tuple[Float32[np.ndarray, "n 4"], Float32[np.ndarray, "n 5 2"], Float32[np.ndarray, " n"]]:
        """Return boxes, landmarks and scores of the faces of a BGR image."""


class Pack(NamedTuple):
    """Pictures and faces in memory; pictures are decoded when they are asked for."""

    data: bytes
    offsets: np.ndarray  # (n + 1,): where each picture begins in `data`
    faces: list[Faces]

    def __len__(self) -> int:
        return len(self.faces)

    def picture(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return a picture, BGR."""
        encoded = np.frombuffer(self.data, np.uint8)[self.offsets[index] : self.offsets[index + 1]]
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def merge(
    labelled: Source,
    boxes: Float32[np.ndarray, "m 4"],
    landmarks: Float32[np.ndarray, "m 5 2"],
    scores: Float32[np.ndarray, " m"],
) -> Faces:
    """Return a picture's faces by its labels and by the teacher.

    A labelled face without landmarks takes those of the teacher's box on it. Of the teacher's other boxes the sure ones
    are faces, or unsure ones where the labels claim to be complete; the rest are unsure: neither face nor background.
    """
    faces = labelled.faces
    overlap = bx.iou(faces.boxes, boxes) if len(boxes) else np.zeros((len(faces.boxes), 0))
    points = faces.landmarks.copy()
    for index in range(len(points)):
        if overlap.shape[1] and overlap[index].max() > _SAME_FACE and np.isnan(points[index]).any():
            points[index] = landmarks[overlap[index].argmax()]
    other = ~(overlap > _SAME_FACE).any(axis=0) if len(faces.boxes) else np.ones(len(boxes), bool)
    unsure = (scores < _SURE) | labelled.complete
    return Faces(
        np.concatenate([faces.boxes, boxes[other]]).astype(np.float32),
        np.concatenate([points, landmarks[other]]).astype(np.float32),
        np.concatenate([faces.ignored, unsure[other]]),
    )


def prepare(
    sources: Iterable[Source], teacher: Detecting, excluded: UInt64[np.ndarray, " h"], threads: int
) -> Iterator[tuple[bytes, Faces]]:
    """Yield each usable picture as JPEG with its faces, in order; those in a test set are left out."""

    def one(source: Source) -> tuple[bytes, Faces] | None:
        encoded = source.path.read_bytes()
        if not usable(encoded, excluded):
            return None
        image = np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        factor = min(_SIDE / max(image.shape[:2]), 1.0)
        if factor < 1:
            size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        faces = source.faces._replace(boxes=source.faces.boxes * factor, landmarks=source.faces.landmarks * factor)
        found = teacher.detect(image, _SCALES if max(image.shape[:2]) <= _SIDE * 0.8 else _SCALES[:2], _UNSURE)
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        return jpeg, merge(source._replace(faces=faces), *found)

    with ThreadPoolExecutor(threads) as pool:
        for result in pool.map(one, sources):
            if result is not None:
                yield result


def write(folder: Path, pictures: Iterable[tuple[bytes, Faces]]) -> int:
    """Write a pack; return how many pictures it has."""
    folder.mkdir(parents=True, exist_ok=True)
    offsets, faces = [0], []
    with (folder / "pictures.bin").open("wb") as file:
        for encoded, found in pictures:
            file.write(encoded)
            offsets.append(offsets[-1] + len(encoded))
            faces.append(found)
    np.savez_compressed(
        folder / "faces.npz",
        offsets=np.array(offsets),
        counts=np.array([len(one.boxes) for one in faces]),
        boxes=np.concatenate([one.boxes for one in faces]),
        landmarks=np.concatenate([one.landmarks for one in faces]),
        ignored=np.concatenate([one.ignored for one in faces]),
    )
    return len(faces)


def read(folder: Path) -> Pack:
    """Return the pack of a folder."""
    stored = np.load(folder / "faces.npz")
    ends = np.cumsum(stored["counts"])[:-1]
    parts = (np.split(stored[name], ends) for name in ("boxes", "landmarks", "ignored"))
    return Pack(
        (folder / "pictures.bin").read_bytes(), stored["offsets"], [Faces(*one) for one in zip(*parts, strict=True)]
    )
