"""Boxes: intersection over union, suppression, regression and squaring, as pure functions of NumPy arrays.

A box is left, top, right, bottom in pixels. They run on the host: a photograph has some hundreds of candidates, for
which a round trip to a device costs more than the work.
"""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
from jaxtyping import Float, Int

_BLOCK: Final = 16


def area(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Return the areas in square pixels; empty and inverted boxes have none."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def intersection(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Return the areas shared by each of `a` with each of `b`, in square pixels."""
    # Side by side: an inner axis of two takes four times as long.
    (left, top, right, bottom), others = np.ascontiguousarray(a.T)[..., None], np.ascontiguousarray(b.T)
    width = np.minimum(right, others[2]) - np.maximum(left, others[0])
    height = np.minimum(bottom, others[3]) - np.maximum(top, others[1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def iou(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Return intersection over union of each of `a` with each of `b`, 0..1; 0 where both are empty."""
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def nms(
    boxes: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, " n"],
    threshold: float,
    divisor: Literal["union", "min"] = "union",
) -> Int[np.ndarray, " k"]:
    """Return the indices that greedy non-maximum suppression keeps, highest score first.

    A box is dropped when its overlap with a kept one is above `threshold`. The overlap is the intersection over the
    union, or, with `divisor` "min", over the smaller area, which also drops a box inside another.
    """
    if len(boxes) <= 1:
        return np.arange(len(boxes))
    if divisor == "union":
        # OpenCV's loop is compiled: about ten times as fast as one in NumPy for a few hundred boxes.
        rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxes(rectangles.tolist(), scores.tolist(), 0.0, threshold)
        return np.asarray(kept, dtype=np.int64).reshape(-1)
    order = np.argsort(-scores, kind="stable")
    areas = area(boxes)
    keep: list[int] = []
    while order.size:
        best, order = int(order[0]), order[1:]
        keep.append(best)
        shared = intersection(boxes[best : best + 1], boxes[order])[0]
        smaller = np.minimum(areas[best], areas[order])
        overlap = np.divide(shared, smaller, out=np.zeros_like(shared), where=smaller > 0)
        order = order[overlap <= threshold]
    return np.asarray(keep, dtype=np.int64)


def averaged(
    kept: Int[np.ndarray, " k"],
    boxes: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, " n"],
    landmarks: Float[np.ndarray, "n 5 2"],
    threshold: float,
) -> tuple[Float[np.ndarray, "k 4"], Float[np.ndarray, "k 5 2"]]:
    """Return the boxes and landmarks of the indices `kept`, each the mean of all that show the same face.

    Those have an IoU of `threshold` with it, and count by their scores (box voting, Gidaris and Komodakis 2015): the
    errors of neighbouring places are partly independent.
    """
    columns = np.concatenate([boxes, landmarks.reshape(-1, 10)], axis=1)
    result = columns[kept]
    # A crowd has thousands of boxes: they are compared in blocks from the top down, with those at the same height.
    order = np.argsort(boxes[kept, 1], kind="stable")
    for start in range(0, len(kept), _BLOCK):
        rows = order[start : start + _BLOCK]
        mine = boxes[kept[rows]]
        beside = np.flatnonzero((boxes[:, 3] > mine[:, 1].min()) & (boxes[:, 1] < mine[:, 3].max()))
        shares = np.where(iou(mine, boxes[beside]) >= threshold, scores[beside], 0)
        total = shares.sum(axis=1, keepdims=True)
        # An empty box has an IoU of 0 with itself.
        result[rows] = np.where(total > 0, shares @ columns[beside] / np.maximum(total, 1e-6), result[rows])
    return result[:, :4], result[:, 4:].reshape(-1, 5, 2)


def regress(
    boxes: Float[np.ndarray, "n 4"], offsets: Float[np.ndarray, "n 4"], extra: float = 0.0
) -> Float[np.ndarray, "n 4"]:
    """Return the boxes moved by `offsets`, which are fractions of each box's width and height.

    `extra` pixels are added to the sizes first: in their second and third stage the published networks count the last
    pixel in, so that a box from 0 to 11 is 12 wide.
    """
    width = boxes[:, 2] - boxes[:, 0] + extra
    height = boxes[:, 3] - boxes[:, 1] + extra
    return boxes + offsets * np.stack([width, height, width, height], axis=1)


def square(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Return squares with the same centres, as large as each box's longer side."""
    size = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])[:, None]
    low = (boxes[:, :2] + boxes[:, 2:]) / 2 - size / 2
    return np.concatenate([low, low + size], axis=1)
