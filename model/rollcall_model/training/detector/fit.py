"""The training itself: the whole network on scenes, from a teacher's weights or from random ones.

Any length leaves usable weights: a checkpoint with the moving average is written every so often, and a run goes on from
its own checkpoint. On a GPU the same program runs with larger batches.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import shard_map
from jax.sharding import PartitionSpec as P

from rollcall_model import checkpoint, runtime
from rollcall_model.checkpoint import StateDict
from rollcall_model.detection import single_pass
from rollcall_model.detection.single_pass import SinglePass, SinglePassConfig
from rollcall_model.nn.state import load_state_dict, state_dict
from rollcall_model.training.detector import scenes
from rollcall_model.training.detector.losses import LossWeights, Targets, scene_loss
from rollcall_model.training.detector.pack import Pack
from rollcall_model.training.detector.scenes import Scene, Turns
from rollcall_model.training.detector.teacher import Teacher

_ECHO: Final = 50
#: Batches that are drawn ahead.
_AHEAD: Final = 4


class FitConfig(NamedTuple):
    """The settings of a run."""

    steps: int = 12_000
    batch: int = 16  # scenes in a step
    side: int = 320  # pixels
    scenes_a_picture: int = 4  # of one decoded picture
    learning_rate: float = 1e-3  # the highest
    average: float = 0.998  # of the moving average of the weights
    save_every: int = 500  # steps
    seed: int = 0
    turns: Turns = Turns()
    weights: LossWeights = LossWeights()


def batches(pack: Pack, config: FitConfig, seed: int, steps: int) -> Iterator[list[Scene]]:
    """Yield batches of scenes, drawn ahead by threads."""
    count = config.batch // config.scenes_a_picture
    chooser = np.random.default_rng(seed)
    # Pictures of crowds are shown more often: they hold most small faces.
    crowd = np.array([min((~faces.ignored).sum(), 16) for faces in pack.faces], np.float64)
    chances = (1 + crowd) / (1 + crowd).sum()

    def one(indices: np.ndarray, seed: int) -> list[Scene]:
        rng = np.random.default_rng(seed)
        return [
            scene
            for index in indices
            for scene in scenes.draw(pack, int(index), config.side, config.scenes_a_picture, rng, config.turns)
        ]

    with ThreadPoolExecutor(runtime.processors()) as threads:
        pending: deque[Future[list[Scene]]] = deque()
        for step in range(steps + _AHEAD):
            if step < steps:
                chosen = chooser.choice(len(pack), count, p=chances)
                pending.append(threads.submit(one, chosen, int(chooser.integers(1 << 62))))
            if step >= _AHEAD and pending:
                yield pending.popleft().result()


class State(NamedTuple):
    """What a run goes on from."""

    params: Any
    average: Any
    optimiser: Any
    step: int


Step = Callable[..., tuple[Any, Any, Any, jax.Array]]


def _sharded(step: Callable[..., Any], inputs: int) -> Step:
    """Return a step compiled over all devices; its last `inputs` arguments are batches."""
    specs = (P(), P(), P(), *(P("batch"),) * inputs)
    compiled: Step = jax.jit(
        shard_map(step, mesh=runtime.mesh(), in_specs=specs, out_specs=P(), check_vma=False), donate_argnums=(0, 1, 2)
    )
    return compiled


def _updates(
    optimiser: optax.GradientTransformation, decay: float, gradient: Any, params: Any, average: Any, state: Any
) -> Any:
    updates, state = optimiser.update(gradient, state, params)
    params = optax.apply_updates(params, updates)
    return params, jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, average, params), state


def fit(
    net: SinglePass, pack: Pack, config: FitConfig, out: Path, observe: Callable[[float], None] = lambda loss: None
) -> SinglePass:
    """Train the whole network; write `detector.safetensors` and `log.jsonl` to the folder `out` as it goes.

    `observe` gets the loss of every step.
    """
    out.mkdir(parents=True, exist_ok=True)
    graph, params = nnx.split(net)
    places = jnp.asarray(single_pass.anchors(config.side, config.side))
    schedule = optax.warmup_cosine_decay_schedule(
        config.learning_rate / 20,
        config.learning_rate,
        min(300, config.steps // 10),
        config.steps,
        config.learning_rate / 100,
    )
    optimiser = optax.chain(optax.clip_by_global_norm(5.0), optax.adamw(schedule, weight_decay=1e-4))

    def loss(params: Any, pixels: jax.Array, targets: Targets) -> tuple[jax.Array, jax.Array]:
        outputs = nnx.merge(graph, params)(pixels)
        total, parts = jax.vmap(lambda found, wanted: scene_loss(found, places, wanted, config.weights))(
            outputs, targets
        )
        answering = jnp.maximum(jax.lax.psum(parts[:, 4].sum(), "batch"), 1.0) / jax.lax.psum(1, "batch")
        return total.sum() / answering, parts.sum(0) / answering

    def step(
        params: Any,
        average: Any,
        state: Any,
        pixels: jax.Array,
        boxes: jax.Array,
        points: jax.Array,
        ignored: jax.Array,
    ) -> Any:
        (_, parts), gradient = jax.value_and_grad(loss, has_aux=True)(params, pixels, Targets(boxes, points, ignored))
        gradient, parts = jax.lax.pmean((gradient, parts), "batch")
        return *_updates(optimiser, config.average, gradient, params, average, state), parts

    compiled = _sharded(step, 4)
    state = _restored(out, State(params, jax.tree.map(jnp.copy, params), optimiser.init(params), 0))
    params, average, optimiser_state, first = state
    began, total = time.perf_counter(), np.zeros(5)
    drawn = batches(pack, config, config.seed + 2 + first, config.steps - first)
    for number, batch in enumerate(drawn, first + 1):
        arrays = [np.stack(parts) for parts in zip(*batch, strict=True)]
        params, average, optimiser_state, parts = compiled(params, average, optimiser_state, *arrays)
        total += np.asarray(parts)
        observe(float(np.asarray(parts)[:4] @ np.asarray(config.weights)))
        if number % _ECHO == 0:
            entry = {"step": number, "seconds": round(time.perf_counter() - began, 1)}
            entry |= dict(
                zip(("face", "objectness", "box", "landmarks"), (total[:4] / _ECHO).round(4).tolist(), strict=True)
            )
            with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")
            click.echo(json.dumps(entry))
            total[:] = 0
        if number % config.save_every == 0 or number == config.steps:
            _save(out, graph, State(params, average, optimiser_state, number), config)
    result: SinglePass = nnx.merge(graph, average)
    return result


def _save(out: Path, graph: Any, state: State, config: FitConfig) -> None:
    net: SinglePass = nnx.merge(graph, state.average)
    metadata = {
        "config": net.config._asdict(),
        "training": {
            **config._asdict(),
            "turns": config.turns._asdict(),
            "weights": config.weights._asdict(),
            "done": state.step,
        },
    }
    checkpoint.save(out / "detector.safetensors", state_dict(net), metadata)
    leaves = {f"{n:04d}": np.asarray(leaf) for n, leaf in enumerate(jax.tree.leaves(tuple(state)[:3]))}
    temporary = out / "state.part.npz"
    np.savez(temporary, allow_pickle=False, step=np.asarray(state.step), **leaves)
    temporary.replace(out / "state.npz")


def _restored(out: Path, fresh: State) -> State:
    """Return the state of an earlier, cut-off run in the folder, or the fresh one."""
    path = out / "state.npz"
    if not path.is_file():
        return fresh
    stored = np.load(path)
    old, tree = jax.tree.flatten(tuple(fresh)[:3])
    leaves = [jnp.asarray(stored[f"{n:04d}"]) for n in range(len(old))]
    params, average, optimiser = jax.tree.unflatten(tree, leaves)
    return State(params, average, optimiser, int(stored["step"]))


def initial(config: SinglePassConfig, seed: int, teacher: Teacher | None, weights: Path | None) -> SinglePass:
    """Return the network to begin with: earlier weights, or the teacher's, or random ones."""
    if weights is not None:
        return single_pass.load(weights)[0]
    net = SinglePass(config, nnx.Rngs(seed))
    if teacher is not None:
        load_state_dict(net, teacher.state_dict())
    return net


def blend(path: Path, begin: StateDict, share: float) -> None:
    """Replace weights by a mean of them and those that training began with; `share` is theirs, 0..1."""
    trained, metadata = checkpoint.load(path)
    mean = {name: share * array + (1 - share) * begin[name] for name, array in trained.items()}
    checkpoint.save(path, mean, {**metadata, "blend": share})
