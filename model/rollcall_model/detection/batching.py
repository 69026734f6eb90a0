"""Networks compiled over all devices, and batches of small pictures in buckets of fixed size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from typing import Any, Final

import jax
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float32, Int

from rollcall_model import runtime
from rollcall_model.nn import layers

#: Pictures that one thread cuts out at a time: enough work for a task.
_SHARE: Final = 64

Network = Callable[..., Any]
Options = Mapping[str, int | bool] | None


def config_of(net: nnx.Module) -> Any:
    """Return the configuration of a network; None of one of a fixed form."""
    return getattr(net, "config", None)


class _Counted:
    """A network as a program for one processor over a portion of a batch, called for those that have pictures."""

    def __init__(self, net: nnx.Module, portion: int, form: Callable[..., Any], options: Options = None) -> None:
        self._portion = portion
        #: Also where a benchmark times the calls: whoever wraps a network takes over its attributes.
        self.counted = True
        graph, state = nnx.split(net)
        made_of = (type(net), config_of(net), portion, form, "counted", jax.tree.leaves(state))
        jitted = jax.jit(lambda pixels: form(nnx.merge(graph, state), pixels))
        self._program = runtime.Programs(jitted, made_of, options)

    def __call__(self, pixels: np.ndarray, count: int | None = None) -> Any:
        """Return the outputs of the portions that have any of the first `count` pictures (default: all)."""
        filled = len(pixels) if count is None else min(count, len(pixels))
        starts = range(0, filled, self._portion)
        # A loop of XLA's ran half of the single pass on a thread of its own, for which all photos waited.
        outputs = [self._program(pixels[start : start + self._portion]) for start in starts]
        return jax.tree.map(lambda *parts: np.concatenate([np.asarray(part) for part in parts]), *outputs)


class Batching:
    """Compiles networks for the devices at hand and runs them in buckets. Use from one thread at a time."""

    def __init__(self, threads: Executor) -> None:
        mesh = runtime.mesh()
        self.mesh, self._threads = mesh, threads
        self.devices = mesh.size
        self.sharding = NamedSharding(mesh, P("batch"))

    @property
    def one_processor(self) -> bool:
        """Whether everything runs on one processor, as in a process of an executor."""
        return layers.on_cpu() and self.devices == 1

    def compile(
        self,
        net: nnx.Module,
        portion: int,
        form: Callable[..., Any],
        *,
        counted: bool = False,
        options: Options = None,
    ) -> Network:
        """Return `form` of a network as a program over all devices; RGB pixels 0..255 in, float32.

        On a CPU a batch is processed in portions, so that intermediate arrays stay in the cache. With `counted`, on one
        processor, only the portions that have pictures: one large bucket then is as good as several. `options` are
        those of `runtime.Programs`.
        """
        if counted and self.one_processor:
            return _Counted(net, portion, form, options)
        graph, state = nnx.split(net)

        def forward(pixels: jax.Array) -> Any:
            def run(x: jax.Array) -> Any:
                return form(nnx.merge(graph, state), x)

            if not layers.on_cpu():
                return run(pixels)
            outputs = jax.lax.map(run, pixels.reshape(-1, portion, *pixels.shape[1:]))
            return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)

        sharded = shard_map(forward, mesh=self.mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False)
        made_of = (type(net), config_of(net), portion, form, layers.on_cpu(), jax.tree.leaves(state))
        return runtime.Programs(jax.jit(sharded, in_shardings=self.sharding), made_of, options)

    def put(self, array: np.ndarray) -> jax.Array:
        """Return an array sharded over the devices along its first axis."""
        return jax.device_put(array, self.sharding)

    @property
    def whole_numbers(self) -> type[np.number]:
        """The type of pixels that are whole numbers: a GPU is sent bytes; a CPU would convert them once more."""
        return np.float32 if layers.on_cpu() else np.uint8

    def warm_up(self, network: Network, *shape: int, dtype: type[np.number] = np.float32) -> None:
        """Compile a network for RGB pictures of `shape`, or load the program from the cache on disk."""
        # From NumPy, as in use: for arguments that lie elsewhere XLA compiles another program.
        jax.block_until_ready(network(np.zeros((*shape, 3), dtype)))

    def buckets(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return which of some sizes of buckets, the smallest first, are worth a program each.

        On one processor, where a program takes some 15 MiB, only the last, since networks are to be `counted` there.
        """
        return sizes[-1:] if self.one_processor else sizes

    def run(
        self,
        network: Network,
        groups: Sequence[Int[np.ndarray, " m"]],
        count: int,
        cut: Callable[[Int[np.ndarray, " k"], np.ndarray], None],
        side: int,
        buckets: tuple[int, ...],
        dtype: type[np.number] = np.float32,
    ) -> tuple[Float32[np.ndarray, n * d], ...]:
        """Return a network's outputs for `count` square pictures; an empty tuple if there are none.

        `cut` writes the pictures at some indices, all of one of the `groups`, to an array (k, side, side, 3) of the
        `dtype`. The first buckets are processed while pictures of the next ones are cut out.
        """
        filled = runtime.FILLED if layers.on_cpu() else runtime.FILLED_GPU
        starts = runtime.buckets(count, [bucket * self.devices for bucket in buckets], filled)
        # The padding of the last bucket is dropped again below.
        pixels = runtime.zeros((starts[-1], side, side, 3), dtype)
        pending = deque(
            (part[-1], self._threads.submit(cut, part, pixels[part[0] : part[-1] + 1]))
            for group in groups
            for part in _parts(group)
        )
        outputs = []
        for start, end in pairwise(starts):
            while pending and pending[0][0] < end:
                pending.popleft()[1].result()
            if pending:  # this task may have pictures on both sides of the border
                pending[0][1].result()
            # From NumPy: putting it onto the devices first took another 0.4 ms of a processor.
            part = pixels[start:end]
            outputs.append(network(part, count - start) if getattr(network, "counted", False) else network(part))
        return tuple(
            np.concatenate([np.asarray(part) for part in parts])[:count] for parts in zip(*outputs, strict=True)
        )


def _parts(group: Int[np.ndarray, " m"]) -> list[Int[np.ndarray, " k"]]:
    """Return the portions of a group that are a task each."""
    return [group] if len(group) <= _SHARE else np.array_split(group, -(-len(group) // _SHARE))
