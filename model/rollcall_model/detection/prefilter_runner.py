"""The prefilter compiled, over the octaves of a batch of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float32, UInt8

from rollcall_model import runtime
from rollcall_model.detection import packing, patches, prefilter, pyramid
from rollcall_model.detection.octaves import CELL, Octave, draw, octaves
from rollcall_model.detection.patches import Patches
from rollcall_model.detection.prefilter import RADIUS
from rollcall_model.weights import PREFILTER

#: Rows of cells of a tile, of which the first and last `RADIUS` are those of its neighbours.
_TILE_ROWS: Final = 32
_ADVANCE: Final = _TILE_ROWS - 2 * RADIUS
#: Tiles in a bucket for each device.
_BUCKETS: Final = (1, 4)


class PrefilterRunner:
    """Selects the patches that P-Net has to score, in the pyramids of a batch. Use from one thread at a time.

    All octaves of a batch are packed on one canvas, a cell apart, which is processed in tiles of one size: a single
    program serves images of any size.

    Parameters
    ----------
    resolution
        The longest side that an image may have, in pixels.
    min_face
        The smallest face, in pixels of an image of that size.
    threshold
        The logit from which on a cell is kept; None: the one in the weights' metadata.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """

    def __init__(self, resolution: int, min_face: int, threshold: float | None = None, path: Path = PREFILTER) -> None:
        net, trained_threshold = prefilter.load(path)
        self.threshold = trained_threshold if threshold is None else threshold
        # The longest octave and the space behind it.
        self._width = -(-math.ceil(resolution * pyramid.WINDOW / min_face) // CELL) + 1
        mesh = runtime.mesh()
        self._buckets = [tiles * mesh.size for tiles in _BUCKETS]
        graph, state = nnx.split(net)

        def forward(pixels: Array, mask: Array) -> Array:
            def run(tile: tuple[Array, Array]) -> Array:
                return nnx.merge(graph, state)(*(part[None].astype(jnp.float32) for part in tile))[0]

            # One tile at a time stays in the cache.
            return jax.lax.map(run, (pixels, mask))

        sharded = shard_map(forward, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False)
        self._sharding = NamedSharding(mesh, P("batch"))
        self._run = runtime.Programs(jax.jit(sharded, in_shardings=self._sharding))

    def warm_up(self) -> None:
        """Compile the program, or load it from the cache on disk."""
        for count in self._buckets:
            self._run_tiles(np.zeros((count * _ADVANCE + 2 * RADIUS, self._width), bool), [], [], [0, count])

    def __call__(
        self, images: Sequence[UInt8[np.ndarray, "h w 3"]], levels: Sequence[pyramid.Level], threads: Executor
    ) -> Patches:
        """Return the selected patches of all levels, and all patches of small levels; in the order of levels."""
        by_image: list[list[int]] = [[] for _ in images]
        for number, level in enumerate(levels):
            by_image[level.image].append(number)
        wanted = [
            octaves(i, image.shape[0], image.shape[1], [levels[n] for n in numbers])
            for i, (image, numbers) in enumerate(zip(images, by_image, strict=True))
        ]
        pictures = [picture for some in threads.map(draw, images, wanted) for picture in some]
        all_octaves = [octave for some in wanted for octave in some]
        parts = [patches.unfiltered(range(len(levels)), levels)]
        for octave, logits in zip(all_octaves, self.logits(all_octaves, pictures), strict=True):
            size = images[octave.image].shape[:2]
            cells = logits >= self.threshold
            parts.append(patches.selected(cells, octave, size, by_image[octave.image], levels))
        found = patches.concat(parts)
        order = np.argsort(found.level, kind="stable")
        return Patches(*(column[order] for column in found))

    def logits(
        self, wanted: Sequence[Octave], pictures: Sequence[UInt8[np.ndarray, "h w 3"]]
    ) -> list[Float32[np.ndarray, "h w 2"]]:
        """Return the network's logits for the cells of each octave; `pictures` are those of `octaves.draw`."""
        if not wanted:
            return []
        # Behind and below each octave lies a column and a row of empty cells.
        sides = [(CELL * (rows + 1), CELL * (columns + 1)) for rows, columns in (octave.cells for octave in wanted)]
        spaces = [pyramid.Level(0, 1.0, height, width, height, width, 1.0) for height, width in sides]
        pieces, rows = packing.pack(spaces, CELL * self._width)
        starts = runtime.buckets(-(-(rows // CELL) // _ADVANCE), self._buckets)
        mask = np.zeros((starts[-1] * _ADVANCE + 2 * RADIUS, self._width), bool)
        places = []
        for piece in pieces:
            octave, top, left = wanted[piece.level], piece.top // CELL + RADIUS, piece.column // CELL
            mask[top : top + octave.cells[0], left : left + octave.cells[1]] = True
            places.append((piece.level, top, left))
        logits = self._run_tiles(mask, places, pictures, starts)
        result: list[Any] = [None] * len(wanted)
        for number, top, left in places:
            height, width = wanted[number].cells
            result[number] = logits[top - RADIUS : top - RADIUS + height, left : left + width]
        return result

    def _run_tiles(
        self,
        mask: Bool[np.ndarray, "r w"],
        places: Sequence[tuple[int, int, int]],
        pictures: Sequence[UInt8[np.ndarray, "h w 3"]],
        starts: Sequence[int],
    ) -> Float32[np.ndarray, "r2 w 2"]:
        """Pack the pictures on a canvas and return the logits of its tiles, each row of cells once.

        `starts` are the first tiles of the buckets, and the number of tiles.
        """
        canvas = np.full((CELL * len(mask), CELL * self._width, 3), 127, np.uint8)
        for number, top, left in places:
            height, width = pictures[number].shape[:2]
            canvas[CELL * top : CELL * top + height, CELL * left : CELL * left + width] = pictures[number]
        tiles = packing.tiles(canvas, starts[-1], CELL * _TILE_ROWS, 2 * RADIUS * CELL)
        masks = packing.tiles(mask, starts[-1], _TILE_ROWS, 2 * RADIUS)
        outputs = [
            self._run(*(jax.device_put(part[start:end], self._sharding) for part in (tiles, masks)))
            for start, end in pairwise(starts)
        ]
        inner = np.concatenate([np.asarray(part)[:, RADIUS:-RADIUS] for part in outputs])
        return inner.reshape(-1, *inner.shape[2:])
