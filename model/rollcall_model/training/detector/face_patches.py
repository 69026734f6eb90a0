"""Patches: upright faces with room around them and their true landmarks, which the refiner is trained on.

They are made of labelled pictures, or read from a folder that can be carried to another machine as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt64

from rollcall_model import geometry, runtime
from rollcall_model.datasets.exclusion import usable
from rollcall_model.detection import boxes as bx
from rollcall_model.detection import refiner
from rollcall_model.detection.candidates import Candidates
from rollcall_model.detection.cascade import CascadeDetector
from rollcall_model.nn import pooling
from rollcall_model.training.detector.pack import Pack
from rollcall_model.training.detector.pictures import Source

#: Side of a stored patch, and how much smaller a face is in it than in a crop of that side: room for errors.
PATCH: Final = 128
ZOOM: Final = 0.72
#: MTCNN's landmarks are taken of faces of such a side in pixels, such a probability, and such a difference from the
#: teacher's, in sides.
_PSEUDO_SIDE: Final = 36.0
_PSEUDO_SCORE: Final = 0.97
_PSEUDO_ERROR: Final = 0.12
#: Of the faces every tenth is not trained on but measured on.
_HELD_OUT: Final = 10
_TURNED: Final = 0.8


class Patches(NamedTuple):
    """Upright faces with room around them, and their true landmarks in pixels of the patch."""

    pixels: UInt8[np.ndarray, "n 128 128 3"]  # BGR
    landmarks: Float32[np.ndarray, "n 5 2"]
    weights: Float32[np.ndarray, " n"]  # how often each is shown, in proportion


def patches(sources: Iterable[Source], excluded: UInt64[np.ndarray, " h"], weight: float = 1.0) -> Patches:
    """Return the patches of all labelled faces; pictures in a test set are left out."""

    def of(source: Source) -> list[tuple[np.ndarray, np.ndarray]]:
        encoded = source.path.read_bytes()
        if not usable(encoded, excluded):
            return []
        image = np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        return [_patch(image, landmarks) for landmarks in source.faces.landmarks]

    with ThreadPoolExecutor(runtime.processors()) as threads:
        return _collected([one for some in threads.map(of, sources) for one in some], weight)


def pseudo_labelled(pack: Pack, weight: float = 1.0) -> Patches:
    """Return patches of a pack's larger faces with the landmarks that MTCNN's output network gives them.

    Faces in the wild have true landmarks in few sets. Kept are those it is sure of and the teacher agrees with.
    """
    cascade = CascadeDetector()
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for index, faces in enumerate(pack.faces):
        sides = np.sqrt(bx.area(faces.boxes))
        chosen = np.flatnonzero(~faces.ignored & (sides >= _PSEUDO_SIDE) & ~np.isnan(faces.landmarks).any((1, 2)))
        if not len(chosen):
            continue
        image = pack.picture(index)
        count = len(chosen)
        offsets = np.zeros((count, 4), np.float32)
        candidates = Candidates(np.zeros(count, np.int64), bx.square(faces.boxes[chosen]), offsets[:, 0], offsets)
        scored = cascade.score_crops([pooling.integral(np.ascontiguousarray(image[..., ::-1]))], candidates)
        for box, probability, landmarks in zip(scored.boxes, scored.scores, scored.landmarks, strict=True):
            nearest = int(bx.iou(box[None], faces.boxes[chosen])[0].argmax())
            difference = np.linalg.norm(faces.landmarks[chosen[nearest]] - landmarks, axis=1).mean()
            if probability >= _PSEUDO_SCORE and difference < _PSEUDO_ERROR * sides[chosen[nearest]]:
                found.append(_patch(image, landmarks))
    return _collected(found, weight)


def held_out(data: Patches) -> tuple[Patches, Patches]:
    """Return the patches to train on, and every tenth, to measure on."""
    tenth = np.arange(len(data.pixels)) % _HELD_OUT == 0
    return Patches(*(column[~tenth] for column in data)), Patches(*(column[tenth] for column in data))


def turned(data: Patches) -> Bool[np.ndarray, " n"]:
    """Return which faces are turned: their eyes are nearer than 0.8 of their distance from the mouth."""
    left, right, _, low, high = data.landmarks.swapaxes(0, 1)
    height = np.linalg.norm((left + right - low - high) / 2, axis=1)
    return np.asarray(np.linalg.norm(right - left, axis=1) < _TURNED * height)


def joined(parts: Sequence[Patches]) -> Patches:
    """Return all patches together."""
    return Patches(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _patch(image: UInt8[np.ndarray, "h w 3"], landmarks: Float32[np.ndarray, "5 2"]) -> tuple[np.ndarray, np.ndarray]:
    matrix = refiner.crop_matrix(landmarks, PATCH)
    # Around the crop's centre, so that the face keeps its place.
    matrix = (matrix - [[0, 0, PATCH / 2]] * 2) * ZOOM + [[0, 0, PATCH / 2]] * 2
    return geometry.cut(image, matrix, PATCH), geometry.moved(landmarks, matrix)


def _collected(found: Sequence[tuple[np.ndarray, np.ndarray]], weight: float) -> Patches:
    pixels = np.array([one[0] for one in found], np.uint8).reshape(-1, PATCH, PATCH, 3)
    landmarks = np.array([one[1] for one in found], np.float32).reshape(-1, 5, 2)
    return Patches(pixels, landmarks, np.full(len(found), weight, np.float32))


def write(folder: Path, data: Patches, quality: int) -> None:
    """Write patches to a folder, as WebP of a quality of 1 to 100."""
    folder.mkdir(parents=True, exist_ok=True)

    def encoded(pixels: UInt8[np.ndarray, "128 128 3"]) -> bytes:
        return cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()

    with ThreadPoolExecutor(runtime.processors()) as threads:
        files = list(threads.map(encoded, data.pixels))
    (folder / "patches.bin").write_bytes(b"".join(files))
    ends = np.cumsum([len(file) for file in files], dtype=np.int64)
    np.savez_compressed(folder / "patches.npz", ends=ends, landmarks=data.landmarks, weights=data.weights)


def read(folder: Path) -> Patches:
    """Return the patches of a folder."""
    stored, data = np.load(folder / "patches.npz"), np.fromfile(folder / "patches.bin", np.uint8)

    def decoded(file: UInt8[np.ndarray, " b"]) -> UInt8[np.ndarray, "128 128 3"]:
        return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)

    with ThreadPoolExecutor(runtime.processors()) as threads:
        pixels = list(threads.map(decoded, np.split(data, stored["ends"][:-1])))
    return Patches(np.array(pixels, np.uint8).reshape(-1, PATCH, PATCH, 3), stored["landmarks"], stored["weights"])
