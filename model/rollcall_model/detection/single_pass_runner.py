"""The compiled programs of the single-pass network: over whole pictures, and over windows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float32, Int, UInt8

from rollcall_model import runtime
from rollcall_model.detection import banded, canvases, orientation, single_pass, windows
from rollcall_model.detection.batching import Batching, Network
from rollcall_model.detection.candidates import runs
from rollcall_model.detection.canvases import Shape
from rollcall_model.detection.picture_programs import GpuPictures, Sent
from rollcall_model.detection.windows import Window
from rollcall_model.nn import layers
from rollcall_model.types import Detections

#: Pixels of a band on a CPU: with more, arrays leave the cache; with fewer, margins cost more than that.
_BAND: Final = 480 * 1280
#: Windows in a bucket for each device; of several devices, of which each has a bucket of its own, of two sizes.
_WINDOW_BUCKETS: Final = (1, 4)
#: Views in a bucket for each device: those of one place, and of several.
_VIEW_BUCKETS: Final = (4, 8)
_VIEW_BUCKETS_GPU: Final = (16, 128)

Pictures = Sequence[UInt8[np.ndarray, "h w 3"]]


class Runner:
    """Runs the network. What it returns is not suppressed, and has the network's scores. Use from one thread at a time.

    Parameters
    ----------
    least
        Places with a lower score are left out.
    """

    def __init__(self, net: single_pass.SinglePass, batching: Batching, threads: Executor, least: float) -> None:
        self._batching, self._threads, self._least = batching, threads, least
        graph, state = nnx.split(net)
        # One processor has no buckets to fill up, and its programs are smaller without a condition: 12 MiB of all.
        may_be_empty = layers.on_cpu() and batching.devices > 1

        def forward(pixels: jax.Array, places: jax.Array) -> Any:
            return _decoded(nnx.merge(graph, state), pixels, places, may_be_empty)

        sharded = shard_map(
            forward, mesh=batching.mesh, in_specs=(P("batch"), P()), out_specs=P("batch"), check_vma=False
        )
        self._everywhere = NamedSharding(batching.mesh, P())
        made_of = (type(net), net.config, may_be_empty, layers.on_cpu(), jax.tree.leaves(state))
        jitted = jax.jit(sharded, in_shardings=(batching.sharding, self._everywhere))
        self._program = runtime.Programs(jitted, made_of, runtime.OF_FIELDS)

        def squares(side: int) -> Network:
            return batching.compile(net, 1, _of_squares(side, may_be_empty), counted=True, options=runtime.OF_FIELDS)

        self._gpu = None if layers.on_cpu() else GpuPictures(net, batching, threads, least)
        self._windows = {side: squares(side) for side in windows.SIDES}
        self._views = squares(orientation.SIDE)
        self._places: dict[Shape, jax.Array] = {}
        views = _VIEW_BUCKETS if layers.on_cpu() else _VIEW_BUCKETS_GPU
        self._window_buckets, self._view_buckets = map(batching.buckets, (_WINDOW_BUCKETS, views))

    def warm_ups(self, shapes: Sequence[Shape], *, with_windows: bool) -> list[Callable[[], object]]:
        """Return what compiles the programs of canvases of these shapes, of views, and of windows, a function each."""
        counts = [self._batching.devices] if self._gpu is None else self._gpu.sizes
        works: list[Callable[[], object]] = [
            partial(self._ready, canvases.Round(shape, (), count)) for shape in shapes for count in counts
        ]
        programs = [(self._views, self._view_buckets, orientation.SIDE)]
        if with_windows:
            programs += [(program, self._window_buckets, side) for side, program in self._windows.items()]
        return works + [
            partial(
                self._batching.warm_up,
                program,
                bucket * self._batching.devices,
                side,
                side,
                dtype=self._batching.whole_numbers,
            )
            for program, buckets, side in programs
            for bucket in buckets
        ]

    def _ready(self, one: canvases.Round) -> None:
        jax.block_until_ready(self._run(one, []))

    def whole(self, pictures: Pictures) -> list[Detections]:
        """Return what is seen in each picture, of any size, in pixels of it."""
        shapes = [canvases.shape_for(*picture.shape[:2]) for picture in pictures]
        if self._gpu is None:
            rounds = canvases.rounds(shapes, self._batching.devices)
        else:
            rounds = canvases.batches(shapes, self._gpu.sizes)
        # Enqueued all at once: the first results are read while the next pictures are processed.
        pending = [(one, self._run(one, [pictures[index] for index in one.indices])) for one in rounds]
        results = {
            index: self._above(arrays)
            for one, outputs in pending
            for index, arrays in zip(one.indices, _by_row(outputs, one.rows), strict=True)
        }
        return [results[index] for index in range(len(pictures))]

    def inside(
        self, pictures: Sequence[tuple[UInt8[np.ndarray, "h w 3"], Shape]], chosen: Sequence[tuple[int, Window]]
    ) -> list[Detections]:
        """Return what is seen in windows of pictures, each a picture's index and the window.

        A picture is given with the shape in which it is looked at, in whose pixels windows and faces are. A window's
        places that it does not answer for are left out.
        """
        result: dict[int, Detections] = {}
        for side, program in self._windows.items():
            mine = [number for number, (_, window) in enumerate(chosen) if window.side == side]
            if not mine:
                continue

            def cut(rows: Int[np.ndarray, " k"], out: np.ndarray, mine: Sequence[int] = mine) -> None:
                for row, pixels in zip(rows, out, strict=True):
                    index, window = chosen[mine[row]]
                    image, shape = pictures[index]
                    windows.cut(image, shape, window, pixels)

            groups = runs(np.array([chosen[number][0] for number in mine]))
            dtype = self._batching.whole_numbers
            outputs = self._batching.run(program, groups, len(mine), cut, side, self._window_buckets, dtype)
            for row, number in enumerate(mine):
                result[number] = _of_window(self._above([part[row] for part in outputs]), chosen[number][1])
        return [result[number] for number in range(len(chosen))]

    def best(self, views: Pictures) -> Float32[np.ndarray, " n"]:
        """Return the highest score in each view, a square of `orientation.SIDE` pixels."""
        if not views:
            return np.zeros(0, np.float32)

        def cut(rows: Int[np.ndarray, " k"], out: np.ndarray) -> None:
            for row, pixels in zip(rows, out, strict=True):
                pixels[:] = views[row]

        groups = [np.arange(len(views))]
        dtype = self._batching.whole_numbers
        outputs = self._batching.run(self._views, groups, len(views), cut, orientation.SIDE, self._view_buckets, dtype)
        return np.asarray(outputs[0].max(axis=1))

    def _run(self, one: canvases.Round, pictures: Pictures) -> Any:
        if self._gpu is not None:
            return self._gpu(one, pictures)
        shape = one.shape
        if shape not in self._places:
            self._places[shape] = jax.device_put(single_pass.anchors(*shape), self._everywhere)
        return self._program(canvases.place(pictures, shape, one.canvases, one.rows), self._places[shape])

    def _above(self, arrays: Sequence[np.ndarray]) -> Detections:
        """Return the places that score enough, of all scores, boxes and landmarks of a picture."""
        above = np.flatnonzero(arrays[0] >= self._least)
        return Detections(arrays[1][above], arrays[0][above], arrays[2][above])


def _by_row(outputs: Any, rows: Sequence[int]) -> Iterator[list[np.ndarray]]:
    """Yield the scores, boxes and landmarks of the pictures in these rows."""
    if isinstance(outputs, Sent):
        yield from map(outputs.of, rows)
        return
    arrays = [np.asarray(part) for part in outputs]
    for row in rows:
        yield [part[row] for part in arrays]


def _decoded(
    net: single_pass.SinglePass, pixels: jax.Array, places: jax.Array, may_be_empty: bool
) -> tuple[jax.Array, ...]:
    """Return the scores, boxes and landmarks of all places.

    If they `may_be_empty`, black pixels alone have scores of zero without a look: they are what fills up a bucket.
    """

    def seen(x: jax.Array) -> tuple[jax.Array, ...]:
        outputs = banded.outputs(net, x, _BAND // x.shape[2]) if layers.on_cpu() else net(x)
        return (
            single_pass.scores(outputs),
            single_pass.decode_boxes(outputs, places),
            single_pass.decode_landmarks(outputs, places),
        )

    if not may_be_empty:
        return seen(pixels)
    nothing = jax.eval_shape(seen, pixels)
    found: tuple[jax.Array, ...] = jax.lax.cond(
        pixels.any(), seen, lambda _: jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), nothing), pixels
    )
    return found


def _of_squares(side: int, may_be_empty: bool) -> Callable[..., Any]:
    """Return `_decoded` for squares of this side."""
    return partial(_decoded, places=jnp.asarray(single_pass.anchors(side, side)), may_be_empty=may_be_empty)


def _of_window(found: Detections, window: Window) -> Detections:
    """Return the faces of a window in pixels of its picture, without those that it does not answer for."""
    if not len(found.scores):
        return found
    corner = np.array([window.left, window.top], np.float32)
    boxes = found.boxes + np.tile(corner, 2)
    kept = window.answers_for((boxes[:, :2] + boxes[:, 2:]) / 2)
    return Detections(boxes[kept], found.scores[kept], found.landmarks[kept] + corner)
