"""Candidate boxes of many images between the stages of the cascade, as pure functions of NumPy arrays."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from rollcall_model.detection import boxes as bx
from rollcall_model.detection.config import QuickSearch


class Candidates(NamedTuple):
    """n boxes of a batch of images: left, top, right, bottom in pixels of the reduced images."""

    image: Int[np.ndarray, " n"]  # position of the image in the batch
    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    offsets: Float32[np.ndarray, "n 4"]  # regression, as fractions of width and height

    def take(self, index: Int[np.ndarray, " k"]) -> Candidates:
        """Return the candidates at `index`."""
        return Candidates(*(column[index] for column in self))

    def concat(self, other: Candidates) -> Candidates:
        """Return the candidates of both."""
        return Candidates(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def regressed(self, extra: float = 0.0) -> Float[np.ndarray, "n 4"]:
        """Return the boxes after regression, as squares (see `boxes.regress` for `extra`)."""
        return bx.square(bx.regress(self.boxes, self.offsets, extra=extra))


class ScoredFaces(NamedTuple):
    """O-Net's faces in pixels of the reduced images, as in `Detections`, with the crops they were found on."""

    crops: Candidates
    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    landmarks: Float32[np.ndarray, "n 5 2"]

    def concat(self, other: ScoredFaces) -> ScoredFaces:
        """Return the faces of both."""
        crops = self.crops.concat(other.crops)
        return ScoredFaces(crops, *(np.concatenate(pair) for pair in zip(self[1:], other[1:], strict=True)))


def no_candidates() -> Candidates:
    """Return no candidates."""
    empty = np.zeros((0, 4), np.float32)
    return Candidates(np.zeros(0, np.int64), empty, np.zeros(0, np.float32), empty)


def runs(values: Int[np.ndarray, " n"], within: Int[np.ndarray, " k"] | None = None) -> list[Int[np.ndarray, " m"]]:
    """Return the indices of each run of equal values, of those in `within` alone where it is passed."""
    index = np.arange(len(values)) if within is None else within
    return np.split(index, np.flatnonzero(np.diff(values[index])) + 1) if len(index) else []


def nms_per_image(candidates: Candidates, threshold: float) -> Int[np.ndarray, " k"]:
    """Return the indices that non-maximum suppression keeps in each image, image by image."""
    nms = partial(bx.nms, threshold=threshold)
    images = (np.flatnonzero(candidates.image == image) for image in np.unique(candidates.image))
    keep = [mine[nms(candidates.boxes[mine], candidates.scores[mine])] for mine in images]
    return np.concatenate(keep) if keep else np.zeros(0, np.int64)


def split_by_iou(candidates: Candidates, iou: float) -> tuple[Candidates, Candidates]:
    """Return the highest-scoring of candidates with a higher IoU, and the others."""
    highest = nms_per_image(candidates, iou)
    others = np.setdiff1d(np.arange(len(candidates.image)), highest)
    return candidates.take(highest), candidates.take(others)


def decided(others: Candidates, scored: Candidates, quick: QuickSearch) -> Bool[np.ndarray, " n"]:
    """Return which of `others` need no score of their own, given R-Net's scores of similar candidates."""
    moved = scored.regressed(extra=1)
    result = np.zeros(len(others.image), bool)
    for mine in runs(others.image):
        here = scored.image == others.image[mine[0]]
        faces, rejected = here & (scored.scores >= quick.accept), here & (scored.scores < quick.reject)
        boxes = others.boxes[mine]
        result[mine] = (bx.iou(boxes, moved[faces]) > quick.similar_iou).any(axis=1)
        # A box near an undecided candidate is never skipped as no face.
        undecided = (bx.iou(boxes, scored.boxes[here & ~rejected]) > quick.similar_iou / 2).any(axis=1)
        result[mine] |= (bx.iou(boxes, scored.boxes[rejected]) > quick.similar_iou).any(axis=1) & ~undecided
    return result


def uncovered(others: Candidates, faces: ScoredFaces, iou: float) -> Int[np.ndarray, " k"]:
    """Return the indices of those of `others` that have no such IoU with the crop of any face in their image."""
    ious = bx.iou(others.boxes, faces.crops.boxes) * (others.image[:, None] == faces.crops.image)
    return np.flatnonzero((ious <= iou).all(axis=1))
