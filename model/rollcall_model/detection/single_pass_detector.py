"""The detector of the single-pass network: pictures of any size in, faces out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import cv2
import jax
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float32, Int, UInt8

from rollcall_model import geometry, runtime
from rollcall_model.detection import boxes as bx
from rollcall_model.detection import canvases, refiner, single_pass, turning
from rollcall_model.detection.batching import Batching
from rollcall_model.detection.candidates import runs
from rollcall_model.detection.canvases import Part, Shape
from rollcall_model.detection.config import REFINER_BUCKETS, DetectorConfig
from rollcall_model.nn import layers
from rollcall_model.types import Detections, no_detections

#: Side of a face, in pixels of the picture as the network sees it, from which on it is found well.
SUFFICIENT: Final = 20
#: A picture is enlarged at most by this factor, for smaller faces.
_ENLARGED: Final = 1.6
#: Boxes with a higher IoU are one face.
SAME_FACE: Final = 0.45
#: Share of the smallest face's side that a box must have at least: predicted sides scatter.
_TOLERANCE: Final = 0.75
#: A picture with a face of such a probability is upright; others are also looked at turned by these quarters, at this
#: share of the resolution, if their shorter side has so many pixels.
_SURE: Final = 0.95
_QUARTERS: Final = (1, 2, 3)
#: Turned, a face must have such a probability: each view of a landscape or a pet is one more chance to err.
_TURNED_SURE: Final = 0.85
_TURNED_SHARE: Final = 0.4
_LEAST_TURNED: Final = 40
#: A box that ends so many pixels from a part's border may be cut off by it.
_BORDER: Final = 3
#: Pictures with a shorter side have no faces.
_LEAST_SIDE: Final = 8
#: How often the refiner looks at a face.
_ROUNDS: Final = 2
#: Rows of pixels of a band on a CPU.
_ROWS: Final = 160


class SinglePassDetector:
    """Finds faces in batches of images. Use from one thread at a time.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """

    def __init__(
        self,
        config: DetectorConfig | None = None,
        net: single_pass.SinglePass | None = None,
        second: refiner.Refiner | None = None,
    ) -> None:
        self.config = config or DetectorConfig()
        if net is None:
            net, self.calibration = single_pass.load()
        else:
            self.calibration = single_pass.Calibration()
        self._mesh = runtime.mesh()
        self._sharding = NamedSharding(self._mesh, P("batch"))
        self._threads = ThreadPoolExecutor(runtime.processors(), thread_name_prefix="rollcall-reduce")
        graph, state = nnx.split(net)

        def forward(pixels: jax.Array, places: jax.Array) -> Any:
            net = nnx.merge(graph, state)
            outputs = net.banded(pixels, _ROWS) if layers.on_cpu() else net(pixels)
            return (
                single_pass.scores(outputs),
                single_pass.decode_boxes(outputs, places),
                single_pass.decode_landmarks(outputs, places),
            )

        sharded = shard_map(forward, mesh=self._mesh, in_specs=(P("batch"), P()), out_specs=P("batch"), check_vma=False)
        self._program: Callable[..., Any] = jax.jit(sharded)
        self._batching = Batching(self._threads)
        second = second or refiner.load()
        self._crop_side = second.config.size
        self._refiner = self._batching.compile(second, REFINER_BUCKETS[0], refiner.Refiner.__call__)
        self._places: dict[Shape, Float32[np.ndarray, "a 3"]] = {}

    @property
    def threshold(self) -> float:
        """The probability from which on a face is returned."""
        return self.config.threshold if self.config.threshold is not None else self.calibration.threshold

    def warm_up(self) -> None:
        """Compile the programs of the usual shapes of photos (or load them from the cache on disk)."""
        side = self.config.resolution
        usual = {
            canvases.shape_for(*self._reduced_size(*shape)) for shape in ((side * 3 // 4, side), (side, side * 3 // 4))
        }
        for shape in sorted(usual):
            jax.block_until_ready(self._run(shape, []))
        for bucket in REFINER_BUCKETS:
            self._batching.warm_up(self._refiner, bucket * self._batching.devices, self._crop_side, self._crop_side)

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], *, upright: bool = False) -> list[Detections]:
        """Return the faces of each RGB image, the highest-scoring first, in pixels of that image.

        Images may be of any size; one smaller than 8 pixels, or empty, has no faces. With `upright` none is looked at
        turned.
        """
        return self.refine(images, self.find(images, upright=upright))

    def find(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], *, upright: bool = False) -> list[Detections]:
        """Return the faces with the single pass's own landmarks, which are less exact."""
        pieces = [
            (index, part)
            for index, image in enumerate(images)
            if min(image.shape[:2], default=0) >= _LEAST_SIDE
            for part in canvases.parts(image.shape[0], image.shape[1], self.config.resolution)
        ]
        cut = [
            images[index][part.top : part.top + part.height, part.left : part.left + part.width]
            for index, part in pieces
        ]
        results: list[list[Detections]] = [[] for _ in images]
        for (index, part), found in zip(pieces, self._search(cut), strict=True):
            results[index].append(_moved(found, part, images[index].shape[0], images[index].shape[1]))
        joined = [_joined(found) for found in results]
        return joined if upright else self._with_turned(images, joined)

    def _with_turned(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], upright: list[Detections]) -> list[Detections]:
        """Return the faces, of pictures without a sure one also those of the picture turned by quarters.

        The turned picture is looked at reduced first, which costs half of an upright search; at full size only if a
        surer face shows.
        """
        unsure = [
            index
            for index, (image, found) in enumerate(zip(images, upright, strict=True))
            if min(image.shape[:2], default=0) >= _LEAST_TURNED and found.scores.max(initial=0) < _SURE
        ]
        small = [_at_most(images[index], round(self.config.resolution * _TURNED_SHARE)) for index in unsure]
        views = [turning.turned(image, quarters) for image in small for quarters in _QUARTERS]
        best = [found.scores.max(initial=0) for found in self._search(views)]
        chosen: list[tuple[int, int]] = []
        for row, index in enumerate(unsure):
            scores = best[row * len(_QUARTERS) : (row + 1) * len(_QUARTERS)]
            if max(scores) > max(upright[index].scores.max(initial=0), _TURNED_SURE):
                chosen.append((index, _QUARTERS[int(np.argmax(scores))]))
        again = self._search([turning.turned(images[index], quarters) for index, quarters in chosen])
        result = list(upright)
        for (index, quarters), found in zip(chosen, again, strict=True):
            height, width = images[index].shape[:2]
            result[index] = _joined([turning.turned_back(found, quarters, height, width), upright[index]])
        return result

    def _search(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[Detections]:
        """Return the faces of images, each reduced as a whole."""
        reduced = list(self._threads.map(self.reduce, images))
        shapes = [canvases.shape_for(*image.shape[:2]) for image in reduced]
        results = [no_detections()] * len(images)
        # Enqueued all at once: the first results are read while the next pictures are processed.
        pending = [
            (one, self._run(one.shape, [reduced[index] for index in one.indices]))
            for one in canvases.rounds(shapes, self._mesh.size)
        ]
        for one, outputs in pending:
            scores, boxes, landmarks = (np.asarray(part) for part in outputs)
            for row, index in enumerate(one.indices):
                found = self._suppressed(scores[row], boxes[row], landmarks[row])
                results[index] = self._enlarged(found, images[index], reduced[index])
        return results

    def reduce(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """Return an image as the network sees it: its smallest face is as large as it needs to be."""
        height, width = self._reduced_size(*image.shape[:2])
        if (height, width) == image.shape[:2]:
            return image
        # Down to one half, bilinear interpolation reads every pixel, in an eighth of the time.
        interpolation = cv2.INTER_LINEAR if width * 2 >= image.shape[1] else cv2.INTER_AREA
        return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)

    def _reduced_size(self, height: int, width: int) -> Shape:
        ratio = min(self.config.resolution / max(height, width), 1.0)
        ratio *= min(SUFFICIENT / self.config.min_face, _ENLARGED)
        return max(round(height * ratio), 1), max(round(width * ratio), 1)

    def _run(self, shape: Shape, pictures: Sequence[UInt8[np.ndarray, "h w 3"]]) -> Any:
        pixels = jax.device_put(canvases.place(pictures, shape, self._mesh.size), self._sharding)
        if shape not in self._places:
            self._places[shape] = single_pass.anchors(*shape)
        return self._program(pixels, self._places[shape])

    def _suppressed(
        self,
        scores: Float32[np.ndarray, " a"],
        boxes: Float32[np.ndarray, "a 4"],
        landmarks: Float32[np.ndarray, "a 5 2"],
    ) -> Detections:
        """Return one face for each group of boxes, of those that score enough and are large enough."""
        above = np.flatnonzero(scores >= self.calibration.score(self.threshold))
        # The smallest face has this side in what the network sees: less where nothing is enlarged further.
        least = min(SUFFICIENT, self.config.min_face * _ENLARGED)
        above = above[np.sqrt(bx.area(boxes[above])) >= _TOLERANCE * least]
        kept = above[bx.nms(boxes[above], scores[above], SAME_FACE)]
        return Detections(boxes[kept], self.calibration.probability(scores[kept]), landmarks[kept])

    def refine(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], found: list[Detections]) -> list[Detections]:
        """Return the faces with the refiner's landmarks: each is looked at twice, the second time along the first."""
        counts = [len(one.scores) for one in found]
        if not sum(counts):
            return found
        places = np.repeat(np.arange(len(found)), counts)
        landmarks = np.concatenate([one.landmarks for one in found])
        for _ in range(_ROUNDS):
            matrices = [refiner.crop_matrix(one, self._crop_side) for one in landmarks]

            def cut(rows: Int[np.ndarray, " k"], out: Float32[np.ndarray, "k s s 3"], matrices: Any = matrices) -> None:
                for row, crop in zip(rows, out, strict=True):
                    crop[:] = geometry.cut(images[places[row]], matrices[row], self._crop_side)

            outputs = self._batching.run(
                self._refiner, runs(places), len(places), cut, self._crop_side, REFINER_BUCKETS
            )
            landmarks = np.stack(
                [
                    geometry.moved_back(points * self._crop_side, matrix)
                    for points, matrix in zip(outputs[0], matrices, strict=True)
                ]
            ).astype(np.float32)
        ends = np.cumsum(counts)[:-1]
        return [one._replace(landmarks=part) for one, part in zip(found, np.split(landmarks, ends), strict=True)]

    @staticmethod
    def _enlarged(
        found: Detections, image: UInt8[np.ndarray, "h w 3"], reduced: UInt8[np.ndarray, "h w 3"]
    ) -> Detections:
        """Return the faces in pixels of the image as it was passed."""
        ratio = np.array([image.shape[1] / reduced.shape[1], image.shape[0] / reduced.shape[0]], np.float32)
        return Detections(found.boxes * np.tile(ratio, 2), found.scores, found.landmarks * ratio)


def _at_most(image: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return an image whose longest side has at most so many pixels."""
    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _moved(found: Detections, part: Part, height: int, width: int) -> Detections:
    """Return the faces of a part in pixels of its image; those cut off by its inner borders are whole in another."""
    low = np.array([part.left, part.top], np.float32)
    size, limits = np.array([part.width, part.height]), np.array([width, height])
    inner_low, inner_high = low > 0, low + size < limits
    cut_low = (found.boxes[:, :2] < _BORDER) & inner_low
    cut_high = (found.boxes[:, 2:] > size - _BORDER) & inner_high
    kept = ~(cut_low | cut_high).any(axis=1)
    return Detections(found.boxes[kept] + np.tile(low, 2), found.scores[kept], found.landmarks[kept] + low)


def _joined(found: Sequence[Detections]) -> Detections:
    """Return the faces of all parts of an image, each once."""
    if len(found) == 1:
        return found[0]
    if not found:
        return no_detections()
    boxes, scores, landmarks = (np.concatenate(columns) for columns in zip(*found, strict=True))
    kept = bx.nms(boxes, scores, SAME_FACE)
    return Detections(boxes[kept], scores[kept], landmarks[kept])
