"""Training of the prefilter: `python -m rollcall_model.training.train_prefilter --data SETS --photos PHOTOS --out RUN`.

See `canvases` for the training pictures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
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
from jaxtyping import Float32

from rollcall_model import checkpoint, memory, runtime
from rollcall_model.datasets.faces import decode
from rollcall_model.datasets.sources import DEFAULT_SOURCES, Pictures, read_samples
from rollcall_model.detection.cascade import CascadeDetector
from rollcall_model.detection.config import DetectorConfig
from rollcall_model.detection.prefilter import Prefilter, PrefilterConfig
from rollcall_model.nn.state import state_dict
from rollcall_model.training.canvases import MIN_FACES, Canvases, make_canvases

#: Weight of a cell with a face: a missed face is lost, a superfluous cell costs little time.
POSITIVE_WEIGHT: Final = 8.0
#: Face crops that the canvases are composed of.
CROPS: Final = 6_000
_EMA: Final = 0.99
_ECHO: Final = 100
#: Every this many-th photograph is for validation.
_VALIDATION: Final = 5
_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")


class FitConfig(NamedTuple):
    """The settings of a training."""

    steps: int = 8_000
    batch: int = 16  # canvases in a step
    learning_rate: float = 4e-3  # the highest
    seed: int = 0


def batches(canvases: Canvases, config: FitConfig) -> Iterator[tuple[Float32[np.ndarray, "n s s 3"], np.ndarray]]:
    """Yield batches of canvases, some mirrored, with random light, and which cells have a face, (n, c, c, 2)."""
    rng = np.random.default_rng(config.seed)
    count = config.batch
    for _ in range(config.steps):
        rows = rng.integers(len(canvases.pixels), size=count)
        pixels, target = canvases.pixels[rows].astype(np.float32), canvases.face[rows] > 0
        gain = np.exp(rng.normal(0, 0.2, (count, 1, 1, 3 if rng.random() < 0.3 else 1)))
        pixels = np.clip((pixels - 110) * gain + 110 + rng.normal(0, 12, (count, 1, 1, 1)), 0, 255).astype(np.float32)
        if rng.random() < 0.5:
            pixels, target = pixels[:, :, ::-1], target[:, :, ::-1]
        yield pixels, target.astype(np.float32)


def fit(canvases: Canvases, network: PrefilterConfig, config: FitConfig) -> Prefilter:
    """Return the trained network, with an exponential moving average of its weights."""
    graph, params = nnx.split(Prefilter(network, nnx.Rngs(config.seed)))
    rate = config.learning_rate
    schedule = optax.warmup_cosine_decay_schedule(rate / 20, rate, config.steps // 20, config.steps, rate / 100)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-3))

    def loss(params: Any, pixels: jax.Array, target: jax.Array) -> jax.Array:
        each = optax.sigmoid_binary_cross_entropy(nnx.merge(graph, params)(pixels), target)
        return (each * (1 + (POSITIVE_WEIGHT - 1) * target)).mean()

    def step(params: Any, average: Any, state: Any, pixels: jax.Array, target: jax.Array) -> Any:
        value, gradient = jax.lax.pmean(jax.value_and_grad(loss)(params, pixels, target), "batch")
        updates, state = optimiser.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda old, new: _EMA * old + (1 - _EMA) * new, average, params)
        return params, average, state, value

    specs = (P(), P(), P(), P("batch"), P("batch"))
    compiled = jax.jit(shard_map(step, mesh=runtime.mesh(), in_specs=specs, out_specs=P(), check_vma=False))
    average, state = params, optimiser.init(params)
    total, began = 0.0, time.perf_counter()
    for number, batch in enumerate(batches(canvases, config), 1):
        params, average, state, value = compiled(params, average, state, *batch)
        total += float(value)
        if number % _ECHO == 0:
            rate = number / (time.perf_counter() - began)
            click.echo(f"step {number:,}  loss {total / _ECHO:.4f}  {rate:.1f} steps/s")
            total = 0.0
    net: Prefilter = nnx.merge(graph, average)
    return net


def score(net: Prefilter, canvases: Canvases) -> tuple[Float32[np.ndarray, " f"], Float32[np.ndarray, "n c c 2"]]:
    """Return the highest logit of each face's cells, and all logits."""
    run = jax.jit(lambda x: net(x.astype(jnp.float32)))
    starts = range(0, len(canvases.pixels), 32)
    logits = np.concatenate([np.asarray(run(canvases.pixels[start : start + 32])) for start in starts])
    highest = [
        logits[n][canvases.face[n] == face].max()
        for n in range(len(logits))
        for face in np.unique(canvases.face[n])
        if face
    ]
    return np.array(highest), logits


class Sources(NamedTuple):
    """Where the training pictures come from."""

    data: Path  # folder of the default data sets
    photos: Path  # folder of photographs, as backgrounds

    def canvases(self, out: Path, split: str, count: int, seed: int) -> Canvases:
        """Return the canvases of one split, composed now unless they are stored in `out`."""
        store = out / f"{split}-{count}.npz"
        if not store.exists():
            rng = np.random.default_rng(seed)
            detectors = [CascadeDetector(DetectorConfig(min_face=size, thorough=True)) for size in MIN_FACES]
            made = make_canvases(rng, count, self._crops(rng, split), self._backgrounds(split), detectors)
            np.savez(store, **made._asdict())
        with np.load(store) as archive:
            return Canvases(**archive)

    def _crops(self, rng: np.random.Generator, split: str) -> list[np.ndarray]:
        sources = [source.within(self.data) for source in DEFAULT_SOURCES]
        samples = [sample for sample in read_samples(sources) if sample.split == split]
        rows = rng.choice(len(samples), min(len(samples), CROPS), replace=False)
        with Pictures(sources) as pictures:
            return [decode(pictures(samples[row])) for row in rows]

    def _backgrounds(self, split: str) -> list[np.ndarray]:
        files = sorted(file for file in self.photos.rglob("*") if file.suffix.lower() in _SUFFIXES)
        return [
            decode(file.read_bytes())
            for number, file in enumerate(files)
            if (number % _VALIDATION == 0) == (split == "val")
        ]


_FOLDER: Final = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--data", "folder", type=_FOLDER, required=True, help="Folder of the default data sets.")
@click.option("--photos", type=_FOLDER, required=True, help="Folder of photographs, as backgrounds.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--canvases", "count", default=9_000, show_default=True, help="Number of pictures to compose.")
@click.option("--steps", default=FitConfig().steps, show_default=True, help="Number of steps.")
@click.option("--batch", default=FitConfig().batch, show_default=True, help="Canvases in a step.")
@click.option("--learning-rate", default=FitConfig().learning_rate, show_default=True, help="The highest one.")
@click.option("--kept-faces", default=0.995, show_default=True, help="Ratio of validation faces that must be kept.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Set a field of PrefilterConfig.")
def main(
    folder: Path,
    photos: Path,
    out: Path,
    count: int,
    steps: int,
    batch: int,
    learning_rate: float,
    kept_faces: float,
    seed: int,
    assignments: Sequence[str],
) -> None:
    """Train the prefilter on the results of the cascade."""
    memory.keep()
    out.mkdir(parents=True, exist_ok=True)
    runtime.configure(out / "compiled")
    sources, config = Sources(folder, photos), FitConfig(steps, batch, learning_rate, seed)
    values = {name: json.loads(text) for name, _, text in (one.partition("=") for one in assignments)}
    network: PrefilterConfig = checkpoint.configured(PrefilterConfig, values)
    net = fit(sources.canvases(out, "train", count, seed), network, config)
    highest, logits = score(net, sources.canvases(out, "val", max(count // 10, 16), seed + 1))
    for ratio in (0.99, 0.995, 0.997, 0.998, 0.999):
        border = np.quantile(highest, 1 - ratio)
        cells = (logits >= border).mean()
        click.echo(f"{ratio:.1%} of {len(highest):,} faces, from {border:.2f}: {cells:.2%} of the cells kept")
    training = {"canvases": count, "kept_faces": kept_faces, **config._asdict()}
    threshold = float(np.quantile(highest, 1 - kept_faces))
    metadata = {"config": network._asdict(), "threshold": threshold, "training": training}
    checkpoint.save(out / "prefilter.safetensors", state_dict(net), metadata)


if __name__ == "__main__":
    main()
