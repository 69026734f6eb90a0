"""The detector: image pyramid, three networks, suppression. The one place where detection is compiled.

Three programs serve photographs of any size: pages of the pyramid through P-Net, and buckets of crops
through R-Net and O-Net, each in a small and a large bucket. The coordinates follow the published
implementation, which counts the last pixel of a box in; results are in the frame of `Detections`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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


#: Height and width of a page of the strip, in pixels.
PAGE = (256, 194)
#: Rows that P-Net goes down at a time on a CPU: what it makes of them stays in a processor's cache. Pages of
#: eight times the area, worked off whole, took 1.8 times as long for each pixel.
STEP = 64
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
        self._pages = (1 if layers.on_cpu() else 64) * mesh.size
        sharding = NamedSharding(mesh, P("batch"))

        def compiled(net: nnx.Module, portion: int, form: Callable[..., Any]) -> Callable[..., Any]:
            graph, state = nnx.split(net)

            def forward(pixels: jax.Array) -> Any:
                def run(x: jax.Array) -> Any:
                    return form(nnx.merge(graph, state), mtcnn.normalise(x))

                if not layers.on_cpu():
                    return run(pixels)
                answers = jax.lax.map(run, pixels.reshape(-1, portion, *pixels.shape[1:]))
                return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), answers)

            spread = shard_map(forward, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False)
            return jax.jit(spread, in_shardings=sharding)

        streamed = partial(mtcnn.PNet.streamed, rows=STEP) if layers.on_cpu() else mtcnn.PNet.__call__
        self._pnet = compiled(mtcnn.load(mtcnn.PNet), 1, streamed)
        self._rnet = compiled(mtcnn.load(mtcnn.RNet), RNET_BUCKETS[0], mtcnn.RNet.__call__)
        self._onet = compiled(mtcnn.load(mtcnn.ONet), ONET_BUCKETS[0], mtcnn.ONet.__call__)
        self._strip = np.zeros((0, PAGE[1], 3), np.float32)
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
        levels = [
            level
            for index, table in enumerate(sums)
            for level in pyramid.levels(
                index, table.shape[0] - 1, table.shape[1] - 1, self.config.min_face, self.config.factor
            )
        ]
        if not levels:
            return _no_candidates()
        pieces, rows = pyramid.pack(levels, PAGE[1])
        pages = self._draw(sums, levels, pieces, rows)
        # All calls are sent off before the first answer is waited for.
        answers = [self._pnet(pages[start : start + self._pages]) for start in range(0, len(pages), self._pages)]
        found, numbers = self._windows(answers, pieces, levels)
        survivors = []
        for mine in _runs(found.image):
            parts = [part[bx.nms(found.boxes[part], found.scores[part], 0.5)] for part in _runs(numbers, mine)]
            kept = np.concatenate(parts)
            survivors.append(kept[bx.nms(found.boxes[kept], found.scores[kept], 0.7)])
        if not survivors:
            return _no_candidates()
        result = _taken(found, np.concatenate(survivors))
        return result._replace(boxes=bx.square(bx.regress(result.boxes, result.offsets)))

    def _draw(
        self,
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        levels: Sequence[pyramid.Level],
        pieces: Sequence[pyramid.Piece],
        rows: int,
    ) -> Float32[np.ndarray, "p h w 3"]:
        """Return the pages with every piece in its place, as many as a whole number of calls takes."""
        advance = PAGE[0] - pyramid.SHARED
        count = -(-(rows - pyramid.SHARED) // (advance * self._pages)) * self._pages
        if len(self._strip) < count * advance + pyramid.SHARED:
            # What is left on it from before does not matter: no window that touches it is looked at.
            self._strip = np.zeros((count * advance + pyramid.SHARED, PAGE[1], 3), np.float32)
        by_level: dict[int, list[pyramid.Piece]] = {}
        for piece in pieces:
            by_level.setdefault(piece.level, []).append(piece)
        list(
            self._threads.map(
                lambda number: pyramid.draw(sums[levels[number].image], levels[number], by_level[number], self._strip),
                by_level,
            )
        )
        return pyramid.pages(self._strip, count, PAGE[0])

    def _windows(
        self, answers: Sequence[Any], pieces: Sequence[pyramid.Piece], levels: Sequence[pyramid.Level]
    ) -> tuple[Candidates, Int[np.ndarray, " n"]]:
        """Return the windows that may be faces, in pixels of their images, and the level of each, in order."""
        stride, window, columns = pyramid.STRIDE, pyramid.WINDOW, (PAGE[1] - pyramid.WINDOW) // pyramid.STRIDE + 1
        height = self._pages * (PAGE[0] - pyramid.SHARED)
        owners = pyramid.owners(pieces, len(answers) * height + pyramid.SHARED, PAGE[1]).reshape(-1)
        places, scores, offsets = [], [], []
        for number, (probability, offset) in enumerate(answers):
            flat = np.asarray(probability).reshape(-1)
            start = number * len(flat)
            seen = np.flatnonzero((flat >= self.config.thresholds[0]) & (owners[start : start + len(flat)] >= 0))
            places.append(start + seen)
            scores.append(flat[seen])
            offsets.append(np.asarray(offset).reshape(-1, 4)[seen])
        place = np.concatenate(places)
        table, scales = pyramid.positions(pieces, levels)
        owner = owners[place]
        level, image, x, y = table[owner].T
        low = np.stack([place % columns * stride + x, place // columns * stride + y], axis=1)
        scale = scales[owner, None]
        boxes = np.concatenate([np.floor((low + 1) / scale), np.floor((low + window) / scale)], axis=1)
        found = Candidates(image, boxes.astype(np.float32), np.concatenate(scores), np.concatenate(offsets))
        # Levels are numbered image by image.
        order = np.argsort(level, kind="stable")
        return _taken(found, order), level[order]

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


def _taken(some: Candidates, index: Int[np.ndarray, " k"]) -> Candidates:
    return Candidates(*(column[index] for column in some))


def _runs(values: Int[np.ndarray, " n"], within: Int[np.ndarray, " k"] | None = None) -> list[Int[np.ndarray, " m"]]:
    """Return the indices of each run of equal values; of those `within` alone if it is given."""
    index = np.arange(len(values)) if within is None else within
    return np.split(index, np.flatnonzero(np.diff(values[index])) + 1) if len(index) else []


def _suppressed(
    some: Candidates, nms: Callable[[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]], Int[np.ndarray, " k"]]
) -> Candidates:
    """Return what `nms` keeps in each image by itself."""
    keep = [
        mine[nms(some.boxes[mine], some.scores[mine])]
        for mine in (np.flatnonzero(some.image == image) for image in np.unique(some.image))
    ]
    return _taken(some, np.concatenate(keep) if keep else np.zeros(0, np.int64))
