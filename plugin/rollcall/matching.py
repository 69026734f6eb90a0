"""Which of the faces found now are which of the faces known before: pure functions of boxes and embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.records import Box

#: Boxes that share so much of their union are the same face, if the picture is the same.
SAME_PLACE: Final = 0.5
#: Embeddings (unit length) with such a product are the same person, wherever in an edited picture.
SAME_PERSON: Final = 0.6


class Known(NamedTuple):
    """A face as it is matched: where it is, and whose it is where that is known."""

    box: Box
    embedding: NDArray[np.float32] | None = None


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes as a share of their union, 0..1."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.width * a.height + b.width * b.height - shared)


def match(old: Sequence[Known], new: Sequence[Known], same_picture: bool) -> dict[int, int]:
    """Return for each old face that is found again its index among the new ones.

    Boxes are compared first, the best overlap first. In an edited picture (cropped, turned), what is left
    is matched by embedding.
    """
    result: dict[int, int] = {}
    pairs = [(overlap(a.box, b.box), i, j) for i, a in enumerate(old) for j, b in enumerate(new)]
    _take([pair for pair in pairs if pair[0] >= SAME_PLACE], result)
    if not same_picture:
        alike = []
        for i, a in enumerate(old):
            for j, b in enumerate(new):
                if a.embedding is not None and b.embedding is not None and a.embedding.shape == b.embedding.shape:
                    alike.append((float(a.embedding @ b.embedding), i, j))
        _take([pair for pair in alike if pair[0] >= SAME_PERSON], result)
    return result


def _take(pairs: list[tuple[float, int, int]], result: dict[int, int]) -> None:
    taken = set(result.values())
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if i not in result and j not in taken:
            result[i] = j
            taken.add(j)
