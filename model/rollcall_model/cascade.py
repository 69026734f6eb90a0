"""The detector: image pyramid, three networks, suppression. The one place where detection is compiled.

Three programs serve photographs of any size: pages of the pyramid through P-Net, and buckets of crops
through R-Net and O-Net, each in a small and a large bucket. The coordinates follow the published
implementation, which counts the last pixel of a box in; results are in the frame of `Detections`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import cv2
import jax
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float, Float32, Int, Int32, UInt8

from rollcall_model import boxes as bx
from rollcall_model import layers, mtcnn, pooling, pyramid, runtime
from rollcall_model.types import Detections, no_detections


class DetectorConfig(NamedTuple):
    """What a detector looks for; the defaults are the published ones."""

    resolution: int = 1280  # longest side in pixels that an image is reduced to; larger ones only
    min_face: int = 20  # pixels of the reduced image
    factor: float = 0.709
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)


#: Height and width of a page of pyramid pieces, in pixels: what P-Net makes of it stays in a processor's cache.
#: Four times the area took 1.8 times as long for each pixel.
PAGE = (130, 194)
#: Crops in a bucket for each device: small and large. On a CPU a large one is worked off in small portions, for
#: the sake of the cache.
RNET_BUCKETS = (16, 128)
ONET_BUCKETS = (4, 32)


class Candidates(NamedTuple):
    """Boxes of many images between two stages."""

    image: Int[np.ndarray, " n"]
    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    offsets: Float32[np.ndarray, "n 4"]


class Detector:
    """Finds faces in batches of photographs. Use from one thread at a time.

    Raises
    ------
    WeightsError
        If the published weights are not installed.
    """

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self.config = config or DetectorConfig()
        mesh = runtime.mesh()
        self._devices = mesh.size
        self._pages = (2 if layers.on_cpu() else 128) * mesh.size
        sharding = NamedSharding(mesh, P("batch"))

        def compiled(net: nnx.Module, portion: int) -> Callable[..., Any]:
            graph, state = nnx.split(net)

            def forward(pixels: jax.Array) -> Any:
                def run(x: jax.Array) -> Any:
                    return nnx.merge(graph, state)(mtcnn.normalise(x))

                if not layers.on_cpu():
                    return run(pixels)
                answers = jax.lax.map(run, pixels.reshape(-1, portion, *pixels.shape[1:]))
                return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), answers)

            spread = shard_map(forward, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False)
            return jax.jit(spread, in_shardings=sharding)

        self._pnet = compiled(mtcnn.load(mtcnn.PNet), 1)
        self._rnet = compiled(mtcnn.load(mtcnn.RNet), RNET_BUCKETS[0])
        self._onet = compiled(mtcnn.load(mtcnn.ONet), ONET_BUCKETS[0])
        self._threads = ThreadPoolExecutor(runtime.processors(), thread_name_prefix="rollcall-crop")

    def warm_up(self) -> None:
        """Compile every program (or fetch it from the cache on disk), so that the first photograph is quick."""
        jax.block_until_ready(self._pnet(np.zeros((self._pages, *PAGE, 3), np.float32)))
        for run, side, buckets in ((self._rnet, 24, RNET_BUCKETS), (self._onet, 48, ONET_BUCKETS)):
            for bucket in buckets:
                jax.block_until_ready(run(np.zeros((bucket * self._devices, side, side, 3), np.float32)))

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[Detections]:
        """Return the faces of each RGB image, best first, in pixels of that image.

        Images may be of any size; one smaller than 12 pixels, or empty, has no faces.
        """
        reduced = list(self._threads.map(self._reduce, images))
        sums = list(self._threads.map(pooling.integral, reduced))
        first = self._propose(sums)
        found = self._finish(sums, self._refine(sums, first))
        result = []
        for image, small, faces in zip(images, reduced, found, strict=True):
            if small is image or not len(faces.scores):
                result.append(faces)
                continue
            ratio = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]], np.float32)
            result.append(Detections(faces.boxes * np.tile(ratio, 2), faces.scores, faces.landmarks * ratio))
        return result

    def _reduce(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        longest = max(image.shape[:2], default=0)
        if longest <= self.config.resolution:
            return image
        ratio = self.config.resolution / longest
        size = (max(round(image.shape[1] * ratio), 1), max(round(image.shape[0] * ratio), 1))
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)

    # -- first stage ------------------------------------------------------------------------------

    def _propose(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]]) -> Candidates:
        """Run P-Net over the pyramids; return squared candidates."""
        build = partial(pyramid.levels, min_face=self.config.min_face, factor=self.config.factor)
        levels = list(chain.from_iterable(self._threads.map(build, range(len(sums)), sums)))
        if not levels:
            return _no_candidates()
        pieces, count = pyramid.pack(levels, *PAGE)
        pages = pyramid.draw(levels, pieces, -(-count // self._pages) * self._pages, *PAGE)
        # All calls are sent off before the first answer is waited for.
        answers = [self._pnet(pages[start : start + self._pages]) for start in range(0, len(pages), self._pages)]
        probabilities = np.concatenate([np.asarray(p) for p, _ in answers])
        offsets = np.concatenate([np.asarray(o) for _, o in answers])
        by_level: dict[int, list[Candidates]] = {}
        for piece in pieces:
            some = self._read(piece, levels[piece.level], probabilities, offsets)
            if len(some.scores):
                by_level.setdefault(piece.level, []).append(some)
        by_image: dict[int, list[Candidates]] = {}
        for number in sorted(by_level):
            some = _joined(by_level[number])
            keep = bx.nms(some.boxes, some.scores, 0.5)
            by_image.setdefault(levels[number].image, []).append(_taken(some, keep))
        survivors = []
        for parts in by_image.values():
            some = _joined(parts)
            survivors.append(_taken(some, bx.nms(some.boxes, some.scores, 0.7)))
        if not survivors:
            return _no_candidates()
        result = _joined(survivors)
        return result._replace(boxes=bx.square(bx.regress(result.boxes, result.offsets)))

    def _read(
        self,
        piece: pyramid.Piece,
        level: pyramid.Level,
        probabilities: Float32[np.ndarray, "p h w"],
        offsets: Float32[np.ndarray, "p h w 4"],
    ) -> Candidates:
        """Return the windows of one piece that may be faces, in pixels of its image."""
        stride, window = pyramid.STRIDE, pyramid.WINDOW
        top, left = piece.page_top // stride, piece.page_left // stride
        rows, columns = (piece.height - window) // stride + 1, (piece.width - window) // stride + 1
        seen = probabilities[piece.page, top : top + rows, left : left + columns]
        row, column = np.nonzero(seen >= self.config.thresholds[0])
        low = np.stack([column * stride + piece.left, row * stride + piece.top], axis=1)
        boxes = np.concatenate([np.floor((low + 1) / level.scale), np.floor((low + window) / level.scale)], axis=1)
        return Candidates(
            np.full(len(row), level.image),
            boxes.astype(np.float32),
            seen[row, column],
            offsets[piece.page, top + row, left + column],
        )

    # -- second and third stage -------------------------------------------------------------------

    def _refine(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], some: Candidates) -> Candidates:
        """Run R-Net over crops; return squared candidates."""
        some, crops = self._crops(sums, some, 24)
        if not len(crops):
            return _no_candidates()
        probability, offsets = self._run(self._rnet, crops, RNET_BUCKETS)
        some = some._replace(scores=probability, offsets=offsets)
        some = _taken(some, np.flatnonzero(probability > self.config.thresholds[1]))
        some = _suppressed(some, partial(bx.nms, threshold=0.7))
        return some._replace(boxes=bx.square(bx.regress(some.boxes, some.offsets, extra=1)))

    def _finish(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], some: Candidates) -> list[Detections]:
        """Run O-Net over crops; return the faces of each image."""
        some, crops = self._crops(sums, some, 48)
        if not len(crops):
            return [no_detections() for _ in sums]
        probability, offsets, points = self._run(self._onet, crops, ONET_BUCKETS)
        low = some.boxes[:, None, :2]
        size = some.boxes[:, None, 2:] - low + 1
        landmarks = np.stack([points[:, :5], points[:, 5:]], axis=2) * size + low - 1
        # From here on pixels are areas with their centres at one half.
        landmarks += 0.5
        some = some._replace(scores=probability, boxes=bx.regress(some.boxes, offsets, extra=1).astype(np.float32))
        result = []
        for index in range(len(sums)):
            mine = np.flatnonzero((some.image == index) & (probability > self.config.thresholds[2]))
            mine = mine[bx.nms(some.boxes[mine], some.scores[mine], 0.7, "min")]
            result.append(
                Detections(some.boxes[mine], some.scores[mine].astype(np.float32), landmarks[mine].astype(np.float32))
            )
        return result

    def _crops(
        self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], some: Candidates, side: int
    ) -> tuple[Candidates, Float32[np.ndarray, "n s s 3"]]:
        """Cut out and resize the candidates, image by image; those that lie wholly outside are dropped."""
        whole = np.trunc(some.boxes).astype(np.int64)
        limits = np.array([(s.shape[1] - 1, s.shape[0] - 1) for s in sums], np.int64).reshape(-1, 2)[some.image]
        low = np.maximum(whole[:, :2], 1) - 1
        high = np.minimum(whole[:, 2:], limits)
        inside = np.flatnonzero((high > low).all(axis=1))
        some, low, high = _taken(some, inside), low[inside], high[inside]
        # Candidates come image by image; a share of one image's is enough work for one thread.
        edges = np.flatnonzero(np.diff(some.image)) + 1
        parts = [
            part
            for run in np.split(np.arange(len(inside)), edges)
            for part in np.array_split(run, max(-(-len(run) // 64), 1))
        ]
        crops = self._threads.map(
            lambda part: pooling.crops(sums[some.image[part[0]]], low[part], high[part], side),
            (part for part in parts if len(part)),
        )
        return some, np.concatenate([np.zeros((0, side, side, 3), np.float32), *crops])

    def _run(
        self, run: Callable[..., Any], crops: Float32[np.ndarray, "n s s 3"], buckets: tuple[int, int]
    ) -> tuple[Float32[np.ndarray, n * d], ...]:
        """Run a network over crops in buckets of fixed size, the last one filled up."""
        small, large = (bucket * self._devices for bucket in buckets)
        answers, start = [], 0
        while start < len(crops):
            # A large bucket costs less than the small ones it takes the place of, from half full on.
            size = large if len(crops) - start > large // 2 else small
            part = crops[start : start + size]
            if len(part) < size:
                part = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), np.float32)])
            answers.append(run(part))
            start += size
        return tuple(
            np.concatenate([np.asarray(answer[i]) for answer in answers])[: len(crops)] for i in range(len(answers[0]))
        )


def _no_candidates() -> Candidates:
    empty = np.zeros((0, 4), np.float32)
    return Candidates(np.zeros(0, np.int64), empty, np.zeros(0, np.float32), empty)


def _joined(parts: Sequence[Candidates]) -> Candidates:
    return Candidates(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _taken(some: Candidates, index: Int[np.ndarray, " k"]) -> Candidates:
    return Candidates(*(column[index] for column in some))


def _suppressed(
    some: Candidates, nms: Callable[[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]], Int[np.ndarray, " k"]]
) -> Candidates:
    """Return what `nms` keeps in each image by itself."""
    keep = [
        mine[nms(some.boxes[mine], some.scores[mine])]
        for mine in (np.flatnonzero(some.image == image) for image in np.unique(some.image))
    ]
    return _taken(some, np.concatenate(keep) if keep else np.zeros(0, np.int64))
