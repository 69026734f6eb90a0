"""The single-pass network's programs over whole pictures: in the form for a CPU, and in that for a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import UInt8

from rollcall_model import runtime
from rollcall_model.detection import canvases, single_pass
from rollcall_model.detection.batching import Batching
from rollcall_model.detection.canvases import Shape

#: Pictures in a bucket for each GPU.
BUCKETS: Final = (1, 8)
#: So many of the highest-scoring places of a picture come back from a GPU; of a picture with more, all do.
_MOST_PLACES: Final = 1024

Pictures = Sequence[UInt8[np.ndarray, "h w 3"]]


class Sent(NamedTuple):
    """What a GPU found in the pictures of a round; it may not have come to that yet."""

    above: jax.Array  # (n,), how many places of each score enough
    best: tuple[jax.Array, ...]  # scores (n, k), boxes, landmarks of the highest-scoring places, in their order
    all: tuple[jax.Array, ...]  # of all places; they stay on the device

    def of(self, row: int) -> list[np.ndarray]:
        """Return the scores, boxes and landmarks of all places of a picture that score enough, and of others."""
        fit = int(np.asarray(self.above)[row]) <= self.best[0].shape[1]
        return [np.asarray(part)[row] if fit else np.asarray(part[row]) for part in (self.best if fit else self.all)]


class GpuPictures:
    """The programs for GPUs: several pictures at once, each sent by a thread of its own, and few places come back.

    On the host pictures are not copied together, and black canvases that fill up a bucket are sent once.
    """

    def __init__(self, net: single_pass.SinglePass, batching: Batching, threads: Executor, least: float) -> None:
        self._batching, self._threads, self._least = batching, threads, least
        self._graph, self._state = nnx.split(net)
        self._everywhere = NamedSharding(batching.mesh, P())
        self._devices = batching.mesh.devices.reshape(-1).tolist()
        self.sizes = [bucket * batching.devices for bucket in BUCKETS]
        self._programs = {bucket: self._program(bucket) for bucket in BUCKETS}
        self._places: dict[Shape, jax.Array] = {}
        self._black: dict[tuple[Shape, Any], jax.Array] = {}

    def __call__(self, one: canvases.Round, pictures: Pictures) -> Sent:
        """Begin to process the pictures of a round."""
        bucket = one.canvases // len(self._devices)
        if one.shape not in self._places:
            self._places[one.shape] = jax.device_put(single_pass.anchors(*one.shape), self._everywhere)
        sent = list(
            self._threads.map(partial(self._send, one.shape), self._rows(bucket), _filled(pictures, one.canvases))
        )
        across = (len(self._devices), *one.shape, 3)
        columns = [
            jax.make_array_from_single_device_arrays(across, self._batching.sharding, sent[k::bucket])
            for k in range(bucket)
        ]
        above, *arrays = self._programs[bucket](self._places[one.shape], *columns)
        found = Sent(above, tuple(arrays[:3]), tuple(arrays[3:]))
        for array in (above, *found.best):
            array.copy_to_host_async()
        return found

    def _rows(self, bucket: int) -> list[Any]:
        """Return the device of each picture: a device has neighbours, as the outputs are joined."""
        return [device for device in self._devices for _ in range(bucket)]

    def _send(self, shape: Shape, device: Any, picture: UInt8[np.ndarray, "h w 3"] | None) -> jax.Array:
        """Return one canvas (1, h, w, 3) on a device."""
        if picture is None:
            if (shape, device) not in self._black:
                self._black[shape, device] = jax.device_put(np.zeros((1, *shape, 3), np.uint8), device)
            return self._black[shape, device]
        if picture.shape[:2] == shape:
            return jax.device_put(np.ascontiguousarray(picture)[None], device)
        return jax.device_put(canvases.place([picture], shape, 1, [0]), device)

    def _program(self, bucket: int) -> runtime.Programs:
        def forward(places: jax.Array, *pixels: jax.Array) -> tuple[jax.Array, ...]:
            outputs = nnx.merge(self._graph, self._state)(jnp.concatenate(pixels))
            scores = single_pass.scores(outputs)
            boxes, landmarks = (
                decode(outputs, places) for decode in (single_pass.decode_boxes, single_pass.decode_landmarks)
            )
            # In the order of the places, so that what is made of them does not depend on the device.
            best = jnp.sort(jax.lax.top_k(scores, min(_MOST_PLACES, scores.shape[1]))[1], axis=1)
            taken = [
                jnp.take_along_axis(part, best.reshape(*best.shape, *[1] * (part.ndim - 2)), axis=1)
                for part in (scores, boxes, landmarks)
            ]
            return ((scores >= self._least).sum(axis=1), *taken, scores, boxes, landmarks)

        sharded = shard_map(
            forward,
            mesh=self._batching.mesh,
            in_specs=(P(), *[P("batch")] * bucket),
            out_specs=P("batch"),
            check_vma=False,
        )
        shardings = (self._everywhere, *[self._batching.sharding] * bucket)
        return runtime.Programs(jax.jit(sharded, in_shardings=shardings))


def _filled(pictures: Pictures, count: int) -> list[UInt8[np.ndarray, "h w 3"] | None]:
    return [*pictures, *[None] * (count - len(pictures))]
