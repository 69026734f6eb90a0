"""The compiled training step, its state, and the state on disk.

On a CPU the batch is sharded over the processors, one thread each; on GPUs the same program runs over the cards.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from rollcall_model import checkpoint, runtime
from rollcall_model.attributes.network import AttributeConfig, AttributeNet
from rollcall_model.nn import layers
from rollcall_model.nn.state import parameter_count
from rollcall_model.training.batches import Batch
from rollcall_model.training.config import TrainConfig
from rollcall_model.training.losses import objective

#: Batches that the averaged network's batch statistics are measured on.
STATISTICS_BATCHES: Final = 60
_CLIP: Final = 5.0
#: What the highest learning rate is divided by for the first step and for the last.
_FIRST_RATE: Final = 20
_LAST_RATE: Final = 500
#: Modules whose arrays stay in float32 in half precision: the heads' differences are small, and cost nothing.
_PRECISE: Final = {"pool", "age", "gender", "identity"}


class State(NamedTuple):
    """Everything that a resumed training needs."""

    params: Any
    stats: Any
    ema: Any
    optimiser: Any
    step: Any


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step, counted from 0: it rises in a line, then falls as a cosine."""
    highest, rising = config.learning_rate, int(config.steps * config.warm_up)
    first, last = highest / _FIRST_RATE, highest / _LAST_RATE
    if step < rising:
        return first + (highest - first) * step / rising
    done = min((step - rising) / max(config.steps - rising, 1), 1.0)
    return last + (highest - last) * 0.5 * (1 + math.cos(math.pi * done))


class Trainer:
    """The compiled step and the state it works on.

    Parameters
    ----------
    make
        Makes the network of a configuration and random number streams.
    """

    def __init__(
        self,
        network: AttributeConfig,
        config: TrainConfig,
        make: Callable[[AttributeConfig, nnx.Rngs], AttributeNet] = AttributeNet,
    ) -> None:
        self.network, self.config = network, config
        with runtime.on_host():
            net = make(network, nnx.Rngs(config.seed))
        self.graph, params, stats = nnx.split(net, nnx.Param, nnx.BatchStat)  # type: ignore[misc]
        self.count = parameter_count(net)
        matrices = jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        self.optimiser = optax.chain(
            optax.clip_by_global_norm(_CLIP),
            optax.scale_by_adam(),
            optax.add_decayed_weights(config.weight_decay, matrices),
        )
        mesh = runtime.mesh()
        self._everywhere = NamedSharding(mesh, P())
        # A copy: the step donates its inputs' memory, so no two leaves may share it.
        with runtime.on_host():
            average = jax.tree.map(jnp.copy, params)
            self.state = State(params, stats, average, self.optimiser.init(params), jnp.zeros((), jnp.int32))
        sharded = functools.partial(shard_map, mesh=mesh, check_vma=False)
        # Declared, so that batches of the host and of the devices run the same program.
        whole, parts = self._everywhere, NamedSharding(mesh, P("batch"))
        self._jit_step = jax.jit(
            sharded(self._step, in_specs=(P(), P("batch"), P()), out_specs=(P(), P())),
            donate_argnums=0,
            in_shardings=(whole, parts, whole),
        )
        self._jit_statistics = jax.jit(
            sharded(self._statistics, in_specs=(P(), P(), P("batch")), out_specs=P()),
            in_shardings=(whole, whole, parts),
        )

    @property
    def state(self) -> State:
        """The state after the last step."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        # On all devices and of strong types, as the step returns it: else the step would be compiled twice.
        self._state = jax.device_put(jax.tree.map(np.array, state), self._everywhere)
        self._number = int(state.step)

    def step(self, batch: Batch) -> dict[str, jax.Array]:
        """Do one step on a batch; return the parts of the loss."""
        # An argument, so that the program does not depend on how many steps the run has.
        rate = learning_rate(self.config, self._number)
        self._number += 1
        self._state, parts = self._jit_step(self._state, batch, np.float32(rate))
        _wait_on_cpu(parts)
        return parts

    def begin_with(self, params: Any, stats: Any) -> None:
        """Set the parameters and batch statistics before the first step; the optimiser is reset."""
        self.state = self.state._replace(params=params, stats=stats, ema=jax.tree.map(jnp.copy, params))

    def averaged(self, source: Iterator[Batch], count: int = STATISTICS_BATCHES) -> AttributeNet:
        """Return the network with averaged weights and batch statistics measured with them on `count` new batches.

        The statistics of the raw weights do not fit the averaged ones.
        """
        stats = self.state.stats
        for _, batch in zip(range(count), source, strict=False):
            stats = self._jit_statistics(self.state.ema, stats, batch)
            _wait_on_cpu(stats)
        # What follows is done once, array by array, and a device would compile a program for each.
        host = jax.tree.map(np.asarray, (self.state.ema, stats))
        net: AttributeNet = nnx.merge(self.graph, *host)  # type: ignore[has-type]
        return net

    def _step(self, state: State, batch: Batch, rate: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        def loss(params: Any) -> tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]:
            net = nnx.merge(self.graph, self._computed(params), state.stats, copy=True)  # type: ignore[has-type]
            out = net(batch.crops.astype(self._precision), train=True)
            total, parts = objective(jax.tree.map(_single, out), batch, self.config)
            return total, (nnx.state(net, nnx.BatchStat), parts)

        (_, (stats, parts)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
        gradient, stats, parts = jax.lax.pmean((gradient, stats, parts), "batch")
        updates, optimiser = self.optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, jax.tree.map(lambda update: -rate * update, updates))
        # Early averages follow quickly: the first weights are poor.
        keep = jnp.minimum(self.config.ema, (1.0 + state.step) / (20.0 + state.step))
        ema = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, state.ema, params)
        return State(params, stats, ema, optimiser, state.step + 1), parts

    def _statistics(self, params: Any, stats: Any, batch: Batch) -> Any:
        net = nnx.merge(self.graph, params, stats, copy=True)  # type: ignore[has-type]
        net(batch.crops.astype(jnp.float32), train=True)
        return jax.lax.pmean(nnx.state(net, nnx.BatchStat), "batch")

    @property
    def _precision(self) -> Any:
        """The type of the activations in a step."""
        return jnp.bfloat16 if self.config.half_precision else jnp.float32

    def _computed(self, params: Any) -> Any:
        """Return the parameters as a step computes with them: kernels of the trunk in its precision."""

        def cast(path: tuple[Any, ...], leaf: Any) -> Any:
            named = {str(getattr(key, "key", key)) for key in path}
            return leaf if leaf.ndim < 2 or named & _PRECISE else leaf.astype(self._precision)

        return jax.tree_util.tree_map_with_path(cast, params)


def _wait_on_cpu(values: Any) -> None:
    """Wait for a program that adds up over devices, if these are processors.

    They wait for each other in threads; the next batch's program, made on the same ones, can take the last of them.
    """
    if layers.on_cpu():
        jax.block_until_ready(values)


def _single(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32)


def save_state(path: Path, state: State, metadata: dict[str, Any]) -> None:
    """Write all that a resumed training needs."""
    checkpoint.save(path, {name: np.asarray(leaf) for name, leaf in _named(state).items()}, metadata)


def load_state(path: Path, like: State) -> State:
    """Return the state in a file that `save_state` wrote; `like` is a state of the same network.

    Raises
    ------
    WeightsError
        If the file is missing or damaged, or naming each array that is missing, unexpected, or of another shape.
    """
    arrays, _ = checkpoint.load(path)
    expected = _named(like)
    # The format stores a scalar as an array of one number.
    arrays = {
        name: array.reshape(()) if array.size == 1 and name in expected and not np.shape(expected[name]) else array
        for name, array in arrays.items()
    }
    checkpoint.check(path, {name: np.shape(leaf) for name, leaf in expected.items()}, arrays)
    return jax.tree.unflatten(jax.tree.structure(like), [jnp.asarray(arrays[name]) for name in expected])


def save_average(path: Path, state: State, metadata: dict[str, Any]) -> None:
    """Write the averaged weights and the batch statistics: a quarter of the state, all that another run begins with."""
    checkpoint.save(path, {name: np.asarray(leaf) for name, leaf in _averaged(state).items()}, metadata)


def load_average(path: Path, like: State) -> tuple[Any, Any]:
    """Return the averaged weights and batch statistics of a file that `save_average` or `save_state` wrote.

    Raises
    ------
    WeightsError
        If the file is missing or damaged, or an array is missing or of another shape.
    """
    arrays, _ = checkpoint.load(path)
    expected = _averaged(like)
    kept = {name: array for name, array in arrays.items() if name in expected}
    checkpoint.check(path, {name: np.shape(leaf) for name, leaf in expected.items()}, kept)
    leaves = [kept[name] for name in expected]
    params, stats = jax.tree.unflatten(jax.tree.structure((like.ema, like.stats)), leaves)
    return params, stats


def _averaged(state: State) -> dict[str, Any]:
    """Return the leaves of a state that are averaged weights, then batch statistics, by the names they have in all."""
    named = _named(state)
    return {name: named[name] for part in (".ema", ".stats") for name in named if name.startswith(part)}


def _named(state: State) -> dict[str, Any]:
    """Return the leaves of a state by their paths, in the order of the tree."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state)}
