"""Photos of coloured squares and an analyzer that finds them, for tests that do not need the networks.

A face is a square of red 255, green = its age in years, blue = 0 for male and 255 for female.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rollcall.records import Box, Face, Picture


def draw(path: Path, *faces: tuple[int, int], seed: int = 0) -> Path:
    """Write a PNG with one square for each (age, blue), and a background that depends on `seed`."""
    pixels = np.full((120, 200, 3), 30, np.uint8)
    pixels[:20] = np.random.default_rng([seed, len(faces)]).integers(0, 60, (20, 200, 3))
    for number, (age, blue) in enumerate(faces):
        pixels[50:80, 10 + 38 * number : 40 + 38 * number] = (255, age, blue)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is complete, so that a watcher gets one event.
    part = path.with_name(path.name + ".part")
    Image.fromarray(pixels).save(part, "PNG")
    os.replace(part, path)
    return path


class BlobAnalyzer:
    """Finds the squares, counts the pictures in `seen`, and fails on files whose name is in `refuse`."""

    def __init__(self, model_version: str = "blobs-1") -> None:
        self.model_version = model_version
        self.seen = 0
        self.refuse: set[str] = set()

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the squares of each picture."""
        for picture in pictures:
            if picture.path.name in self.refuse:
                raise ValueError("this picture is refused")
        self.seen += len(pictures)
        return [self._faces(picture) for picture in pictures]

    def describe(self, picture: Picture, boxes: Sequence[Box]) -> list[Face]:
        """Return for each box the square that contains its centre, else a face of 33 years."""
        result = []
        for box in boxes:
            centre = (box.x + box.width / 2, box.y + box.height / 2)
            near = [
                face
                for face in self._faces(picture)
                if face.box.x <= centre[0] <= face.box.x + face.box.width
                and face.box.y <= centre[1] <= face.box.y + face.box.height
            ]
            found = near[0] if near else self._face(picture, (0, 0, 1, 1), 33, 128)
            result.append(replace(found, box=box, detected=False))
        return result

    def _faces(self, picture: Picture) -> tuple[Face, ...]:
        mask = (picture.pixels[..., 0] == 255).astype(np.uint8)
        _height, _width = mask.shape
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        faces = []
        for x, y, w, h, _ in stats[1:count].tolist():
            _, age, blue = picture.pixels[y + h // 2, x + w // 2].tolist()
            faces.append(self._face(picture, (x, y, w, h), age, blue))
        return tuple(faces)

    @staticmethod
    def _face(picture: Picture, place: tuple[int, int, int, int], age: int, blue: int) -> Face:
        (x, y, w, h), (height, width) = place, picture.pixels.shape[:2]
        distribution = np.zeros(101, np.float32)
        for year, weight in ((age - 1, 0.25), (age, 0.5), (age + 1, 0.25)):
            distribution[min(max(year, 0), 100)] += weight
        embedding = np.random.default_rng([age, blue]).normal(size=128).astype(np.float32)
        return Face(
            box=Box(x / width, y / height, w / width, h / height),
            landmarks=tuple(((x + w * a) / width, (y + h * b) / height) for a, b in _POINTS),
            score=0.99,
            sharpness=1.0,
            age_distribution=distribution,
            p_female=blue / 255,
            embedding=embedding / np.linalg.norm(embedding),
        )


_POINTS = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
