"""Adaptive average pooling of any rectangle of a photograph to any size, from one integral image.

The published MTCNN cascade scales images by averaging whole pixels: output pixel i of n is the mean of the input pixels
from floor(i size / n) to ceil((i + 1) size / n). The networks' scores near the thresholds depend on it, so it is
reproduced exactly (OpenCV's area interpolation weights the border pixels; on 62 photographs it changed 4 % of the
boxes), and the means are not rounded (which changed 3 %). With an integral image the cost is proportional to the number
of output pixels.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8


def integral(image: UInt8[np.ndarray, "h w 3"]) -> Int32[np.ndarray, "h1 w1 3"]:
    """Return the integral image: sums of all pixels above and to the left of each corner, (h + 1, w + 1, 3)."""
    if image.size == 0:
        return np.zeros((1, 1, 3), np.int32)
    sums: Int32[np.ndarray, "h1 w1 3"] = cv2.integral(image, sdepth=cv2.CV_32S)
    return sums


def halve(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return the image at half its size: means of 2x2 pixels; an odd last row or column is dropped."""
    height, width = (side // 2 for side in image.shape[:2])
    # INTER_AREA is fast where the ratio is exactly two.
    return cast(Any, cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA))


def _edges(size: int, count: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    index = np.arange(count)
    return index * size // count, -(-((index + 1) * size) // count)


#: Rows that are averaged at a time, so that intermediate arrays stay in the cache.
_ROWS = 32


def resize(sums: Int32[np.ndarray, "h1 w1 3"], height: int, width: int, out: Float32[np.ndarray, "h2 w2 3"]) -> None:
    """Average the image whose integral image is `sums` to (height, width) and write it to `out`, 0..255.

    Where `out` is larger, the last row and column are repeated.
    """
    (top, bottom), (left, right) = (
        tuple(edge[np.minimum(np.arange(length), target - 1)] for edge in _edges(size - 1, target))
        for size, length, target in zip(sums.shape, out.shape, (height, width), strict=False)
    )
    across = (1 / (right - left)).astype(np.float32)
    for start in range(0, len(out), _ROWS):
        rows = slice(start, start + _ROWS)
        bands = sums.take(bottom[rows], axis=0)
        bands -= sums.take(top[rows], axis=0)
        total = bands.take(right, axis=1)
        total -= bands.take(left, axis=1)
        share = np.outer((1 / (bottom[rows] - top[rows])).astype(np.float32), across)
        np.multiply(total, share[..., None], out=out[rows], dtype=np.float32, casting="unsafe")


def crops(
    sums: Int32[np.ndarray, "h1 w1 3"],
    low: Int[np.ndarray, "n 2"],
    high: Int[np.ndarray, "n 2"],
    out: Float32[np.ndarray, "n s s 3"],
) -> None:
    """Average rectangles of an image to squares and write them to `out`, 0..255.

    `low` and `high` are x, y of each rectangle's top left pixel and of the pixel past its bottom right one.
    """
    index = np.arange(out.shape[1])
    size = (high - low)[:, :, None]
    start = low[:, :, None] + index * size // out.shape[1]
    end = low[:, :, None] - (-((index + 1) * size) // out.shape[1])
    _averages(sums, start.transpose(1, 0, 2), end.transpose(1, 0, 2), out)


def resize_windows(
    sums: Int32[np.ndarray, "h1 w1 3"],
    index: Int[np.ndarray, "2 n s"],
    size: tuple[int, int],
    out: Float32[np.ndarray, "n s s 3"],
) -> None:
    """Write n windows of the image that `resize` would make to `out`, 0..255, without making the whole of it.

    `index` holds the columns, and then the rows, of each window in the resized image; `size` is the width and height of
    the resized image.
    """
    original = np.array([sums.shape[1] - 1, sums.shape[0] - 1])[:, None, None]
    target = np.array(size)[:, None, None]
    _averages(sums, index * original // target, -(-((index + 1) * original) // target), out)


def _averages(
    sums: Int32[np.ndarray, "h1 w1 3"],
    start: Int[np.ndarray, "2 n s"],
    end: Int[np.ndarray, "2 n s"],
    out: Float32[np.ndarray, "n s s 3"],
) -> None:
    """Average the rectangles between `start` and `end`; both hold columns first, then rows."""
    pixels = sums.reshape(-1, 3)
    (left, top), (right, bottom) = start, end
    share = 1 / (end - start).astype(np.float32)
    top, bottom = top[:, :, None] * sums.shape[1], bottom[:, :, None] * sums.shape[1]
    left, right = left[:, None, :], right[:, None, :]
    total = pixels.take(bottom + right, axis=0)
    total -= pixels.take(top + right, axis=0)
    total -= pixels.take(bottom + left, axis=0)
    total += pixels.take(top + left, axis=0)
    share = share[1, :, :, None] * share[0, :, None, :]
    np.multiply(total, share[..., None], out=out, dtype=np.float32, casting="unsafe")
