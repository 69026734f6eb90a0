"""The cascade's first stage: P-Net over the image pyramids of a batch.

A thorough search packs all levels on a canvas and scores every window; a quick one scores the patches that the
prefilter selects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from rollcall_model.detection import boxes as bx
from rollcall_model.detection import mtcnn, mtcnn_weights, packing, patches, pyramid
from rollcall_model.detection.batching import Batching
from rollcall_model.detection.candidates import Candidates, no_candidates, runs
from rollcall_model.detection.config import PATCH_BUCKETS, PATCH_PORTION, ROWS, TILE_SHAPE, DetectorConfig
from rollcall_model.detection.patches import Patches
from rollcall_model.detection.prefilter_runner import PrefilterRunner
from rollcall_model.nn import layers

#: IoU of the suppression within a level, and then over all levels of an image.
_LEVEL_IOU, _IMAGE_IOU = 0.5, 0.7


class ProposalStage:
    """P-Net, compiled, and the canvas that it reads. Use from one thread at a time.

    Raises
    ------
    WeightsError
        If the published weights are not installed, or the prefilter's are missing.
    """

    def __init__(self, config: DetectorConfig, batching: Batching, threads: Executor) -> None:
        self._config, self._batching, self._threads = config, batching, threads
        self._tiles = (1 if layers.on_cpu() else 64) * batching.devices
        form = partial(mtcnn.PNet.streamed, rows=ROWS) if layers.on_cpu() else mtcnn.PNet.__call__
        pnet = mtcnn_weights.load(mtcnn.PNet)
        self._pnet = batching.compile(pnet, 1, mtcnn.of_pixels(form))
        self._canvas = np.zeros((0, TILE_SHAPE[1], 3), np.float32)
        self.prefilter: PrefilterRunner | None = None
        if layers.on_cpu() and not config.thorough:
            self.prefilter = PrefilterRunner(config.resolution, config.min_face, config.quick.prefilter_threshold)
            self._pnet_patches = batching.compile(pnet, PATCH_PORTION, mtcnn.of_pixels(mtcnn.PNet.__call__))

    def warm_up(self) -> None:
        """Compile every program, or load it from the cache on disk."""
        if self.prefilter is None:
            self._batching.warm_up(self._pnet, self._tiles, *TILE_SHAPE)
            return
        self.prefilter.warm_up()
        for bucket in PATCH_BUCKETS:
            self._batching.warm_up(self._pnet_patches, bucket * self._batching.devices, patches.SIDE, patches.SIDE)

    def propose(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        min_faces: Sequence[float],
    ) -> Candidates:
        """Return the candidates of reduced images, with squared boxes.

        `sums` are the images' integral images, `min_faces` the smallest face of each in its pixels.
        """
        levels = self.levels(images, min_faces)
        found, numbers = self.search(images, sums, levels)
        survivors = []
        for mine in runs(found.image):
            parts = [part[bx.nms(found.boxes[part], found.scores[part], _LEVEL_IOU)] for part in runs(numbers, mine)]
            kept = np.concatenate(parts)
            survivors.append(kept[bx.nms(found.boxes[kept], found.scores[kept], _IMAGE_IOU)])
        if not survivors:
            return no_candidates()
        result = found.take(np.concatenate(survivors))
        return result._replace(boxes=result.regressed())

    def levels(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], min_faces: Sequence[float]) -> list[pyramid.Level]:
        """Return the levels of the pyramids of reduced images, image by image."""
        return [
            level
            for index, (image, min_face) in enumerate(zip(images, min_faces, strict=True))
            for level in pyramid.levels(index, image.shape[0], image.shape[1], min_face, self._config.factor)
        ]

    def search(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        levels: Sequence[pyramid.Level],
    ) -> tuple[Candidates, Int[np.ndarray, " n"]]:
        """Return the windows above P-Net's threshold, in pixels of their images, and their levels, in order."""
        if not levels:
            return no_candidates(), np.zeros(0, np.int64)
        if self.prefilter is not None:
            return self._search_patches(sums, levels, self.prefilter(images, levels, self._threads))
        pieces, rows = packing.pack(levels, TILE_SHAPE[1])
        return self._windows(self._run_tiles(sums, levels, pieces, rows), pieces, levels)

    def _search_patches(
        self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], levels: Sequence[pyramid.Level], selected: Patches
    ) -> tuple[Candidates, Int[np.ndarray, " n"]]:
        """Return the windows of patches above the threshold; otherwise as `search`."""

        def cut(part: Int[np.ndarray, " k"], out: Float32[np.ndarray, "k s s 3"]) -> None:
            level = levels[selected.level[part[0]]]
            patches.draw(sums[level.image], level, Patches(*(column[part] for column in selected)), out)

        outputs = self._batching.run(
            self._pnet_patches, runs(selected.level), len(selected.level), cut, patches.SIDE, PATCH_BUCKETS
        )
        if not outputs:
            return no_candidates(), np.zeros(0, np.int64)
        probability, offsets = outputs
        sizes = np.array([(level.height, level.width) for level in levels]).T
        rows, columns = patches.windows(selected)
        last = sizes[:, selected.level, None, None] // pyramid.STRIDE - pyramid.WINDOW // pyramid.STRIDE
        inside = (rows >= 0) & (columns >= 0) & (rows <= last[0]) & (columns <= last[1])
        above = np.nonzero((probability >= self._config.thresholds[0]) & inside)
        level = selected.level[above[0]]
        corners = np.stack([columns[above], rows[above]], axis=1) * pyramid.STRIDE
        return _candidates(levels, level, corners, probability[above], offsets[above])

    def _run_tiles(
        self,
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        levels: Sequence[pyramid.Level],
        pieces: Sequence[packing.Piece],
        rows: int,
    ) -> list[Any]:
        """Draw the canvas and return P-Net's outputs for its tiles, call by call, without waiting for them.

        The first tiles are processed while the next ones are drawn.
        """
        advance = TILE_SHAPE[0] - packing.OVERLAP
        count = -(-(rows - packing.OVERLAP) // (advance * self._tiles)) * self._tiles
        if len(self._canvas) < count * advance + packing.OVERLAP:
            # Pixels of earlier batches may stay on the canvas: no window that touches them is used.
            self._canvas = np.zeros((count * advance + packing.OVERLAP, TILE_SHAPE[1], 3), np.float32)
        by_level: dict[int, list[packing.Piece]] = {}
        for piece in sorted(pieces, key=lambda piece: piece.top):
            by_level.setdefault(piece.level, []).append(piece)
        pending = deque(
            (parts[0].top, self._threads.submit(packing.draw, sums[levels[n].image], levels[n], parts, self._canvas))
            for n, parts in by_level.items()
        )
        tiles = packing.tiles(self._canvas, count, TILE_SHAPE[0])
        outputs = []
        for start in range(0, count, self._tiles):
            end = start + self._tiles
            while pending and pending[0][0] < end * advance + packing.OVERLAP:
                pending.popleft()[1].result()
            outputs.append(self._pnet(self._batching.put(tiles[start:end])))
        return outputs

    def _windows(
        self, outputs: Sequence[Any], pieces: Sequence[packing.Piece], levels: Sequence[pyramid.Level]
    ) -> tuple[Candidates, Int[np.ndarray, " n"]]:
        """Return the windows of the canvas above the threshold; otherwise as `search`."""
        stride, columns = pyramid.STRIDE, (TILE_SHAPE[1] - pyramid.WINDOW) // pyramid.STRIDE + 1
        height = self._tiles * (TILE_SHAPE[0] - packing.OVERLAP)
        owners = packing.owners(pieces, len(outputs) * height + packing.OVERLAP, TILE_SHAPE[1]).reshape(-1)
        places, scores, offsets = [], [], []
        for number, (probability, offset) in enumerate(outputs):
            values = np.asarray(probability).reshape(-1)
            start = number * len(values)
            owned = owners[start : start + len(values)] >= 0
            above = np.flatnonzero((values >= self._config.thresholds[0]) & owned)
            places.append(start + above)
            scores.append(values[above])
            offsets.append(np.asarray(offset).reshape(-1, 4)[above])
        place = np.concatenate(places)
        level, x, y = packing.positions(pieces)[owners[place]].T
        corners = np.stack([place % columns * stride + x, place // columns * stride + y], axis=1)
        return _candidates(levels, level, corners, np.concatenate(scores), np.concatenate(offsets))


def _candidates(
    levels: Sequence[pyramid.Level],
    level: Int[np.ndarray, " n"],
    corners: Int[np.ndarray, "n 2"],
    scores: Float32[np.ndarray, " n"],
    offsets: Float32[np.ndarray, "n 4"],
) -> tuple[Candidates, Int[np.ndarray, " n"]]:
    """Return windows as candidates in the order of levels, and their levels; `corners` are x, y in their levels."""
    image, scale = (np.array([getattr(one, name) for one in levels]) for name in ("image", "scale"))
    scale = scale[level, None]
    boxes = np.concatenate([np.floor((corners + 1) / scale), np.floor((corners + pyramid.WINDOW) / scale)], axis=1)
    found = Candidates(image[level], boxes.astype(np.float32), scores, offsets)
    # Levels are numbered image by image.
    order = np.argsort(level, kind="stable")
    return found.take(order), level[order]
