"""Ablations of the attribute network's design: one change at a time, each trained in the same way from scratch.

The last ones change no design: they exclude a data set from the training.

Every design is trained on the same composites for the same number of steps, with the same seed; the training is much
shorter than that of the committed weights, so the results rank designs and are not those of a finished network. Scores
are on the validation faces, before calibration. Speed is faces a second of the training form at batch 64.

    python benchmarks/designs.py --data SETS --crops CROPS --composites FILE --out FOLDER [--steps 600] [NAME ...]

Results are appended to FOLDER/designs.jsonl; a design in it is not trained again.
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

from rollcall_model import memory, runtime
from rollcall_model.attributes.network import AttributeConfig, AttributeNet, Outputs, unit_length
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import TEACHER_EMBEDDINGS, Faces
from rollcall_model.datasets.pairs import pairs_of
from rollcall_model.evaluation import metrics
from rollcall_model.evaluation.quick import attribute_scores
from rollcall_model.nn import layers
from rollcall_model.nn.modules import (
    BatchNorm,
    ConvBN,
    DepthwiseSeparableBlock,
    GlobalDepthwiseConv,
    Linear,
    normal_init,
)
from rollcall_model.training import composites
from rollcall_model.training.batches import composite_batches, mixup_batches, prefetch
from rollcall_model.training.composites import Composites
from rollcall_model.training.config import TrainConfig
from rollcall_model.training.trainer import Trainer


class Relu(AttributeNet):
    """Rectifiers instead of hard swish."""

    activation = staticmethod(jax.nn.relu)


class MeanPool(AttributeNet):
    """The mean over the grid instead of a weight for each place."""

    def __init__(self, config: AttributeConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs)
        self.pool = MeanBN(config.features)


class MeanBN(nnx.Module):
    """Global average pooling and batch normalisation."""

    def __init__(self, channels: int) -> None:
        self.norm = BatchNorm(channels)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return one vector a face."""
        return self.norm(x.mean((1, 2)), train)


class SqueezeExcitation(DepthwiseSeparableBlock):
    """A block with squeeze-and-excitation on its residual branch (Hu et al. 2018)."""

    def __init__(self, channels: int, kernel: int, expansion: int, rngs: nnx.Rngs) -> None:
        depthwise = ConvBN(normal_init(rngs, (kernel, kernel, channels), kernel**2), False)
        super().__init__(depthwise, channels, expansion, rngs, layers.hard_swish)
        self.squeeze = Linear(channels, max(channels // 8, 4), rngs, gain=1.0)
        self.excite = Linear(max(channels // 8, 4), channels, rngs, gain=0.2)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return x plus the gated residual branch."""
        residual = self.residual(x, train)
        gate = jax.nn.sigmoid(self.excite(jax.nn.relu(self.squeeze(residual.mean((1, 2))))))
        return x + residual * (2 * gate[:, None, None])


class Inverted(nnx.Module):
    """The depthwise convolution inside the expansion, as in MobileNetV2 (Sandler et al. 2018)."""

    def __init__(self, channels: int, kernel: int, expansion: int, rngs: nnx.Rngs) -> None:
        wide = channels * expansion
        self.expand = ConvBN(normal_init(rngs, (channels, wide), channels), False)
        self.depthwise = ConvBN(normal_init(rngs, (kernel, kernel, wide), kernel**2), False)
        self.project = ConvBN(normal_init(rngs, (wide, channels), wide), False, gain=0.2)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return x plus the residual branch."""
        wide = layers.hard_swish(self.expand(x, train))
        return x + self.project(layers.hard_swish(self.depthwise(wide, train)), train)


def with_blocks(kind: Callable[..., nnx.Module]) -> type[AttributeNet]:
    """Return the network with other blocks."""

    class Net(AttributeNet):
        def block(self, stage: int, fused: bool, rngs: nnx.Rngs | None) -> nnx.Module:
            """Return a new block of a stage."""
            return kind(self.config.widths[stage], self.config.kernels[stage], self.config.expansion, rngs)

    return Net


class Split(AttributeNet):
    """A last block, and everything behind it, separately for age and gender and for identity."""

    def __init__(self, config: AttributeConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs)
        last = config.widths[-1]
        mean = jnp.full((config.grid, config.grid, config.features), 1 / config.grid**2)
        self.identity_block = self.block(-1, False, rngs)
        self.attribute_block = self.block(-1, False, rngs)
        self.identity_final = ConvBN(normal_init(rngs, (last, config.features), last), False)
        self.identity_pool = GlobalDepthwiseConv(mean, False)

    def __call__(self, x: jax.Array, train: bool = False) -> Outputs:
        """Return the outputs."""
        x = self.trunk(x, train)
        first = self.pool(layers.hard_swish(self.final(self.attribute_block(x, train), train)), train)
        second = layers.hard_swish(self.identity_final(self.identity_block(x, train), train))
        embedding = unit_length(self.identity(self.identity_pool(second, train)))
        return Outputs(self.age(first), self.gender(first)[:, 0], embedding)


#: The architecture of attributes-4, which the other designs change in one point.
BASE = AttributeConfig(size=80, widths=(48, 96, 160), depths=(3, 5, 3), features=256)


class Design(NamedTuple):
    """One network to train."""

    about: str
    config: AttributeConfig = BASE
    kind: Callable[[AttributeConfig, nnx.Rngs], AttributeNet] = AttributeNet
    zoom: float = 1.0  # of the face on the crop; below 1 the crop shows more around it
    without: str = ""  # a data set to exclude from the training


DESIGNS = {
    "base": Design("80 px, widths 48/96/160, depths 3/5/3"),
    "size 64": Design("a crop of 64 pixels", BASE._replace(size=64)),
    "size 96": Design("a crop of 96 pixels", BASE._replace(size=96)),
    "wide margin": Design("a fifth more around the face", zoom=1 / 1.2),
    "wide": Design(
        "wider and shallower: 60/116/184, depths 2/3/2", BASE._replace(widths=(60, 116, 184), depths=(2, 3, 2))
    ),
    "deep": Design(
        "narrower and deeper: 40/80/132, depths 4/8/4", BASE._replace(widths=(40, 80, 132), depths=(4, 8, 4))
    ),
    "inverted": Design("depthwise convolution inside the expansion", kind=with_blocks(Inverted)),
    "squeeze": Design("squeeze-excitation in every block", kind=with_blocks(SqueezeExcitation)),
    "relu": Design("rectifiers instead of hard swish", kind=Relu),
    "mean pool": Design("global average pooling instead of a weight for each place", kind=MeanPool),
    "split": Design("identity has its own last block; one shared block less", BASE._replace(depths=(3, 5, 2)), Split),
    "without lfw": Design("trained without LFW's faces", without="lfw"),
    "without celeba": Design("trained without CelebA's faces", without="celeba"),
}


def crops_of(faces: Faces, rows: np.ndarray, design: Design) -> np.ndarray:
    """Return the crops of some faces for a design, without augmentation."""
    side = stored.CROP / design.zoom
    low = (stored.STORED - side) / 2
    size = design.config.size
    matrix = np.array(
        [[size / side, 0, (0.5 - low) * size / side - 0.5], [0, size / side, (0.5 - low) * size / side - 0.5]]
    )
    return np.stack([cv2.warpAffine(np.asarray(faces.crops[row]), matrix, (size, size)) for row in rows])


def scores(run: Callable[[np.ndarray], Outputs], faces: Faces, folder: Path, design: Design) -> dict[str, float]:
    """Return the scores on the validation faces."""
    rows = faces.where(split="val")
    parts = []
    for start in range(0, len(rows), 256):
        crops = crops_of(faces, rows[start : start + 256], design)
        full = np.zeros((256, *crops.shape[1:]), np.float32)
        full[: len(crops)] = crops
        out = run(full)
        parts.append([np.asarray(column)[: len(crops)] for column in out])
    age, female, embedding = (np.concatenate(column) for column in zip(*parts, strict=True))
    aged = np.isin(rows, faces.with_age(rows))
    odds = np.exp(age - age.max(1, keepdims=True))
    result = attribute_scores(
        odds[aged] / odds[aged].sum(1, keepdims=True),
        1 / (1 + np.exp(-female[aged])),
        faces.ages[rows[aged]].mean(axis=1),
        faces.female[rows[aged]],
    )
    result["cosine"] = float((embedding[~aged] * faces.teacher[rows[~aged], 0]).sum(1).mean())
    pairs = pairs_of(faces, rows, folder)
    if pairs is not None:
        result["lfw"] = metrics.verification(pairs.cosine_similarities(embedding), pairs.same, pairs.fold)
    return {name: round(value, 4) for name, value in result.items()}


def train(design: Design, faces: Faces, pictures: Composites, folder: Path, steps: int) -> dict[str, Any]:
    """Train a design and return its results."""
    config = TrainConfig(steps=steps, learning_rate=4e-3, ema=0.99, identity_weight=8, relation_weight=32)
    trainer = Trainer(design.config, config, design.kind)
    excluded = np.array([sample.source == design.without for sample in faces.samples])
    pictures = Composites(*(column[~excluded[pictures.rows].any(axis=1)] for column in pictures))
    with mock.patch.object(stored, "CROP", stored.CROP / design.zoom):
        began = time.perf_counter()
        source = composite_batches(faces, config, design.config.size, 0, pictures)
        for number, batch in enumerate(prefetch(source), 1):
            parts = trainer.step(batch)
            if number % 100 == 0:
                print(f"  step {number}: " + "  ".join(f"{k} {float(v):.3f}" for k, v in parts.items()), flush=True)
        seconds = time.perf_counter() - began
        unmixed = config._replace(seed=1, steps=60, mixup_ratio=0)
        net = trainer.averaged(mixup_batches(faces, unmixed, design.config.size, 0))
    run = jax.jit(net)
    found = scores(run, faces, folder, design)
    size = design.config.size
    candidate = counting.Candidate(net, size, net)
    crops = np.zeros((64, size, size, 3), np.float32)
    durations = [_seconds(run, crops) for _ in range(12)][2:]
    return {
        "parameters": trainer.count,
        "multiply_adds": counting.multiply_adds(candidate),
        "faces_per_second": round(64 / min(durations)),
        "training_faces_per_second": round(steps * config.batch / seconds),
        **found,
    }


def _seconds(run: Callable[[np.ndarray], Any], crops: np.ndarray) -> float:
    began = time.perf_counter()
    jax.block_until_ready(run(crops))
    return time.perf_counter() - began


def main() -> None:
    """Train the designs that are not done yet, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="Which designs; default: all.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--composites", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    memory.keep()
    options.out.mkdir(parents=True, exist_ok=True)
    runtime.configure(options.out / "compiled")
    faces = stored.load(options.crops, options.data / TEACHER_EMBEDDINGS)
    pictures = composites.load(options.composites)
    file = options.out / "designs.jsonl"
    done = {line["name"]: line for line in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
    for name in options.names or DESIGNS:
        if name not in done:
            print(f"{name}: {DESIGNS[name].about}", flush=True)
            done[name] = {
                "name": name,
                "steps": options.steps,
                **train(DESIGNS[name], faces, pictures, options.data, options.steps),
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
