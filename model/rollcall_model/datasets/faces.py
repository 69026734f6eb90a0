"""Aligned crops of labelled faces, as training and evaluation read them.

`prepare` runs the product's own detector over every picture once and stores the aligned crops in one memory-mapped
file, somewhat wider than the network's crop, so that training can rotate and shift them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, Int16, UInt8

from rollcall_model import runtime
from rollcall_model.attributes import align
from rollcall_model.datasets.samples import UNKNOWN, Sample
from rollcall_model.types import EMBEDDING, Detections, nearest_centre

#: Side of the network's crop, and of the stored one, in pixels; both show the face at the same size.
CROP: Final = 96
STORED: Final = 124
#: The teacher's embeddings of the default data sets, as published (see `load`).
TEACHER_EMBEDDINGS: Final = "teacher-dlib.npz"
#: Fraction of the mean teacher embedding that is subtracted from all. They lie in one narrow cone: uncentred, 0.9 of
#: every cosine is common to all faces, and a student learns little else. Fully centred, a blurred face, whose embedding
#: is near the mean, gets as long a vector as a sharp one. Accuracy on LFW's validation pairs: 98.4 % uncentred, 98.2 %
#: with one half, 97.5 % fully centred.
CENTRING: Final = 0.5
_BATCH: Final = 128

Detect = Callable[[Sequence[UInt8[np.ndarray, "h w 3"]]], Iterable[Detections]]


class Faces(NamedTuple):
    """Aligned crops with their labels; row i of every array is one face."""

    crops: UInt8[np.ndarray, "n s s 3"]  # RGB, memory-mapped
    detected: Bool[np.ndarray, " n"]
    samples: list[Sample]
    teacher: Float32[np.ndarray, "n 2 128"]  # of the picture and its mirror image, centred, unit length; 0: unknown

    @property
    def ages(self) -> Int16[np.ndarray, "n 2"]:
        """Completed years, from and to; UNKNOWN where there is no label."""
        return np.array([s.age or (UNKNOWN, UNKNOWN) for s in self.samples], np.int16).reshape(-1, 2)

    @property
    def female(self) -> Int16[np.ndarray, " n"]:
        """1, 0, or UNKNOWN where there is no label."""
        return np.array([UNKNOWN if s.female is None else int(s.female) for s in self.samples], np.int16)

    def where(self, source: str | None = None, split: str | None = None) -> Int[np.ndarray, " m"]:
        """Return the rows of one set and split; None: of all."""
        return np.array(
            [i for i, s in enumerate(self.samples) if source in (None, s.source) and split in (None, s.split)], np.int64
        )

    def with_age(self, rows: Int[np.ndarray, " m"]) -> Int[np.ndarray, " k"]:
        """Return those rows that have an age label, exact or a range."""
        return rows[self.ages[rows, 0] != UNKNOWN]

    def with_exact_age(self, rows: Int[np.ndarray, " m"]) -> Int[np.ndarray, " k"]:
        """Return those rows whose age is known to the year: errors in years are not defined for a range."""
        ages = self.ages[rows]
        return rows[(ages[:, 0] != UNKNOWN) & (ages[:, 0] == ages[:, 1])]


def central_crops(faces: Faces, rows: Int[np.ndarray, " n"], size: int) -> UInt8[np.ndarray, "n s s 3"]:
    """Return the network's crops, `size` pixels wide, of the stored ones, without augmentation."""
    low = (STORED - CROP) // 2
    crops = np.asarray(faces.crops[rows, low : low + CROP, low : low + CROP])
    if size == CROP:
        return crops
    return np.stack([cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) for crop in crops])


def decode(encoded: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """Return the RGB pixels of an encoded picture."""
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(pixels, np.uint8)[..., ::-1])


def prepare(
    samples: Sequence[Sample],
    read: Callable[[Sample], bytes],
    detect: Detect,
    folder: Path,
    progress: Callable[[int, int], Any] = lambda done, total: None,
) -> None:
    """Detect, align and store every sample's face under `folder`, as crops.npy and samples.jsonl.

    Where the detector finds no face, the centre of the picture is used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    crops = np.lib.format.open_memmap(
        folder / "crops.npy", mode="w+", dtype=np.uint8, shape=(len(samples), STORED, STORED, 3)
    )
    with ThreadPoolExecutor(runtime.processors()) as threads, (folder / "samples.jsonl.part").open("w") as lines:
        for start in range(0, len(samples), _BATCH):
            part = samples[start : start + _BATCH]
            pictures = list(threads.map(decode, [read(sample) for sample in part]))
            for row, (sample, picture, found) in enumerate(zip(part, pictures, detect(pictures), strict=True), start):
                height, width = picture.shape[:2]
                detected = len(found.scores) > 0
                landmarks = (
                    found.landmarks[nearest_centre(found, height, width)]
                    if detected
                    else align.central_landmarks(height, width)
                )
                crops[row] = align.crop(picture, landmarks, STORED, zoom=CROP / STORED)
                lines.write(json.dumps([*sample, detected]) + "\n")
            progress(min(start + _BATCH, len(samples)), len(samples))
    crops.flush()
    (folder / "samples.jsonl.part").replace(folder / "samples.jsonl")


def load(folder: Path, teacher: Path | None = None) -> Faces:
    """Return what `prepare` stored.

    `teacher` is an archive of the teacher's embeddings: name (set/file), embedding and embedding_flip, (m, 128).
    """
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    samples = [Sample(*row[:3], tuple(row[3]) if row[3] else None, *row[4:7]) for row in rows]  # type: ignore[call-arg]
    embeddings = np.zeros((len(rows), 2, EMBEDDING), np.float32)
    if teacher is not None:
        embeddings = _teacher_embeddings(teacher, samples)
    return Faces(
        np.load(folder / "crops.npy", mmap_mode="r"), np.array([row[7] for row in rows], bool), samples, embeddings
    )


def _teacher_embeddings(archive: Path, samples: Sequence[Sample]) -> Float32[np.ndarray, "n 2 128"]:
    """Return the embeddings of all samples, centred by the mean over the training faces, of unit length."""
    with np.load(io.BytesIO(archive.read_bytes())) as arrays:
        index = {name: i for i, name in enumerate(arrays["name"].tolist())}
        both = np.stack([arrays["embedding"], arrays["embedding_flip"]], axis=1).astype(np.float32)
    result = np.zeros((len(samples), 2, EMBEDDING), np.float32)
    for row, sample in enumerate(samples):
        if sample.name in index:
            result[row] = both[index[sample.name]]
    result /= np.maximum(np.linalg.norm(result, axis=-1, keepdims=True), 1e-9)
    training = np.array([sample.split == "train" and sample.name in index for sample in samples])
    result[np.abs(result).sum((1, 2)) > 0] -= CENTRING * result[training].mean((0, 1))
    norm = np.linalg.norm(result, axis=-1, keepdims=True)
    return np.divide(result, norm, out=result, where=norm > 0)
