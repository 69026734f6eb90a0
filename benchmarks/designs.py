"""What each choice in the attribute network's design gives: one change at a time, each trained alike from nothing.

The last ones change no design: they leave a set out of the training, to see what the others teach about it.

Every design learns from the same recipes for the same number of steps, with the same seed; the training is much shorter
than that of the committed weights, so the figures rank designs and are not those of a finished network. Scores are on
the validation faces, before calibration. Speed is faces a second at batch 64 of the form for training, folded by XLA.

    python benchmarks/designs.py --data SETS --crops CROPS --recipes FILE --out FOLDER [--steps 600] [NAME ...]

A design that is done is not trained again: the lines are kept in FOLDER/designs.jsonl.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import attributes as counting
import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rollcall_model import attributes, data, evaluate, layers, measures, memory, recipes, runtime, train
from rollcall_model.attributes import AttributeConfig, AttributeNet, Block, GridPool, Linear, Normed, Outputs, drawn


class Relu(AttributeNet):
    """Rectifiers instead of hard swish."""

    def features(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Return what the heads read."""
        with mock.patch.object(layers, "hard_swish", jax.nn.relu):
            return super().features(x, train)


class MeanPool(AttributeNet):
    """The mean over the grid instead of a weight for each place."""

    def __init__(self, config: AttributeConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs)
        self.pool = Everywhere(self.pool.kernel.shape[-1])


class Everywhere(nnx.Module):
    """Average and normalise."""

    def __init__(self, channels: int) -> None:
        self.norm = attributes.Norm(channels)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return one vector a face."""
        return self.norm(x.mean((1, 2)), train)


class Squeezed(Block):
    """A block whose answer is weighed channel by channel by what the whole face looks like (Hu et al. 2018)."""

    def __init__(self, channels: int, kernel: int, expansion: int, rngs: nnx.Rngs) -> None:
        super().__init__(channels, kernel, expansion, False, rngs)
        self.squeeze = Linear(channels, max(channels // 8, 4), rngs, gain=1.0)
        self.excite = Linear(max(channels // 8, 4), channels, rngs, gain=0.2)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return x and what the block adds."""
        added = self.narrow(layers.hard_swish(self.widen(self.look(x, train))))
        gate = jax.nn.sigmoid(self.excite(jax.nn.relu(self.squeeze(added.mean((1, 2))))))
        return x + added * (2 * gate[:, None, None])


class Inverted(nnx.Module):
    """The depthwise product inside the widening, as in MobileNet (Sandler et al. 2018)."""

    def __init__(self, channels: int, kernel: int, expansion: int, rngs: nnx.Rngs) -> None:
        wide = channels * expansion
        self.widen = Normed(drawn(rngs, (channels, wide), channels), False)
        self.look = Normed(drawn(rngs, (kernel, kernel, wide), kernel**2), False)
        self.narrow = Normed(drawn(rngs, (wide, channels), wide), False, gain=0.2)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return x and what the block adds."""
        wide = layers.hard_swish(self.widen(x, train))
        return x + self.narrow(layers.hard_swish(self.look(wide, train)), train)


def of_blocks(block: Callable[..., Any]) -> Callable[[AttributeConfig, nnx.Rngs], AttributeNet]:
    """Return the network with other blocks."""

    def make(config: AttributeConfig, rngs: nnx.Rngs) -> AttributeNet:
        net = AttributeNet(config, rngs)
        net.stages = nnx.List(
            [
                nnx.List([block(width, kernel, config.expansion, rngs) for _ in range(depth)])
                for width, depth, kernel in zip(config.widths, config.depths, config.kernels, strict=True)
            ]
        )
        return net

    return make


class Split(AttributeNet):
    """A last block, and all behind it, for age and gender and for identity apart."""

    def __init__(self, config: AttributeConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs)
        last = config.widths[-1]
        grid = config.size // config.patch // 2 ** (len(config.widths) - 1)
        mean = jnp.full((grid, grid, config.features), 1 / grid**2)
        self.own_block = Block(last, config.kernels[-1], config.expansion, False, rngs)
        self.shared_block = Block(last, config.kernels[-1], config.expansion, False, rngs)
        self.own_join = Normed(drawn(rngs, (last, config.features), last), False)
        self.own_pool = GridPool(mean, False)

    def __call__(self, x: jax.Array, train: bool = False) -> Outputs:
        """Return the outputs."""
        x = self.trunk(x, train)
        first = self.pool(layers.hard_swish(self.join(self.shared_block(x, train), train)), train)
        second = self.own_pool(layers.hard_swish(self.own_join(self.own_block(x, train), train)), train)
        raw = self.identity(second)
        return Outputs(
            self.age(first), self.gender(first)[:, 0], raw * jax.lax.rsqrt((raw * raw).sum(-1, keepdims=True) + 1e-12)
        )


class Design(NamedTuple):
    """One network to train."""

    about: str
    config: AttributeConfig = AttributeConfig()
    kind: Callable[[AttributeConfig, nnx.Rngs], AttributeNet] = AttributeNet
    zoom: float = 1.0  # of the face on the crop; below 1 the crop shows more around it
    without: str = ""  # a set that is left out of the training


DESIGNS = {
    "base": Design("80 px, widths 48/96/160, depths 3/5/3"),
    "size 64": Design("a crop of 64 pixels", AttributeConfig(size=64)),
    "size 96": Design("a crop of 96 pixels, enlarged from the stored one", AttributeConfig(size=96)),
    "wide margin": Design("a fifth more around the face", zoom=1 / 1.2),
    "wide": Design(
        "wider and shallower: 60/116/184, depths 2/3/2", AttributeConfig(widths=(60, 116, 184), depths=(2, 3, 2))
    ),
    "deep": Design(
        "narrower and deeper: 40/80/132, depths 4/8/4", AttributeConfig(widths=(40, 80, 132), depths=(4, 8, 4))
    ),
    "inverted": Design("depthwise product inside the widening", kind=of_blocks(Inverted)),
    "squeeze": Design("squeeze-excitation in every block", kind=of_blocks(Squeezed)),
    "relu": Design("rectifiers instead of hard swish", kind=Relu),
    "mean pool": Design("the mean instead of a weight for each place", kind=MeanPool),
    "split": Design(
        "identity has a last block of its own; one shared block less", AttributeConfig(depths=(3, 5, 2)), Split
    ),
    "without lfw": Design("trained without LFW's faces", without="lfw"),
    "without celeba": Design("trained without CelebA's faces", without="celeba"),
}


def shown(faces: data.Faces, rows: np.ndarray, design: Design) -> np.ndarray:
    """Return the unchanged crops of some faces, as a design sees them."""
    side = data.CROP / design.zoom
    low = (data.STORED - side) / 2
    size = design.config.size
    matrix = np.array(
        [[size / side, 0, (0.5 - low) * size / side - 0.5], [0, size / side, (0.5 - low) * size / side - 0.5]]
    )
    return np.stack([cv2.warpAffine(np.asarray(faces.crops[row]), matrix, (size, size)) for row in rows])


def scores(run: Callable[[np.ndarray], Outputs], faces: data.Faces, folder: Path, design: Design) -> dict[str, float]:
    """Return the scores on the validation faces."""
    rows = faces.where(split="val")
    parts = []
    for start in range(0, len(rows), 256):
        crops = shown(faces, rows[start : start + 256], design)
        full = np.zeros((256, *crops.shape[1:]), np.float32)
        full[: len(crops)] = crops
        out = run(full)
        parts.append([np.asarray(column)[: len(crops)] for column in out])
    age, female, embedding = (np.concatenate(column) for column in zip(*parts, strict=True))
    aged = faces.ages[rows, 0] != data.UNKNOWN
    odds = np.exp(age - age.max(1, keepdims=True))
    result = evaluate.attribute_scores(
        odds[aged] / odds[aged].sum(1, keepdims=True),
        1 / (1 + np.exp(-female[aged])),
        faces.ages[rows[aged]].mean(axis=1),
        faces.female[rows[aged]],
    )
    result["cosine"] = float((embedding[~aged] * faces.teacher[rows[~aged], 0]).sum(1).mean())
    names = {faces.samples[row].file: i for i, row in enumerate(rows) if faces.samples[row].source == "lfw"}
    pairs = evaluate.read_pairs(folder, names)
    result["lfw"] = measures.verification((embedding[pairs.a] * embedding[pairs.b]).sum(1), pairs.same, pairs.fold)
    return {name: round(value, 4) for name, value in result.items()}


def trained(design: Design, faces: data.Faces, book: recipes.Recipes, folder: Path, steps: int) -> dict[str, Any]:
    """Train a design and return its line."""
    config = train.TrainConfig(steps=steps, rate=4e-3, ema=0.99, identity_weight=8, relation_weight=32)
    trainer = train.Trainer(design.config, config, design.kind)
    left_out = np.array([sample.source == design.without for sample in faces.samples])
    book = recipes.Recipes(*(column[~left_out[book.rows].any(axis=1)] for column in book))
    with mock.patch.object(data, "CROP", data.CROP / design.zoom):
        began = time.perf_counter()
        source = train.recipe_batches(faces, config, design.config.size, 0, book)
        for number, batch in enumerate(train.ahead(source), 1):
            trainer.state, parts = trainer.step(trainer.state, batch)
            if number % 100 == 0:
                print(f"  step {number}: " + "  ".join(f"{k} {float(v):.3f}" for k, v in parts.items()), flush=True)
        seconds = time.perf_counter() - began
        more = config._replace(seed=1, steps=60)
        net = trainer.averaged(train.batches(faces, more._replace(mix=0), design.config.size, 0))
    run = jax.jit(net)
    found = scores(run, faces, folder, design)
    size = design.config.size
    candidate = counting.Candidate(net, size, net)
    crops = np.zeros((64, size, size, 3), np.float32)
    took = [_seconds(run, crops) for _ in range(12)][2:]
    return {
        "parameters": trainer.count,
        "multiply_adds": counting.multiply_adds(candidate),
        "faces_per_second": round(64 / min(took)),
        "training_faces_per_second": round(steps * config.batch / seconds),
        **found,
    }


def _seconds(run: Callable[[np.ndarray], Any], crops: np.ndarray) -> float:
    began = time.perf_counter()
    jax.block_until_ready(run(crops))
    return time.perf_counter() - began


def main() -> None:
    """Train the designs that are not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="Which designs; default: all.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--recipes", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    given = parser.parse_args()
    memory.keep()
    given.out.mkdir(parents=True, exist_ok=True)
    runtime.configure(given.out / "compiled")
    faces, book = data.load(given.crops, given.data / evaluate.TEACHER), recipes.load(given.recipes)
    file = given.out / "designs.jsonl"
    done = {line["name"]: line for line in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
    for name in given.names or DESIGNS:
        if name not in done:
            print(f"{name}: {DESIGNS[name].about}", flush=True)
            done[name] = {
                "name": name,
                "steps": given.steps,
                **trained(DESIGNS[name], faces, book, given.data, given.steps),
            }
            with file.open("a") as lines:
                lines.write(json.dumps(done[name]) + "\n")
    print("| design | parameters | M multiply-adds | faces/s | MAE | below 13 | gender | child AP | cosine | LFW |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, line in done.items():
        print(
            f"| {name}: {DESIGNS[name].about} | {line['parameters']:,} | {line['multiply_adds'] / 1e6:.0f} |"
            f" {line['faces_per_second']} | {line['mae']:.2f} | {line['mae_child']:.2f} | {line['gender']:.1%} |"
            f" {line['child_ap']:.3f} | {line['cosine']:.3f} | {line['lfw']:.1%} |"
        )


if __name__ == "__main__":
    main()
