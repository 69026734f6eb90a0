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
SAME_PERSON: Final = 0.795
#: Below this product they are two people, wherever their faces are.
OTHER_PERSON: Final = 0.25


class Known(NamedTuple):
    """A face as it is matched: where it is, and whose it is where that is known."""

    box: Box
    embedding: NDArray[np.float32] | None = None
    network: str = ""  # that made the embedding: those of two networks have nothing in common


def network(model_version: str | None) -> str:
    """Return the part of a model version that says which network made the embeddings."""
    return (model_version or "").partition("@")[0].rpartition("+")[2]


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes as a share of their union, 0..1."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.width * a.height + b.width * b.height - shared)


def likeness(a: Known, b: Known) -> float | None:
    """Return the product of two faces' embeddings, -1..1; None where they cannot be compared."""
    if a.embedding is None or b.embedding is None or a.network != b.network or a.embedding.shape != b.embedding.shape:
        return None
    return float(a.embedding @ b.embedding)


def match(old: Sequence[Known], new: Sequence[Known], same_picture: bool) -> dict[int, int]:
    """Return for each old face that is found again its index among the new ones.

    In the same picture a face is where it was: the best overlap first. In an edited one (cropped, turned,
    mirrored) those who look alike come first, then those at the same place who do not look like two people.
    """
    pairs = [(i, j) for i in range(len(old)) for j in range(len(new))]
    places = {(i, j): overlap(old[i].box, new[j].box) for i, j in pairs}
    near = {pair for pair in pairs if places[pair] >= SAME_PLACE}
    result: dict[int, int] = {}
    if not same_picture:
        alike = {(i, j): likeness(old[i], new[j]) for i, j in pairs}
        _take([(found, i, j) for (i, j), found in alike.items() if found is not None and found >= SAME_PERSON], result)
        near -= {pair for pair, found in alike.items() if found is not None and found < OTHER_PERSON}
    _take([(places[pair], *pair) for pair in near], result)
    return result


def _take(pairs: list[tuple[float, int, int]], result: dict[int, int]) -> None:
    taken = set(result.values())
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if i not in result and j not in taken:
            result[i] = j
            taken.add(j)
