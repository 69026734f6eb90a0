"""The prefilter: one quick look at a picture that says where P-Net need not look.

P-Net judges every 12x12 window of every level of the pyramid by itself, which is most of a search's work; nearly all of
them show nothing like a face. Before it, a network of a few depthwise separable blocks looks at the picture once an
octave. For each cell of 8x8 pixels it says how likely one of the windows there leads to a face in the end, at either of
the octave's two levels. It has learnt that from what the whole cascade found (`train_prefilter`). P-Net then looks at
tiles of 4x4 windows where that is likely, and says of them what it would have said anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, Float32, Int, Int32, UInt8

from rollcall_model import attributes, checkpoint, layers, pooling, pyramid, runtime
from rollcall_model.weights import PREFILTER

#: Side of a cell, in pixels of an octave; and of what it stands for at the octave's finer level.
CELL: Final = 8
#: Windows along a side of a tile, which begins and ends with the centres of its windows.
WINDOWS: Final = CELL // pyramid.STRIDE
#: Pixels along a side of a tile.
TILE: Final = CELL + pyramid.WINDOW - pyramid.STRIDE
#: Where the centre of the first window of the first tile would lie, counted in windows of the level.
BEFORE: Final = -((pyramid.WINDOW // 2) // pyramid.STRIDE)
#: Levels with a shorter side than this, in pixels, are not asked about: P-Net looks at them wholly, they are little.
ASKED: Final = 32
#: Pictures whose finest level has a shorter side than this, in pixels, are not asked about at all: in what little there
#: is to see, faces smaller than the smallest that is looked for make up much, and those are what is missed.
PICTURE: Final = 100
#: Cells around a cell that the network's answer depends on.
REACH: Final = 2


class PrefilterConfig(NamedTuple):
    """The shape of the network; the defaults are those of the committed weights."""

    widths: tuple[int, int] = (16, 48)  # for each 4x4 pixels, and for each cell
    depth: int = REACH
    expansion: int = 2


class Block(nnx.Module):
    """Look at the cells around, widen, narrow, add."""

    def __init__(self, channels: int, expansion: int, rngs: nnx.Rngs | None) -> None:
        self.look = nnx.Param(attributes.drawn(rngs, (3, 3, channels), 9))
        self.widen = attributes.Linear(channels, channels * expansion, rngs, gain=1.4)
        self.narrow = attributes.Linear(channels * expansion, channels, rngs, gain=0.2)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Return x and what the block adds."""
        return x + self.narrow(jax.nn.relu(self.widen(layers.depthwise(x, self.look[...]))))


class Prefilter(nnx.Module):
    """The network. Without `rngs` it is all zeros, to be filled at once."""

    def __init__(self, config: PrefilterConfig, rngs: nnx.Rngs | None) -> None:
        self.config = config
        small, large = config.widths
        self.patches = attributes.Linear(3 * 4**2, small, rngs, gain=1.4)
        self.cells = attributes.Linear(small * 2**2, large, rngs, gain=1.4)
        self.blocks = nnx.List([Block(large, config.expansion, rngs) for _ in range(config.depth)])
        self.score = attributes.Linear(large, 2, rngs)

    def __call__(
        self, x: Float[Array, "n h w 3"], inside: Float[Array, "n h8 w8"] | None = None
    ) -> Float[Array, "n h8 w8 2"]:
        """Return for each cell the logits of the octave's two levels, the finer one first.

        `x` are RGB values 0..255. Where `inside` is 0 there is no picture, as there is none beyond the border.
        """
        x = (x - 127.5) * (1 / 64)
        x = jax.nn.relu(self.patches(layers.patchify(x, 4)))
        x = jax.nn.relu(self.cells(layers.patchify(x, 2)))
        for block in self.blocks:
            # What is no picture shall say nothing to its neighbours.
            x = block(x if inside is None else x * inside[..., None])
        return self.score(x)


def load(path: Path = PREFILTER) -> tuple[Prefilter, float]:
    """Return the network and the logit from which on a cell is looked at.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """
    arrays, facts = checkpoint.load(path)
    config = PrefilterConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in facts["config"].items()})  # type: ignore[arg-type]
    net = Prefilter(config, None)
    attributes.unflat(net, arrays, path=path)
    return net, float(facts["least"])


class Octave(NamedTuple):
    """One picture that the prefilter looks at."""

    image: int  # which photograph of the batch
    number: int  # 0: faces from the smallest on fill a window; each next one has half as many pixels a side
    height: int
    width: int

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells; the last ones may reach beyond the picture."""
        return -(-self.height // CELL), -(-self.width // CELL)


def place(level: pyramid.Level) -> tuple[int, int]:
    """Return in which octave a level is asked about, and as which of its two levels."""
    half = round(2 * math.log2(level.first / level.scale))
    return half // 2, half % 2


def is_asked(level: pyramid.Level) -> bool:
    """Say whether a level, and its picture, are large enough to be asked about."""
    side = min(level.inner_height, level.inner_width)
    return side >= ASKED and side * level.first >= PICTURE * level.scale


def octaves(image: int, height: int, width: int, levels: Sequence[pyramid.Level]) -> list[Octave]:
    """Return the octaves of an image that are asked about some of its levels."""
    asked = [level for level in levels if is_asked(level)]
    if not asked:
        return []
    count = max(place(level)[0] + 1 for level in asked)
    size = [max(round(side * asked[0].first), 1) for side in (height, width)]
    return [Octave(image, number, *(max(side >> number, 1) for side in size)) for number in range(count)]


def draw(pixels: UInt8[np.ndarray, "h w 3"], wanted: Sequence[Octave]) -> list[UInt8[np.ndarray, "h2 w2 3"]]:
    """Return the pictures of an image's octaves; each is the one before it, halved."""
    result: list[UInt8[np.ndarray, "h2 w2 3"]] = []
    for octave in wanted:
        while pixels.shape[0] >= 2 * octave.height and pixels.shape[1] >= 2 * octave.width:
            pixels = pooling.halved(pixels)
        if pixels.shape[:2] != (octave.height, octave.width):
            pixels = cv2.resize(pixels, (octave.width, octave.height), interpolation=cv2.INTER_LINEAR)
        result.append(pixels)
    return result


class Tiles(NamedTuple):
    """Parts of levels that P-Net looks at: 4x4 windows each."""

    level: Int[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]  # of tiles; the first one has only one row of windows within the level
    column: Int[np.ndarray, " n"]


def grid(level: pyramid.Level) -> tuple[int, int]:
    """Return how many rows and columns of tiles cover all windows of a level."""
    windows = [(side - pyramid.WINDOW) // pyramid.STRIDE + 1 for side in (level.height, level.width)]
    return cast(tuple[int, int], tuple((count - 1 - BEFORE) // WINDOWS + 1 for count in windows))


def tile_of(
    level: pyramid.Level, octave: Octave, size: tuple[int, int], cells: Int[np.ndarray, "n 2"]
) -> Int[np.ndarray, "n 2"]:
    """Return row and column of the tile of a level that the middle of each cell (row, column) lies in.

    `size` is the height and width of the image.
    """
    ratio = _ratio(level, octave, size)
    return np.minimum(((cells + 0.5) * ratio).astype(np.int64), np.array(grid(level)) - 1)


def _ratio(level: pyramid.Level, octave: Octave, size: tuple[int, int]) -> np.ndarray:
    """Return how many pixels of the level, down and across, one of the octave is."""
    return np.asarray(np.array(size) / (octave.height, octave.width) * level.scale)


def _spoken_for(
    said: Bool[np.ndarray, "h w"], level: pyramid.Level, octave: Octave, size: tuple[int, int]
) -> Bool[np.ndarray, "r c"]:
    """Return which tiles of a level a cell speaks for."""
    result = np.zeros(grid(level), bool)
    result[tuple(tile_of(level, octave, size, np.argwhere(said)).T)] = True
    ratio = _ratio(level, octave, size)
    if (ratio > 1).any():
        # Cells a little larger than tiles: here and there a tile has no cell's middle. The cell at its own speaks.
        rows, columns = (
            np.minimum(((np.arange(count) + 0.5) / one).astype(np.int64), last - 1)
            for count, one, last in zip(result.shape, ratio, said.shape, strict=True)
        )
        result |= said[np.ix_(rows, columns)]
    return result


def likely(
    said: Bool[np.ndarray, "h w 2"],
    octave: Octave,
    size: tuple[int, int],
    numbers: Sequence[int],
    levels: Sequence[pyramid.Level],
) -> Tiles:
    """Return the tiles of an octave's levels that a cell speaks for; `numbers` are the levels of its image."""
    parts = []
    for number in numbers:
        level = levels[number]
        where, which = place(level)
        if where == octave.number and is_asked(level) and said[..., which].any():
            rows, columns = np.nonzero(_spoken_for(said[..., which], level, octave, size))
            parts.append(Tiles(np.full(len(rows), number), rows, columns))
    return joined(parts)


def whole(numbers: Sequence[int], levels: Sequence[pyramid.Level]) -> Tiles:
    """Return all tiles of the levels that are not asked about."""
    parts = []
    for number in numbers:
        if not is_asked(levels[number]):
            rows, columns = np.indices(grid(levels[number])).reshape(2, -1)
            parts.append(Tiles(np.full(len(rows), number), rows, columns))
    return joined(parts)


def joined(parts: Sequence[Tiles]) -> Tiles:
    """Return the tiles of all parts, in order."""
    empty = Tiles(*(np.zeros(0, np.int64) for _ in Tiles._fields))
    return Tiles(*(np.concatenate(columns) for columns in zip(empty, *parts, strict=True)))


def windows(tiles: Tiles) -> tuple[Int[np.ndarray, "n 4 4"], Int[np.ndarray, "n 4 4"]]:
    """Return row and column of every window of every tile, as a level counts them; some lie beyond it."""
    steps = np.arange(WINDOWS)
    rows = tiles.row[:, None, None] * WINDOWS + BEFORE + steps[:, None]
    columns = tiles.column[:, None, None] * WINDOWS + BEFORE + steps[None, :]
    return np.broadcast_arrays(rows, columns)  # type: ignore[return-value]


def cut(
    sums: Int32[np.ndarray, "h1 w1 3"], level: pyramid.Level, tiles: Tiles, out: Float32[np.ndarray, "n t t 3"]
) -> None:
    """Average an image, of which `sums` is the integral image, to the pixels of tiles of one level."""
    start = np.stack([tiles.column, tiles.row]) * CELL + BEFORE * pyramid.STRIDE
    inner = np.array([level.inner_width, level.inner_height])[:, None, None]
    # Beyond the level its last row and column are repeated, as they are where it is filled up to be even.
    pooling.part(
        sums, np.clip(start[:, :, None] + np.arange(TILE), 0, inner - 1), (inner[0, 0, 0], inner[1, 0, 0]), out
    )


#: Rows of cells on a page, of which the first and last `REACH` are those of its neighbours.
_PAGE: Final = 32
_ADVANCE: Final = _PAGE - 2 * REACH
#: Pages in a bucket for each device.
_BUCKETS: Final = (1, 4)


class Scout:
    """Says which tiles of the pyramids of a batch P-Net should look at; the network, compiled. Use from one thread.

    All octaves of a batch lie on one strip, a cell apart, which is read in pages of one size: one program serves
    photographs of any size.

    Parameters
    ----------
    resolution, min_face
        The longest side that an image may have where faces are looked for from `min_face` pixels on.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """

    def __init__(self, resolution: int, min_face: int, path: Path = PREFILTER) -> None:
        net, self.least = load(path)
        # The longest octave and the space behind it.
        self._width = -(-math.ceil(resolution * pyramid.WINDOW / min_face) // CELL) + 1
        mesh = runtime.mesh()
        self._buckets = [pages * mesh.size for pages in _BUCKETS]
        graph, state = nnx.split(net)

        def forward(pixels: Array, inside: Array) -> Array:
            def run(page: tuple[Array, Array]) -> Array:
                return nnx.merge(graph, state)(*(part[None].astype(jnp.float32) for part in page))[0]

            # One page stays in the cache.
            return jax.lax.map(run, (pixels, inside))

        spread = shard_map(forward, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False)
        self._sharding = NamedSharding(mesh, P("batch"))
        self._run = jax.jit(spread, in_shardings=self._sharding)

    def warm_up(self) -> None:
        """Compile the program, or fetch it from the cache on disk."""
        for count in self._buckets:
            self._look(np.zeros((count * _ADVANCE + 2 * REACH, self._width), bool), [], [], [0, count])

    def __call__(
        self, images: Sequence[UInt8[np.ndarray, "h w 3"]], levels: Sequence[pyramid.Level], threads: Executor
    ) -> Tiles:
        """Return the tiles of all levels where a face is likely, and all tiles of small levels; in order of levels."""
        by_image: list[list[int]] = [[] for _ in images]
        for number, level in enumerate(levels):
            by_image[level.image].append(number)
        wanted = [
            octaves(i, image.shape[0], image.shape[1], [levels[n] for n in numbers])
            for i, (image, numbers) in enumerate(zip(images, by_image, strict=True))
        ]
        drawn = threads.map(draw, images, wanted)
        flat = [octave for some in wanted for octave in some]
        tiles = [whole(range(len(levels)), levels)]
        for octave, said in zip(flat, self._answers(flat, [p for some in drawn for p in some]), strict=True):
            size = images[octave.image].shape[:2]
            tiles.append(likely(said >= self.least, octave, size, by_image[octave.image], levels))
        found = joined(tiles)
        order = np.argsort(found.level, kind="stable")
        return Tiles(*(column[order] for column in found))

    def _answers(
        self, wanted: Sequence[Octave], drawn: Sequence[UInt8[np.ndarray, "h w 3"]]
    ) -> list[Float32[np.ndarray, "h w 2"]]:
        """Return the network's answers for the cells of each octave."""
        if not wanted:
            return []
        # Behind and below each lies a row and a column of cells without a picture.
        sides = [(CELL * (rows + 1), CELL * (columns + 1)) for rows, columns in (octave.cells for octave in wanted)]
        spaces = [pyramid.Level(0, 1.0, height, width, height, width, 1.0) for height, width in sides]
        pieces, rows = pyramid.pack(spaces, CELL * self._width)
        starts = runtime.buckets(-(-(rows // CELL) // _ADVANCE), self._buckets)
        inside = np.zeros((starts[-1] * _ADVANCE + 2 * REACH, self._width), bool)
        places = []
        for piece in pieces:
            octave, top, left = wanted[piece.level], piece.top // CELL + REACH, piece.column // CELL
            inside[top : top + octave.cells[0], left : left + octave.cells[1]] = True
            places.append((piece.level, top, left))
        answers = self._look(inside, places, drawn, starts)
        result: list[Any] = [None] * len(wanted)
        for number, top, left in places:
            height, width = wanted[number].cells
            result[number] = answers[top - REACH : top - REACH + height, left : left + width]
        return result

    def _look(
        self,
        inside: Bool[np.ndarray, "r w"],
        places: Sequence[tuple[int, int, int]],
        drawn: Sequence[UInt8[np.ndarray, "h w 3"]],
        starts: Sequence[int],
    ) -> Float32[np.ndarray, "r2 w 2"]:
        """Lay the pictures on a strip and return the answers of its pages, without those shared by two.

        `starts` are the first pages of the buckets, and the number of pages.
        """
        strip = np.full((CELL * len(inside), CELL * self._width, 3), 127, np.uint8)
        for number, top, left in places:
            height, width = drawn[number].shape[:2]
            strip[CELL * top : CELL * top + height, CELL * left : CELL * left + width] = drawn[number]
        pages = pyramid.pages(strip, starts[-1], CELL * _PAGE, 2 * REACH * CELL)
        masks = pyramid.pages(inside, starts[-1], _PAGE, 2 * REACH)
        answers = [
            self._run(*(jax.device_put(part[start:end], self._sharding) for part in (pages, masks)))
            for start, end in pairwise(starts)
        ]
        seen = np.concatenate([np.asarray(part)[:, REACH:-REACH] for part in answers])
        return seen.reshape(-1, *seen.shape[2:])
