"""Training pictures of the prefilter: faces composed on parts of photographs, labelled by the whole cascade.

The labels are the windows of P-Net that lead to a face that the cascade finds, so no annotation is needed, and what the
cascade does not find is background.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import click
import cv2
import numpy as np
from jaxtyping import Int, UInt8

from rollcall_model.detection import boxes as bx
from rollcall_model.detection import octaves, patches, pyramid
from rollcall_model.detection.cascade import CascadeDetector
from rollcall_model.detection.octaves import Octave
from rollcall_model.nn import pooling
from rollcall_model.training import augment

#: Side of a canvas in pixels of the prefilter's first octave.
SIDE: Final = 256
#: Smallest faces of the cascades that label the canvases, in turn. The faces drawn grow with them: where larger faces
#: are searched for, the later networks see more of the small ones that P-Net's first windows contain as well.
MIN_FACES: Final = (20, 30, 45)
#: A window leads to a face when its regressed box has this IoU with the face.
LEADS_IOU: Final = 0.5
_BATCH: Final = 16
_ECHO: Final = 20


class Canvases(NamedTuple):
    """n pictures of an octave, with their labels."""

    pixels: UInt8[np.ndarray, "n s s 3"]
    #: For each cell and level of the octave the face, numbered from 1, that a window of its patch leads to; 0: none.
    face: UInt8[np.ndarray, "n c c 2"]


def compose(
    rng: np.random.Generator,
    crops: Sequence[UInt8[np.ndarray, "h w 3"]],
    backgrounds: Sequence[UInt8[np.ndarray, "h w 3"]],
    min_face: int,
) -> UInt8[np.ndarray, "s s 3"]:
    """Return a picture of some faces, or of none, as large as a photograph reduced for the cascade."""
    side = round(SIDE * min_face / pyramid.WINDOW)
    canvas = _background(rng, backgrounds, side)
    kind = rng.random()
    count = 0 if kind < 0.25 else int(rng.integers(1, 7)) if kind < 0.75 else int(rng.integers(10, 40))
    for _ in range(count):
        crop = crops[int(rng.integers(len(crops)))]
        # A crop shows a face on about half of its side.
        width = int(np.exp(rng.uniform(np.log(1.0), np.log(7.0))) * min_face)
        face = cv2.resize(crop, (width, int(width * rng.uniform(0.9, 1.1))), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            face = face[:, ::-1]
        if rng.random() < 0.3:
            rotation = cv2.getRotationMatrix2D((width / 2, width / 2), rng.normal(0, 15), 1.0)
            face = cv2.warpAffine(face, rotation, face.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        top, left = (int(rng.integers(-length // 3, side - length // 2)) for length in face.shape[:2])
        inner = face[max(-top, 0) : side - top, max(-left, 0) : side - left]
        top, left = max(top, 0), max(left, 0)
        canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return _degrade(rng, canvas)


def _background(
    rng: np.random.Generator, backgrounds: Sequence[UInt8[np.ndarray, "h w 3"]], side: int
) -> UInt8[np.ndarray, "s s 3"]:
    """Return a square part of a photograph at any scale, or noise."""
    if rng.random() < 0.1:
        shape = (int(rng.integers(1, side)),) * 2
        noise = rng.normal(rng.uniform(30, 220), rng.uniform(0, 60), (*shape, 3))
        grain = np.clip(noise, 0, 255).astype(np.uint8)
        return as_pixels(cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC))
    photo = backgrounds[int(rng.integers(len(backgrounds)))]
    height, width = photo.shape[:2]
    smallest = min(64, height, width)
    size = int(np.exp(rng.uniform(np.log(smallest), np.log(min(height, width)))))
    top, left = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
    part = photo[top : top + size, left : left + size]
    interpolation = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    part = as_pixels(cv2.resize(part, (side, side), interpolation=interpolation))
    rotated: UInt8[np.ndarray, "s s 3"] = np.rot90(part, int(rng.integers(4)) if rng.random() < 0.3 else 0)
    return np.ascontiguousarray(rotated[:, ::-1] if rng.random() < 0.5 else rotated)


def _degrade(rng: np.random.Generator, canvas: UInt8[np.ndarray, "s s 3"]) -> UInt8[np.ndarray, "s s 3"]:
    """Change the light, desaturate, add noise, compress, as happens to photographs."""
    values = canvas.astype(np.float32)
    if rng.random() < 0.6:
        values = augment.change_light(values, rng)
    if rng.random() < 0.1:
        values[:] = values.mean(axis=2, keepdims=True)
    if rng.random() < 0.4:
        values += rng.normal(0, rng.uniform(1, 12), values.shape).astype(np.float32)
    canvas = np.clip(values, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, compressed = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
        canvas = as_pixels(cv2.imdecode(compressed, cv2.IMREAD_COLOR))
    return canvas


def as_pixels(picture: Any) -> UInt8[np.ndarray, "h w 3"]:
    """Return OpenCV's result as uint8."""
    return np.asarray(picture, np.uint8)


def label(
    detector: CascadeDetector, images: Sequence[UInt8[np.ndarray, "h w 3"]]
) -> list[list[tuple[Octave, UInt8[np.ndarray, "h w 2"]]]]:
    """Return the octaves of each image with the face of each of their cells, as in `Canvases`.

    `detector` is a thorough one; images are no larger than its resolution.
    """
    sums = [pooling.integral(image) for image in images]
    levels = detector.proposals.levels(images, [detector.config.min_face] * len(images))
    windows, numbers = detector.proposals.search(images, sums, levels)
    moved = windows.regressed()
    scales = np.array([level.scale for level in levels])
    # From the box in pixels back to the position of the window in its level.
    positions = np.rint((windows.boxes[:, :2] * scales[numbers, None] - 1) / pyramid.STRIDE + 0.25).astype(np.int64)
    patch = (positions - patches.FIRST) // patches.WINDOWS
    result = []
    for index, (image, faces) in enumerate(zip(images, detector.detect(images), strict=True)):
        mine = np.flatnonzero(windows.image == index)
        iou = bx.iou(moved[mine], bx.square(faces.boxes)) if len(faces.boxes) else np.zeros((len(mine), 1))
        face = np.where(iou.max(axis=1) >= LEADS_IOU, iou.argmax(axis=1) + 1, 0)
        leading, own = mine[face > 0], [n for n, level in enumerate(levels) if level.image == index]
        labels = _PatchLabels(levels, numbers[leading], patch[leading], face[face > 0])
        found = octaves.octaves(index, image.shape[0], image.shape[1], [levels[n] for n in own])
        result.append([(octave, labels.of_cells(octave, own, image.shape[:2])) for octave in found])
    return result


class _PatchLabels(NamedTuple):
    """The patches of one image's levels whose windows lead to a face."""

    levels: Sequence[pyramid.Level]
    number: Int[np.ndarray, " n"]  # position in `levels`
    patch: Int[np.ndarray, "n 2"]  # column and row
    face: Int[np.ndarray, " n"]

    def of_cells(self, octave: Octave, own: Sequence[int], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 2"]:
        """Return the face of each cell of an octave; `own` are the image's levels, `size` its height and width."""
        result = np.zeros((*octave.cells, 2), np.uint8)
        cells = np.argwhere(np.ones(octave.cells, bool))
        for number in own:
            level = self.levels[number]
            octave_number, half = octaves.octave_of(level)
            if octave_number != octave.number or not octaves.is_filtered(level):
                continue
            marked = np.zeros(patches.grid(level), np.uint8)
            here = self.number == number
            column, row = self.patch[here].T
            marked[row, column] = self.face[here]
            rows, columns = patches.patch_of(level, octave, size, cells).T
            result[..., half] = marked[rows, columns].reshape(octave.cells)
        return result


def make_canvases(
    rng: np.random.Generator,
    count: int,
    crops: Sequence[UInt8[np.ndarray, "h w 3"]],
    backgrounds: Sequence[UInt8[np.ndarray, "h w 3"]],
    detectors: Sequence[CascadeDetector],
) -> Canvases:
    """Compose `count` canvases and label them by the detectors in turn."""
    pixels = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    face = np.zeros((count, SIDE // octaves.CELL, SIDE // octaves.CELL, 2), np.uint8)
    began = time.perf_counter()
    for start in range(0, count, _BATCH):
        detector = detectors[start // _BATCH % len(detectors)]
        images = [compose(rng, crops, backgrounds, detector.config.min_face) for _ in range(min(_BATCH, count - start))]
        for number, (image, labelled) in enumerate(zip(images, label(detector, images), strict=True), start):
            octave, of_cells = labelled[0]
            pixels[number] = octaves.draw(image, [octave])[0]
            face[number] = of_cells
        if start // _BATCH % _ECHO == 0:
            rate = (start + len(images)) / (time.perf_counter() - began)
            click.echo(f"{start + len(images):,} of {count:,} canvases, {rate:.0f} a second")
    return Canvases(pixels, face)
