"""Scenes: random square parts of training pictures at random scales, turned, in bad light, blurred, compressed."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from rollcall_model.training.detector.pack import Pack
from rollcall_model.training.detector.pictures import Faces

#: Faces that a scene has at most.
FACES: Final = 96
#: Sides that a chosen face takes, in pixels: log-uniform.
_FACE_SIDE: Final = (9.0, 220.0)
#: Faces that fill the frame are rarer and larger.
_FILLING: Final = 0.08
#: Least and greatest factor between a picture and a scene.
_SCALE: Final = (0.12, 3.0)
#: Share of a scene's side that a picture's shorter side covers at least.
_COVERED: Final = 0.75
#: A face counts when so much of its box lies inside, and its side is so long.
_INSIDE, _LEAST_SIDE = 0.5, 7.0
#: Order of landmarks and corners in the mirror image.
_MIRRORED: Final = [1, 0, 2, 4, 3]


class Scene(NamedTuple):
    """A scene of side s and its faces, in its pixels; empty places have boxes of zero size."""

    pixels: UInt8[np.ndarray, "s s 3"]  # RGB
    boxes: Float32[np.ndarray, "f 4"]
    landmarks: Float32[np.ndarray, "f 5 2"]  # NaN where unknown
    ignored: Bool[np.ndarray, " f"]  # boxes that count neither as faces nor as background


class Turns(NamedTuple):
    """Shares of scenes that are turned."""

    quarter: float = 0.18  # by 90, 180 or 270 degrees
    tilt: float = 0.4  # by a random angle, normally distributed
    tilt_degrees: float = 20.0
    any_angle: float = 0.05


def draw(pack: Pack, index: int, side: int, count: int, rng: np.random.Generator, turns: Turns) -> list[Scene]:
    """Return scenes of one picture, decoded once."""
    picture = pack.picture(index)
    return [_scene(picture, pack.faces[index], side, rng, turns) for _ in range(count)]


def _scene(
    picture: UInt8[np.ndarray, "h w 3"], faces: Faces, side: int, rng: np.random.Generator, turns: Turns
) -> Scene:
    matrix = _matrix(picture, faces, side, rng, turns)
    pixels = _warped(picture, matrix, side)
    boxes, landmarks, ignored = _moved(faces, matrix, side)
    if np.linalg.det(matrix[:, :2]) < 0:
        landmarks = landmarks[:, _MIRRORED]
    return Scene(damaged(pixels, rng)[..., ::-1], boxes, landmarks, ignored)


def _matrix(
    picture: UInt8[np.ndarray, "h w 3"], faces: Faces, side: int, rng: np.random.Generator, turns: Turns
) -> Float32[np.ndarray, "2 3"]:
    """Return a random similarity from the picture to a scene, in pixels with centres at one half."""
    height, width = picture.shape[:2]
    sure = np.flatnonzero(~faces.ignored)
    if len(sure) and rng.random() < 0.9:
        box = faces.boxes[rng.choice(sure)]
        low, high = _FACE_SIDE if rng.random() >= _FILLING else (side * 0.6, side * 1.2)
        wanted = np.exp(rng.uniform(np.log(low), np.log(high)))
        scale = wanted / max(float(np.sqrt(np.prod(np.maximum(box[2:] - box[:2], 1)))), 1)
        centre = (box[:2] + box[2:]) / 2
        reach = max(side / 2 - wanted * 0.6, side * 0.05)
    else:
        scale = np.exp(rng.uniform(np.log(side / max(height, width)), np.log(1.3)))
        centre, reach = rng.uniform(0, 1, 2) * (width, height), 0.0
    # Hardly smaller than a scene, so that little of it is empty.
    scale = float(np.clip(scale, max(_SCALE[0], _COVERED * side / min(height, width)), _SCALE[1]))
    angle = _angle(rng, turns)
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        rotation = rotation @ np.diag([-1.0, 1.0])
    target = side / 2 + rng.uniform(-reach, reach, 2)
    return np.concatenate([rotation, (target - rotation @ centre)[:, None]], axis=1).astype(np.float32)


def _angle(rng: np.random.Generator, turns: Turns) -> float:
    chance = rng.random()
    angle = 0.0
    if chance < turns.any_angle:
        return float(rng.uniform(0, 2 * np.pi))
    if chance < turns.any_angle + turns.quarter:
        angle = float(rng.integers(1, 4)) * np.pi / 2
    if rng.random() < turns.tilt:
        angle += np.deg2rad(rng.normal(0, turns.tilt_degrees))
    return angle


def _warped(
    picture: UInt8[np.ndarray, "h w 3"], matrix: Float32[np.ndarray, "2 3"], side: int
) -> UInt8[np.ndarray, "s s 3"]:
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    matrix = matrix.astype(np.float64)
    if scale < 0.7:
        # Averaged first, so that no pixel is skipped.
        size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
        matrix[:, :2] /= np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    # OpenCV counts pixel centres as whole numbers.
    matrix[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return np.asarray(cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR), np.uint8)


def _moved(
    faces: Faces, matrix: Float32[np.ndarray, "2 3"], side: int
) -> tuple[Float32[np.ndarray, "f 4"], Float32[np.ndarray, "f 5 2"], Bool[np.ndarray, " f"]]:
    """Return the faces in the scene: centres move, sides keep their lengths however it is turned."""
    linear, shift = matrix[:, :2], matrix[:, 2]
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2 @ linear.T + shift
    sizes = np.maximum(faces.boxes[:, 2:] - faces.boxes[:, :2], 0) * scale
    # Turned by a quarter, width and height change places; between, an axis-parallel box of the turned ellipse.
    cosine, sine = abs(linear[0, 0]) / scale, abs(linear[0, 1]) / scale
    turned = np.sqrt((sizes * cosine) ** 2 + (sizes[:, ::-1] * sine) ** 2)
    boxes = np.concatenate([centres - turned / 2, centres + turned / 2], axis=1)
    clipped = np.clip(boxes, 0, side)
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-6)
    visible = np.prod(np.maximum(clipped[:, 2:] - clipped[:, :2], 0), axis=1) / area
    present = np.flatnonzero(visible > 0.05)
    # The largest first, so that a crowd's smallest are left out.
    present = present[np.argsort(-area[present])][:FACES]
    landmarks = faces.landmarks[present] @ linear.T + shift
    small = np.sqrt(area[present]) < _LEAST_SIDE
    ignored = faces.ignored[present] | small | (visible[present] < _INSIDE)
    padding = FACES - len(present)
    return (
        np.pad(boxes[present], ((0, padding), (0, 0))).astype(np.float32),
        np.pad(landmarks, ((0, padding), (0, 0), (0, 0))).astype(np.float32),
        np.pad(ignored, (0, padding)),
    )


def damaged(pixels: UInt8[np.ndarray, "s s 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    """Return the picture as a bad light, a phone's zoom, an old scan or a messenger leave it; most of the time less."""
    if rng.random() < 0.35:
        pixels = _blurred(pixels, rng)
    if rng.random() < 0.6:
        pixels = _relit(pixels, rng)
    if rng.random() < 0.12:
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        pixels = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(20, 90))
        encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        pixels = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return pixels


def _blurred(pixels: UInt8[np.ndarray, "s s 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    side = pixels.shape[0]
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.5, 2.5))), np.uint8)
    small = max(round(side / float(rng.uniform(1.3, 3.0))), 8)
    reduced = cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def _relit(pixels: UInt8[np.ndarray, "s s 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    gain = np.exp(rng.normal(0, 0.25))
    if rng.random() < 0.15:
        gain = rng.uniform(0.08, 0.5)
    tint = np.exp(rng.normal(0, 0.08, 3)) if rng.random() < 0.5 else np.ones(3)
    changed = (pixels.astype(np.float32) - 110 * (gain > 0.6)) * (gain * tint).astype(np.float32) + 110 * (gain > 0.6)
    if rng.random() < 0.5:
        changed += rng.normal(0, rng.uniform(1, 10), pixels.shape).astype(np.float32)
    return np.clip(changed, 0, 255).astype(np.uint8)
