"""Augmentation of training crops by what occurs in photo libraries: rotation, light, blur, compression, occlusion."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8


def augment(
    stored: UInt8[np.ndarray, "s s 3"], size: int, zoom: float, rng: np.random.Generator, strength: float = 1.0
) -> UInt8[np.ndarray, "t t 3"]:
    """Return a randomly augmented RGB crop of `size` pixels from the wider stored one; not mirrored.

    `zoom` is the number of pixels of the stored crop that make one of the result without augmentation. `strength`
    scales the probabilities and the ranges.
    """
    face = _move(stored, size, zoom, rng, strength)
    if rng.random() < 0.20 * strength:
        face = _downsample(face, rng)
    if rng.random() < 0.12 * strength:
        face = cv2.GaussianBlur(face, (0, 0), rng.uniform(0.4, 1.6))
    values = face.astype(np.float32)
    if rng.random() < 0.8:
        values = change_light(values, rng)
    if rng.random() < 0.12:
        values[:] = values @ np.array([0.299, 0.587, 0.114], np.float32)[:, None]
    if rng.random() < 0.15 * strength:
        values += rng.normal(0, rng.uniform(2, 14), values.shape).astype(np.float32)
    face = np.clip(values, 0, 255).astype(np.uint8)
    if rng.random() < 0.20 * strength:
        _, data = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 75))])
        face = cv2.imdecode(data, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    if rng.random() < 0.20 * strength:
        face = _occlude(face, rng)
    return face


def _move(
    stored: UInt8[np.ndarray, "s s 3"], size: int, zoom: float, rng: np.random.Generator, strength: float
) -> UInt8[np.ndarray, "t t 3"]:
    """Rotate, scale and shift by somewhat more than the errors of the detector's landmarks."""
    angle = np.deg2rad(rng.normal(0, 5 * strength))
    scale = zoom * np.exp(rng.normal(0, 0.06 * strength))
    a, b = np.cos(angle) * scale, np.sin(angle) * scale
    middle = (stored.shape[0] - 1) / 2
    shift = rng.normal(0, 0.02 * strength, 2) * size
    target = (size - 1) / 2
    # From the result's pixels to the stored ones.
    matrix = np.array([[a, -b, 0], [b, a, 0]])
    matrix[:, 2] = middle - matrix[:, :2] @ (np.array([target, target]) + shift)
    return np.asarray(
        cv2.warpAffine(
            stored, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
    )


def _downsample(face: UInt8[np.ndarray, "t t 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "t t 3"]:
    """Reduce the resolution to that of a face 20 to 60 pixels wide."""
    side, size = int(rng.integers(20, 60)), face.shape[0]
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def change_light(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return RGB values with random exposure, contrast, gamma, white balance and saturation; may leave 0..255."""
    colour = 1 + rng.normal(0, 0.06, 3)
    gain, lift = np.exp(rng.normal(0, 0.2)), rng.normal(0, 12)
    values = (values - 110) * (gain * colour).astype(np.float32) + np.float32(110 + lift)
    if rng.random() < 0.4:
        grey = values.mean(axis=2, keepdims=True)
        values = grey + (values - grey) * np.float32(rng.uniform(0.4, 1.5))
    if rng.random() < 0.3:
        values = 255 * (np.clip(values, 0, 255) / 255) ** np.float32(np.exp(rng.normal(0, 0.3)))
    return np.asarray(values, np.float32)


def _occlude(face: UInt8[np.ndarray, "t t 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "t t 3"]:
    """Draw glasses, a mask, or a hand-sized patch over the face."""
    size = face.shape[0]
    face = face.copy()
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    kind = rng.random()
    if kind < 0.3:
        # Lenses at the eyes of the template, dark or tinted.
        layer = face.copy()
        y, radius = int(size * rng.uniform(0.24, 0.31)), int(size * rng.uniform(0.11, 0.17))
        for x in (0.29, 0.71):
            cv2.ellipse(layer, (int(size * x), y), (radius, int(radius * rng.uniform(0.6, 1))), 0, 0, 360, colour, -1)
        cv2.line(layer, (int(size * 0.4), y), (int(size * 0.6), y), colour, 2)
        weight = rng.uniform(0.4, 1)
        face = cv2.addWeighted(layer, weight, face, 1 - weight, 0)
    elif kind < 0.5:
        top = int(size * rng.uniform(0.48, 0.62))
        points = np.array([[0.05, 0], [0.5, -0.05], [0.95, 0], [0.85, 0.5], [0.15, 0.5]]) * size + [0, top]
        cv2.fillConvexPoly(face, points.astype(np.int32), colour)
    else:
        height, width = (rng.uniform(0.15, 0.45, 2) * size).astype(int)
        y, x = int(rng.integers(-height // 2, size - height // 2)), int(rng.integers(-width // 2, size - width // 2))
        face[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = colour
    return face
