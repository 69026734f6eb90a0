"""Training pictures with the boxes and landmarks of their faces, and readers of the usual forms of labels."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from rollcall_model.detection import boxes as bx
from rollcall_model.evaluation.detection import Labelled

_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
#: Of the 68 landmarks, those whose means are the five of the detector: eyes, tip of the nose, corners of the mouth.
_FIVE_OF_68: Final = (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,))
#: Some sets leave out the contour of the face (and two points of the lips): 49 of the 68.
_CONTOUR: Final = 17
#: A box around 68 landmarks is extended by these shares of its sides to reach from the forehead to the chin.
_POINTS_MARGIN: Final = (0.05, 0.25, 0.05, 0.02)
#: The same for a box around five landmarks.
_FIVE_MARGIN: Final = 0.6
#: Longest side of pictures for an evaluation, and the least side of faces that count, in pixels.
_SEEN: Final = 1280
LEAST_FACE: Final = 20


class Faces(NamedTuple):
    """The labelled faces of one picture, in its pixels."""

    boxes: Float32[np.ndarray, "n 4"]  # left, top, right, bottom
    landmarks: Float32[np.ndarray, "n 5 2"]  # NaN where unknown
    ignored: Bool[np.ndarray, " n"]  # whether such a box is neither a face nor none, as an unsure one


class Source(NamedTuple):
    """A picture and what is known of its faces; `complete` if every face of some size has a box."""

    path: Path
    faces: Faces
    complete: bool


def no_faces() -> Faces:
    """Return the faces of a picture without any."""
    return Faces(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, bool))


def unknown_landmarks(boxes: Float32[np.ndarray, "n 4"]) -> Faces:
    """Return faces of which only the boxes are known."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Faces(boxes, np.full((len(boxes), 5, 2), np.nan, np.float32), np.zeros(len(boxes), bool))


def read_voc(images: Path, annotations: Path) -> Iterator[Source]:
    """Yield the pictures of a folder that have a Pascal VOC annotation (XML) of the same name.

    Objects of any name are faces, since sets of masked faces name them by their mask.
    """
    for path in _pictures(images):
        file = annotations / f"{path.stem}.xml"
        if not file.is_file():
            continue
        boxes = [
            [float(box.findtext(name, "0")) for name in ("xmin", "ymin", "xmax", "ymax")]
            for box in ET.parse(file).getroot().iter("bndbox")
        ]
        yield Source(path, unknown_landmarks(np.array(boxes, np.float32)), complete=True)


def read_points(folder: Path) -> Iterator[Source]:
    """Yield the pictures of a folder that have 68 landmarks beside them, in a `.pts` file; other faces have no box.

    With or without the form's header; coordinates count pixel centres from one, as Matlab does.
    """
    for path in _pictures(folder):
        file = path.with_suffix(".pts")
        if file.is_file():
            yield Source(path, from_68(read_pts(file)), complete=False)


def read_pts(file: Path) -> Float32[np.ndarray, "68 2"]:
    """Return the landmarks of a file, in pixels whose centres lie at one half.

    Raises
    ------
    ValueError
        If it does not hold 68 of them.
    """
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    numbers = [[float(part) for part in line] for line in lines if len(line) == 2 and _is_number(line[0])]
    points = np.array(numbers, np.float32)
    if points.shape != (68, 2):
        raise ValueError(f"{file}: holds {len(points)} landmarks, not 68; leave it out or mend it")
    # The centre of the first pixel is 1 in such a file.
    return points - np.float32(0.5)


def from_68(points: Float32[np.ndarray, "68 2"]) -> Faces:
    """Return the face of 68 landmarks: five of them, and a box around all."""
    five = np.stack([points[list(part)].mean(axis=0) for part in _FIVE_OF_68])
    low, high = points.min(axis=0), points.max(axis=0)
    size = high - low
    left, top, right, bottom = _POINTS_MARGIN
    box = np.concatenate([low - size * (left, top), high + size * (right, bottom)])
    return Faces(box[None].astype(np.float32), five[None].astype(np.float32), np.zeros(1, bool))


def read_text_points(images: Path, points: Path) -> Iterator[Source]:
    """Yield the pictures of a folder with 49 or 68 landmarks in a text file of the same name, two numbers a line."""
    for path in _pictures(images):
        file = points / f"{path.stem}.txt"
        if not file.is_file():
            continue
        found = np.loadtxt(file, np.float32).reshape(-1, 2)
        yield Source(path, from_68(found if len(found) == 68 else _with_contour(found)), complete=False)


def read_table_points(images: Path, table: Path) -> Iterator[Source]:
    """Yield the pictures named in a CSV table: a name, then the coordinates of 68 landmarks."""
    for row in list(csv.reader(table.read_text(encoding="utf-8").splitlines()))[1:]:
        path = images / row[0]
        if path.is_file():
            yield Source(path, from_68(np.array(row[1:137], np.float32).reshape(68, 2)), complete=False)


def read_five_points(images: Path, listing: Path) -> Iterator[Source]:
    """Yield the pictures named in a list of five landmarks each, a line a picture; other faces have no box.

    A line is a name, and either ten numbers, x of all before y of all (MTFL, Zhang et al. 2014, without attributes), or
    left, right, top, bottom of a box and x and y of each (Sun et al. 2013). Lines of missing pictures are left out.

    Raises
    ------
    ValueError
        If a line is neither.
    """
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), 1):
        name, *numbers = line.split()
        path = images / name.replace("\\", "/")
        if path.is_file():
            points = _five(np.array(numbers, np.float32))
            if points is None:
                raise ValueError(f"{listing}, line {number}: holds no five landmarks; leave it out or mend it")
            low, high = points.min(axis=0), points.max(axis=0)
            box = np.concatenate([low - (high - low) * _FIVE_MARGIN, high + (high - low) * _FIVE_MARGIN])
            yield Source(path, Faces(box[None], points[None], np.zeros(1, bool)), complete=False)


def _five(numbers: Float32[np.ndarray, " k"]) -> Float32[np.ndarray, "5 2"] | None:
    """Return the landmarks of a line of a list, if it has one of the two forms."""
    if len(numbers) == 10:
        return np.ascontiguousarray(numbers.reshape(2, 5).T)
    if len(numbers) == 14 and numbers[0] < numbers[1] and numbers[2] < numbers[3]:
        return numbers[4:].reshape(5, 2)
    return None


def _with_contour(points: Float32[np.ndarray, "49 2"]) -> Float32[np.ndarray, "68 2"]:
    """Return 68 landmarks of which the missing ones are the mean of the others: they are not among the five."""
    missing = np.broadcast_to(points.mean(axis=0), (68, 2)).copy()
    missing[_CONTOUR : _CONTOUR + len(points)] = points
    return missing


def read_unlabelled(folder: Path) -> Iterator[Source]:
    """Yield the pictures of a folder of which nothing is known."""
    for path in _pictures(folder):
        yield Source(path, no_faces(), complete=False)


def as_labelled(source: Source) -> Labelled:
    """Return a picture to evaluate, reduced to what the detector sees; faces below 20 pixels need not be found."""
    image = np.asarray(cv2.imdecode(np.fromfile(source.path, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    factor = min(_SEEN / max(image.shape[:2]), 1.0)
    if factor < 1:
        image = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    boxes = source.faces.boxes * np.float32(factor)
    return Labelled(np.ascontiguousarray(image[..., ::-1]), boxes, np.sqrt(bx.area(boxes)) < LEAST_FACE)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()
