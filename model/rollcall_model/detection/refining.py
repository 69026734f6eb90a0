"""The refiners at work: which faces of a batch of images are looked at, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Int, UInt8

from rollcall_model import geometry, runtime
from rollcall_model.detection import boxes as bx
from rollcall_model.detection import refiner
from rollcall_model.detection.batching import Batching, Network
from rollcall_model.detection.candidates import runs
from rollcall_model.detection.config import REFINER_BUCKETS, REFINER_BUCKETS_GPU
from rollcall_model.nn import layers
from rollcall_model.types import Detections
from rollcall_model.weights import FIRST_REFINER, REFINER

#: So many faces of an image are looked at a second time, the largest: that takes three times as long as the first look.
AT_MOST: Final = 48
#: In an image with more faces than that, a crowd, only from a side of so many pixels on: of smaller faces the first
#: look is nearly as exact as their pixels are.
TWICE_IN_CROWD: Final = 40

#: In a crowd a processor takes so many crops at a time: each takes four fifths of its time among two.
CROWD: Final = 16


class RefinerRunner:
    """A refiner as a program that looks at faces in images. Use from one thread at a time."""

    def __init__(self, network: refiner.Refiner, batching: Batching) -> None:
        self._batching, self._side = batching, network.config.size
        self._buckets = batching.buckets(REFINER_BUCKETS if layers.on_cpu() else REFINER_BUCKETS_GPU)
        form, options = refiner.Refiner.__call__, runtime.OF_PRODUCTS
        self._program = batching.compile(network, REFINER_BUCKETS[0], form, counted=True, options=options)
        # Compiled when the first crowd comes.
        self._crowd = batching.compile(network, CROWD, form, options=options)

    def warm_ups(self) -> list[Callable[[], None]]:
        """Return what compiles each of its programs, or loads it from the cache on disk."""
        shapes = ((bucket * self._batching.devices, self._side, self._side) for bucket in self._buckets)
        dtype = self._batching.whole_numbers
        return [partial(self._batching.warm_up, self._program, *shape, dtype=dtype) for shape in shapes]

    def __call__(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        places: Int[np.ndarray, " n"],
        landmarks: Float32[np.ndarray, "n 5 2"],
        views: int,
    ) -> Float32[np.ndarray, "n 5 2"]:
        """Return the landmarks of faces, each in the image with the index `places`, cut out along landmarks.

        Faces of one image stand together. Of two `views` the second is in a mirror; the mean counts.
        """
        if not len(places):
            return landmarks
        side = self._side
        matrices = refiner.crop_matrix(landmarks, side)

        def cut(rows: Int[np.ndarray, " k"], out: np.ndarray) -> None:
            shown, pixels = -1, np.zeros(0, np.uint8)
            for row, crop in zip(rows, out, strict=True):
                face, view = divmod(row, views)
                if face != shown:
                    shown, pixels = face, geometry.cut(images[places[face]], matrices[face], side)
                crop[:] = pixels[:, ::-1] if view else pixels

        groups = np.repeat(places, views)
        whole = self._in_crowd(len(groups))
        parts = [self._points(self._crowd, groups[:whole], cut, (CROWD,))]
        parts += [self._points(self._program, groups[whole:], lambda some, out: cut(some + whole, out), self._buckets)]
        points = np.concatenate(parts)
        if views > 1:
            points = (points[::2] + refiner.unmirrored(points[1::2])) / 2
        return geometry.moved_back(points * side, matrices).astype(np.float32)

    def _in_crowd(self, count: int) -> int:
        """Return how many of so many crops go through the program for many: of a crowd, all but a rest."""
        at_once = CROWD * self._batching.devices
        return count - count % at_once if layers.on_cpu() and count >= 2 * at_once else 0

    def _points(
        self,
        program: Network,
        groups: Int[np.ndarray, " n"],
        cut: Callable[[Int[np.ndarray, " k"], np.ndarray], None],
        buckets: tuple[int, ...],
    ) -> Float32[np.ndarray, "n 5 2"]:
        """Return what a program predicts of crops, as fractions of their side."""
        if not len(groups):
            return np.zeros((0, 5, 2), np.float32)
        batching = self._batching
        outputs = batching.run(program, runs(groups), len(groups), cut, self._side, buckets, batching.whole_numbers)
        return np.asarray(outputs[0], np.float32)


class Refining:
    """The refiners' looks at the faces of images. Use from one thread at a time.

    Parameters
    ----------
    network
        Looks at all faces. None: the two committed ones, with products of bfloat16 where the processor multiplies them.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """

    def __init__(self, batching: Batching, network: refiner.Refiner | None = None) -> None:
        self._second = RefinerRunner(network or _committed(REFINER), batching)
        self._first = self._second if network else RefinerRunner(_committed(FIRST_REFINER), batching)

    def warm_ups(self) -> list[Callable[[], None]]:
        """Return what compiles each program, or loads it from the cache on disk."""
        return [warm_up for runner in dict.fromkeys((self._first, self._second)) for warm_up in runner.warm_ups()]

    def __call__(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], found: list[Detections]) -> list[Detections]:
        """Return the faces of each image with the refiners' landmarks.

        Each is looked at in a small crop. The largest of an image, in a crowd unless they are small, are looked at
        again in a larger crop along the landmarks of the first time, as they are and in a mirror, whose errors are
        partly independent.
        """
        counts = [len(one.scores) for one in found]
        if not sum(counts):
            return found
        places = np.repeat(np.arange(len(found)), counts)
        sides = np.concatenate([np.sqrt(bx.area(one.boxes)) for one in found])
        landmarks = self._first(images, places, np.concatenate([one.landmarks for one in found]), views=1)
        least = np.where(np.array(counts) > AT_MOST, TWICE_IN_CROWD, 0)
        again = largest(places, sides, AT_MOST)
        again = again[sides[again] >= least[places[again]]]
        landmarks[again] = self._second(images, places[again], landmarks[again], views=2)
        ends = np.cumsum(counts)[:-1]
        return [one._replace(landmarks=part) for one, part in zip(found, np.split(landmarks, ends), strict=True)]


def _committed(path: Path) -> refiner.Refiner:
    """Return a network of committed weights as it is quickest here."""
    network = refiner.load(path)
    if layers.on_cpu() and runtime.multiplies_bfloat16():
        refiner.halve_products(network)
    return network


def largest(places: Int[np.ndarray, " n"], sides: Float32[np.ndarray, " n"], count: int) -> Int[np.ndarray, " k"]:
    """Return the indices, in order, of the `count` largest faces of each place; `places` must be in order."""
    order = np.lexsort((-sides, places))
    rank = np.arange(len(order)) - np.searchsorted(places, places[order])
    return np.asarray(np.sort(order[rank < count]))
