"""The detector: image pyramid, three networks, suppression. The one place where detection is compiled.

Three programs serve photographs of any size: pages of the pyramid through P-Net, and buckets of crops
through R-Net and O-Net, each in a small and a large bucket. The coordinates follow the published
implementation, which counts the last pixel of a box in; results are in the frame of `Detections`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import jax
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool, Float, Float32, Int, Int32, UInt8

from rollcall_model import boxes as bx
from rollcall_model import layers, mtcnn, pooling, prefilter, pyramid, runtime
from rollcall_model.types import Detections, no_detections


class DetectorConfig(NamedTuple):
    """What a detector looks for; the defaults are the published ones."""

    resolution: int = 1280  # longest side in pixels that an image is reduced to; larger ones only
    min_face: int = 20  # pixels of the reduced image
    factor: float = 0.709
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    #: Whether P-Net looks at all windows, or only where the prefilter finds a face likely. The latter on a CPU only:
    #: what a GPU saves by it, it would lose by waiting.
    thorough: bool = False


#: Height and width of a page of the strip, in pixels.
PAGE = (256, 194)
#: Rows that P-Net goes down at a time on a CPU: what it makes of them stays in a processor's cache. Pages of
#: eight times the area, worked off whole, took 1.8 times as long for each pixel.
STEP = 64
#: An image whose smallest face has twice as many pixels is halved before it is searched.
ENOUGH = 30
#: Tiles of windows in a bucket for each device, and in a portion on a CPU.
TILE_BUCKETS = (64, 256)
_PORTION = 32
#: P-Net's boxes that overlap by more than this (intersection over union) show much the same. A quick search asks R-Net
#: about the surest first, and not about the others where its answer is at least `FACE` or less than `NONE`.
ALIKE, FACE, NONE = 0.3, 0.99, 0.02
#: R-Net's boxes that overlap by more than this are about one face.
ONE_FACE = 0.5
#: Crops in a bucket for each device: small and large. On a CPU a large one is worked off in small portions, for
#: the sake of the cache.
RNET_BUCKETS = (16, 64)
ONET_BUCKETS = (4, 16)


class Candidates(NamedTuple):
    """Boxes of many images between two stages."""

    image: Int[np.ndarray, " n"]
    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    offsets: Float32[np.ndarray, "n 4"]


class Judged(NamedTuple):
    """Crops that are faces, and the faces on them in pixels of the images, as in `Detections`."""

    crops: Candidates
    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    landmarks: Float32[np.ndarray, "n 5 2"]

    def joined(self, other: Judged) -> Judged:
        """Return the faces of both."""
        crops = _joined(self.crops, other.crops)
        return Judged(crops, *(np.concatenate(pair) for pair in zip(self[1:], other[1:], strict=True)))


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
        self._sharding = NamedSharding(mesh, P("batch"))

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
            return jax.jit(spread, in_shardings=self._sharding)

        streamed = partial(mtcnn.PNet.streamed, rows=STEP) if layers.on_cpu() else mtcnn.PNet.__call__
        pnet = mtcnn.load(mtcnn.PNet)
        self._pnet = compiled(pnet, 1, streamed)
        self._rnet = compiled(mtcnn.load(mtcnn.RNet), RNET_BUCKETS[0], mtcnn.RNet.__call__)
        self._onet = compiled(mtcnn.load(mtcnn.ONet), ONET_BUCKETS[0], mtcnn.ONet.__call__)
        self._strip = np.zeros((0, PAGE[1], 3), np.float32)
        self._scout = None
        if layers.on_cpu() and not self.config.thorough:
            self._scout = prefilter.Scout(self.config.resolution, self.config.min_face)
            self._tiles = compiled(pnet, _PORTION, mtcnn.PNet.__call__)
        self._threads = ThreadPoolExecutor(runtime.processors(), thread_name_prefix="rollcall-crop")

    def warm_up(self) -> None:
        """Compile every program (or fetch it from the cache on disk), so that the first photograph is quick."""

        def call(run: Callable[..., Any], *shape: int) -> None:
            # Laid on the devices as in earnest: a program for arguments that lie elsewhere is another one.
            jax.block_until_ready(run(jax.device_put(np.zeros((*shape, 3), np.float32), self._sharding)))

        programs = [(self._rnet, 24, RNET_BUCKETS), (self._onet, 48, ONET_BUCKETS)]
        if self._scout is None:
            call(self._pnet, self._pages, *PAGE)
        else:
            self._scout.warm_up()
            programs.append((self._tiles, prefilter.TILE, TILE_BUCKETS))
        for run, side, buckets in programs:
            for bucket in buckets:
                call(run, bucket * self._devices, side, side)

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[Detections]:
        """Return the faces of each RGB image, best first, in pixels of that image.

        Images may be of any size; one smaller than 12 pixels, or empty, has no faces.
        """
        searched = list(self._threads.map(self._reduce, images))
        reduced, min_faces = [small for small, _ in searched], [min_face for _, min_face in searched]
        sums = list(self._threads.map(pooling.integral, reduced))
        first = self._propose(reduced, sums, min_faces)
        found = self._finish(sums, self._refine(sums, first))
        result = []
        for image, small, faces in zip(images, reduced, found, strict=True):
            if small is image or not len(faces.scores):
                result.append(faces)
                continue
            ratio = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]], np.float32)
            result.append(Detections(faces.boxes * np.tile(ratio, 2), faces.scores, faces.landmarks * ratio))
        return result

    def _reduce(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h w 3"], float]:
        """Return an image as it is searched, and the smallest face in its pixels."""
        min_face = self.config.min_face * max(max(image.shape[:2], default=0) / self.config.resolution, 1)
        # A quick search leaves out more than the resolution asks for where faces are large: halving costs little.
        while self._scout is not None and min_face >= 2 * ENOUGH and min(image.shape[:2]) >= 4 * pyramid.WINDOW:
            image, min_face = pooling.halved(image), min_face / 2
        ratio = self.config.min_face / min_face
        if ratio >= 1:
            return image, min_face
        size = (max(round(image.shape[1] * ratio), 1), max(round(image.shape[0] * ratio), 1))
        # Down to a half four neighbours see every pixel, at an eighth of the time.
        how = cv2.INTER_LINEAR if ratio >= 0.5 else cv2.INTER_AREA
        return cv2.resize(image, size, interpolation=how).astype(np.uint8, copy=False), self.config.min_face

    # -- first stage ------------------------------------------------------------------------------

    def _propose(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        min_faces: Sequence[float],
    ) -> Candidates:
        """Run P-Net over the pyramids; return squared candidates."""
        levels = self.levels(images, min_faces)
        found, numbers = self.search(images, sums, levels)
        survivors = []
        for mine in _runs(found.image):
            parts = [part[bx.nms(found.boxes[part], found.scores[part], 0.5)] for part in _runs(numbers, mine)]
            kept = np.concatenate(parts)
            survivors.append(kept[bx.nms(found.boxes[kept], found.scores[kept], 0.7)])
        if not survivors:
            return _no_candidates()
        result = _taken(found, np.concatenate(survivors))
        return result._replace(boxes=bx.square(bx.regress(result.boxes, result.offsets)))

    def levels(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], min_faces: Sequence[float]) -> list[pyramid.Level]:
        """Return the levels of the pyramids of reduced images, image by image."""
        return [
            level
            for index, (image, min_face) in enumerate(zip(images, min_faces, strict=True))
            for level in pyramid.levels(index, image.shape[0], image.shape[1], min_face, self.config.factor)
        ]

    def search(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        levels: Sequence[pyramid.Level],
    ) -> tuple[Candidates, Int[np.ndarray, " n"]]:
        """Return the windows that may be faces, in pixels of their images, and the level of each, in order."""
        if not levels:
            return _no_candidates(), np.zeros(0, np.int64)
        if self._scout is not None:
            tiles = self._scout(images, levels, self._threads)
            return self._tiled(sums, levels, tiles)
        pieces, rows = pyramid.pack(levels, PAGE[1])
        return self._windows(self._draw(sums, levels, pieces, rows), pieces, levels)

    def _tiled(
        self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], levels: Sequence[pyramid.Level], tiles: prefilter.Tiles
    ) -> tuple[Candidates, Int[np.ndarray, " n"]]:
        """Return the windows of tiles that may be faces, and the level of each; otherwise as `search`."""

        def cut(part: Int[np.ndarray, " k"], out: Float32[np.ndarray, "k s s 3"]) -> None:
            level = levels[tiles.level[part[0]]]
            prefilter.cut(sums[level.image], level, prefilter.Tiles(*(column[part] for column in tiles)), out)

        answers = self._bucketed(self._tiles, _runs(tiles.level), len(tiles.level), cut, prefilter.TILE, TILE_BUCKETS)
        if not answers:
            return _no_candidates(), np.zeros(0, np.int64)
        probability, offsets = answers
        heights, widths = np.array([(level.height, level.width) for level in levels]).T
        rows, columns = prefilter.windows(tiles)
        last = (
            np.stack([heights, widths])[:, tiles.level, None, None] // pyramid.STRIDE - pyramid.WINDOW // pyramid.STRIDE
        )
        inside = (rows >= 0) & (columns >= 0) & (rows <= last[0]) & (columns <= last[1])
        seen = np.nonzero((probability >= self.config.thresholds[0]) & inside)
        level = tiles.level[seen[0]]
        low = np.stack([columns[seen], rows[seen]], axis=1) * pyramid.STRIDE
        return _found(levels, level, low, probability[seen], offsets[seen])

    def _draw(
        self,
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        levels: Sequence[pyramid.Level],
        pieces: Sequence[pyramid.Piece],
        rows: int,
    ) -> list[Any]:
        """Draw the strip and return P-Net's answers to its pages, in calls; they are not waited for.

        The first pages are looked at while the next ones are drawn.
        """
        advance = PAGE[0] - pyramid.SHARED
        count = -(-(rows - pyramid.SHARED) // (advance * self._pages)) * self._pages
        if len(self._strip) < count * advance + pyramid.SHARED:
            # What is left on it from before does not matter: no window that touches it is looked at.
            self._strip = np.zeros((count * advance + pyramid.SHARED, PAGE[1], 3), np.float32)
        by_level: dict[int, list[pyramid.Piece]] = {}
        for piece in sorted(pieces, key=lambda piece: piece.top):
            by_level.setdefault(piece.level, []).append(piece)
        drawn = deque(
            (parts[0].top, self._threads.submit(pyramid.draw, sums[levels[n].image], levels[n], parts, self._strip))
            for n, parts in by_level.items()
        )
        pages = pyramid.pages(self._strip, count, PAGE[0])
        answers = []
        for start in range(0, count, self._pages):
            end = start + self._pages
            while drawn and drawn[0][0] < end * advance + pyramid.SHARED:
                drawn.popleft()[1].result()
            answers.append(self._pnet(jax.device_put(pages[start:end], self._sharding)))
        return answers

    def _windows(
        self, answers: Sequence[Any], pieces: Sequence[pyramid.Piece], levels: Sequence[pyramid.Level]
    ) -> tuple[Candidates, Int[np.ndarray, " n"]]:
        """Return the windows that may be faces, in pixels of their images, and the level of each, in order."""
        stride, columns = pyramid.STRIDE, (PAGE[1] - pyramid.WINDOW) // pyramid.STRIDE + 1
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
        table = pyramid.positions(pieces)
        level, x, y = table[owners[place]].T
        low = np.stack([place % columns * stride + x, place // columns * stride + y], axis=1)
        return _found(levels, level, low, np.concatenate(scores), np.concatenate(offsets))

    # -- second and third stage -------------------------------------------------------------------

    def _refine(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], some: Candidates) -> Candidates:
        """Run R-Net over crops; return squared candidates."""
        if self._scout is None:
            asked = self._ask(sums, some)
        else:
            surest, others = _divided(some, ALIKE)
            asked = self._ask(sums, surest)
            asked = _joined(asked, self._ask(sums, _taken(others, np.flatnonzero(~_settled(others, asked)))))
        some = _taken(asked, np.flatnonzero(asked.scores > self.config.thresholds[1]))
        some = _suppressed(some, partial(bx.nms, threshold=0.7))
        return some._replace(boxes=bx.square(bx.regress(some.boxes, some.offsets, extra=1)))

    def _ask(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], some: Candidates) -> Candidates:
        """Return candidates with R-Net's scores and offsets."""
        some, answers = self._run(self._rnet, sums, some, 24, RNET_BUCKETS)
        return some._replace(scores=answers[0], offsets=answers[1]) if answers else _no_candidates()

    def _finish(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], some: Candidates) -> list[Detections]:
        """Run O-Net over crops; return the faces of each image."""
        if self._scout is None:
            found = self._judge(sums, some)
        else:
            # The surest box of each face first; the others only where that one was none. That is a third of the crops.
            surest, others = _divided(some, ONE_FACE)
            found = self._judge(sums, surest)
            overlap = bx.iou(others.boxes, found.crops.boxes) * (others.image[:, None] == found.crops.image)
            left = np.flatnonzero((overlap <= ONE_FACE).all(axis=1))
            found = found.joined(self._judge(sums, _taken(others, left)))
        result = []
        for index in range(len(sums)):
            mine = np.flatnonzero(found.crops.image == index)
            mine = mine[bx.nms(found.boxes[mine], found.scores[mine], 0.7, "min")]
            result.append(Detections(found.boxes[mine], found.scores[mine], found.landmarks[mine]))
        return result

    def _judge(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], some: Candidates) -> Judged:
        """Run O-Net over crops; return those that are faces."""
        some, answers = self._run(self._onet, sums, some, 48, ONET_BUCKETS)
        if not answers:
            return Judged(_no_candidates(), *no_detections())
        probability, offsets, points = answers
        low = some.boxes[:, None, :2]
        size = some.boxes[:, None, 2:] - low + 1
        landmarks = np.stack([points[:, :5], points[:, 5:]], axis=2) * size + low - 1
        # From here on pixels are areas with their centres at one half.
        landmarks += 0.5
        boxes = bx.regress(some.boxes, offsets, extra=1)
        faces = np.flatnonzero(probability > self.config.thresholds[2])
        columns = (boxes, probability, landmarks)
        return Judged(_taken(some, faces), *(column[faces].astype(np.float32) for column in columns))

    def _run(
        self,
        run: Callable[..., Any],
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        some: Candidates,
        side: int,
        buckets: tuple[int, int],
    ) -> tuple[Candidates, tuple[Float32[np.ndarray, n * d], ...]]:
        """Cut out the candidates, resized, and run a network over them in buckets of fixed size.

        Those that lie wholly outside their images are dropped; if none are left there are no answers. The
        first buckets are looked at while the crops of the next ones are cut out.
        """
        whole = np.trunc(some.boxes).astype(np.int64)
        limits = np.array([(s.shape[1] - 1, s.shape[0] - 1) for s in sums], np.int64).reshape(-1, 2)[some.image]
        low = np.maximum(whole[:, :2], 1) - 1
        high = np.minimum(whole[:, 2:], limits)
        inside = np.flatnonzero((high > low).all(axis=1))
        some, low, high = _taken(some, inside), low[inside], high[inside]

        def cut(part: Int[np.ndarray, " k"], out: Float32[np.ndarray, "k s s 3"]) -> None:
            pooling.crops(sums[some.image[part[0]]], low[part], high[part], out)

        return some, self._bucketed(run, _runs(some.image), len(inside), cut, side, buckets)

    def _bucketed(
        self,
        run: Callable[..., Any],
        runs: Sequence[Int[np.ndarray, " m"]],
        count: int,
        cut: Callable[[Int[np.ndarray, " k"], Float32[np.ndarray, "k s s 3"]], None],
        side: int,
        buckets: tuple[int, int],
    ) -> tuple[Float32[np.ndarray, n * d], ...]:
        """Return a network's answers to `count` small pictures, none if there are none.

        `cut` draws some of them, of one of the `runs`. The first buckets are looked at while the next ones are drawn.
        """
        starts = runtime.buckets(count, [bucket * self._devices for bucket in buckets])
        # What the last bucket is filled up with is ignored.
        pixels = np.zeros((starts[-1], side, side, 3), np.float32)
        # A share of one run is enough work for one thread.
        drawn = deque(
            (part[-1], self._threads.submit(cut, part, pixels[part[0] : part[-1] + 1]))
            for mine in runs
            for part in np.array_split(mine, -(-len(mine) // 64))
        )
        answers = []
        for start, end in pairwise(starts):
            while drawn and drawn[0][0] < end:
                drawn.popleft()[1].result()
            if drawn:  # may lie on both sides of the border
                drawn[0][1].result()
            answers.append(run(jax.device_put(pixels[start:end], self._sharding)))
        return tuple(
            np.concatenate([np.asarray(part) for part in parts])[:count] for parts in zip(*answers, strict=True)
        )


def _found(
    levels: Sequence[pyramid.Level],
    level: Int[np.ndarray, " n"],
    low: Int[np.ndarray, "n 2"],
    scores: Float32[np.ndarray, " n"],
    offsets: Float32[np.ndarray, "n 4"],
) -> tuple[Candidates, Int[np.ndarray, " n"]]:
    """Return windows, of which `low` is x and y in their levels, as candidates in the order of levels; and levels."""
    image, scale = (np.array([getattr(one, name) for one in levels]) for name in ("image", "scale"))
    scale = scale[level, None]
    boxes = np.concatenate([np.floor((low + 1) / scale), np.floor((low + pyramid.WINDOW) / scale)], axis=1)
    found = Candidates(image[level], boxes.astype(np.float32), scores, offsets)
    # Levels are numbered image by image.
    order = np.argsort(level, kind="stable")
    return _taken(found, order), level[order]


def _no_candidates() -> Candidates:
    empty = np.zeros((0, 4), np.float32)
    return Candidates(np.zeros(0, np.int64), empty, np.zeros(0, np.float32), empty)


def _taken(some: Candidates, index: Int[np.ndarray, " k"]) -> Candidates:
    return Candidates(*(column[index] for column in some))


def _runs(values: Int[np.ndarray, " n"], within: Int[np.ndarray, " k"] | None = None) -> list[Int[np.ndarray, " m"]]:
    """Return the indices of each run of equal values; of those `within` alone if it is given."""
    index = np.arange(len(values)) if within is None else within
    return np.split(index, np.flatnonzero(np.diff(values[index])) + 1) if len(index) else []


def _joined(some: Candidates, more: Candidates) -> Candidates:
    return Candidates(*(np.concatenate(pair) for pair in zip(some, more, strict=True)))


def _divided(some: Candidates, threshold: float) -> tuple[Candidates, Candidates]:
    """Return the surest of candidates that overlap by more than `threshold`, and the others."""
    surest = _kept(some, partial(bx.nms, threshold=threshold))
    return _taken(some, surest), _taken(some, np.setdiff1d(np.arange(len(some.image)), surest))


def _settled(others: Candidates, asked: Candidates) -> Bool[np.ndarray, " n"]:
    """Say which candidates need not be asked about, after R-Net's answers about those that they are like."""
    moved = bx.square(bx.regress(asked.boxes, asked.offsets, extra=1))
    result = np.zeros(len(others.image), bool)
    for mine in _runs(others.image):
        here = asked.image == others.image[mine[0]]
        faces, none = here & (asked.scores >= FACE), here & (asked.scores < NONE)
        boxes = others.boxes[mine]
        result[mine] = (bx.iou(boxes, moved[faces]) > ALIKE).any(axis=1)
        # Nothing is certain near what may be something.
        near = (bx.iou(boxes, asked.boxes[here & ~none]) > ALIKE / 2).any(axis=1)
        result[mine] |= (bx.iou(boxes, asked.boxes[none]) > ALIKE).any(axis=1) & ~near
    return result


def _suppressed(
    some: Candidates, nms: Callable[[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]], Int[np.ndarray, " k"]]
) -> Candidates:
    """Return what `nms` keeps in each image by itself."""
    return _taken(some, _kept(some, nms))


def _kept(
    some: Candidates, nms: Callable[[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]], Int[np.ndarray, " k"]]
) -> Int[np.ndarray, " k"]:
    """Return the indices that `nms` keeps in each image by itself, image by image."""
    keep = [
        mine[nms(some.boxes[mine], some.scores[mine])]
        for mine in (np.flatnonzero(some.image == image) for image in np.unique(some.image))
    ]
    return np.concatenate(keep) if keep else np.zeros(0, np.int64)
