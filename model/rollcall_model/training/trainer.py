"""The compiled training step, its state, and the state on disk.

On a CPU the batch is sharded over the processors, one thread each; on GPUs the same program runs over the cards.
"""

from __future__ import annotations

import functools
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
from rollcall_model.nn.state import parameter_count
from rollcall_model.training.batches import Batch
from rollcall_model.training.config import TrainConfig
from rollcall_model.training.losses import objective

#: Batches that the averaged network's batch statistics are measured on.
STATISTICS_BATCHES: Final = 60
_CLIP: Final = 5.0


class State(NamedTuple):
    """Everything that a resumed training needs."""

    params: Any
    stats: Any
    ema: Any
    optimiser: Any
    step: Any


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
        net = make(network, nnx.Rngs(config.seed))
        self.graph, params, stats = nnx.split(net, nnx.Param, nnx.BatchStat)  # type: ignore[misc]
        self.count = parameter_count(net)
        rate = config.learning_rate
        schedule = optax.warmup_cosine_decay_schedule(
            rate / 20, rate, int(config.steps * config.warm_up), config.steps, rate / 500
        )
        matrices = jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        self.optimiser = optax.chain(
            optax.clip_by_global_norm(_CLIP), optax.adamw(schedule, weight_decay=config.weight_decay, mask=matrices)
        )
        mesh = runtime.mesh()
        self._everywhere = NamedSharding(mesh, P())
        # A copy: the step donates its inputs' memory, so no two leaves may share it.
        average = jax.tree.map(jnp.copy, params)
        self.state = State(params, stats, average, self.optimiser.init(params), jnp.zeros((), jnp.int32))
        sharded = functools.partial(shard_map, mesh=mesh, check_vma=False)
        # Declared, so that batches of the host and of the devices run the same program.
        whole, parts = self._everywhere, NamedSharding(mesh, P("batch"))
        self._jit_step = jax.jit(
            sharded(self._step, in_specs=(P(), P("batch")), out_specs=(P(), P())),
            donate_argnums=0,
            in_shardings=(whole, parts),
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

    def step(self, batch: Batch) -> dict[str, jax.Array]:
        """Do one step on a batch; return the parts of the loss."""
        self._state, parts = self._jit_step(self._state, batch)
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
        net: AttributeNet = nnx.merge(self.graph, self.state.ema, stats)  # type: ignore[has-type]
        return net

    def _step(self, state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        def loss(params: Any) -> tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]:
            net = nnx.merge(self.graph, params, state.stats, copy=True)  # type: ignore[has-type]
            out = net(batch.crops.astype(jnp.float32), train=True)
            total, parts = objective(out, batch, self.config)
            return total, (nnx.state(net, nnx.BatchStat), parts)

        (_, (stats, parts)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
        gradient, stats, parts = jax.lax.pmean((gradient, stats, parts), "batch")
        updates, optimiser = self.optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        # Early averages follow quickly: the first weights are poor.
        keep = jnp.minimum(self.config.ema, (1.0 + state.step) / (20.0 + state.step))
        ema = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, state.ema, params)
        return State(params, stats, ema, optimiser, state.step + 1), parts

    def _statistics(self, params: Any, stats: Any, batch: Batch) -> Any:
        net = nnx.merge(self.graph, params, stats, copy=True)  # type: ignore[has-type]
        net(batch.crops.astype(jnp.float32), train=True)
        return jax.lax.pmean(nnx.state(net, nnx.BatchStat), "batch")


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


def _named(state: State) -> dict[str, Any]:
    """Return the leaves of a state by their paths, in the order of the tree."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state)}
