"""Fit the age and gender heads again, the trunk fixed: `python -m rollcall_model.training.heads`.

Training shows blended, occluded and degraded faces, most pictures of two people; the heads learn to be unsure. At
inference most faces are whole. A few minutes over the training faces without strong augmentation, straight, mirrored
and slightly moved, correct that; the trunk and the identity head, which gain from the augmentation, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float32, Int, UInt8

from rollcall_model import runtime
from rollcall_model.ages import AGES
from rollcall_model.attributes.model import load_net, save_net
from rollcall_model.attributes.network import AttributeNet
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import Faces, central_crops
from rollcall_model.datasets.samples import UNKNOWN
from rollcall_model.evaluation.quick import quick_scores
from rollcall_model.training import augment, losses, soft_labels
from rollcall_model.training.config import TrainConfig

HEADS: Final = ("age", "gender")
_BATCH: Final = 1024
_FORWARD_BATCH: Final = 512
#: Augmentation of the moved views, and the penalty on the distance of a head from where it started: a head has more
#: parameters than there are faces of some ages.
_STRENGTH: Final = 0.3
_PENALTY: Final = 1e-3


class HeadData(NamedTuple):
    """The heads' inputs and targets for n faces in v views."""

    features: Float32[np.ndarray, "v n f"]
    age: Float32[np.ndarray, "n 101"]  # target distributions
    middle: Float32[np.ndarray, " n"]  # expected age in years
    female: Float32[np.ndarray, " n"]  # 0..1


def compute_features(
    net: AttributeNet, faces: Faces, rows: Int[np.ndarray, " n"], moved: int
) -> Float32[np.ndarray, "v n f"]:
    """Return the heads' input for some faces: straight, mirrored, and `moved` times slightly moved."""
    return np.stack([view_features(net, faces, rows, view) for view in range(2 + moved)])


def view_features(
    net: AttributeNet, faces: Faces, rows: Int[np.ndarray, " n"], view: int, strength: float = _STRENGTH
) -> Float32[np.ndarray, "n f"]:
    """Return the heads' input for some faces: view 0 straight, 1 mirrored, from 2 on augmented with `strength`."""
    run = jax.jit(net.features)
    parts = []
    for start in range(0, len(rows), _FORWARD_BATCH):
        crops = _view(faces, rows[start : start + _FORWARD_BATCH], net.config.size, view, strength)
        full = np.zeros((_FORWARD_BATCH, *crops.shape[1:]), np.float32)
        full[: len(crops)] = crops
        parts.append(np.asarray(run(full))[: len(crops)])
    return np.concatenate(parts) if parts else np.zeros((0, net.config.features), np.float32)


def _view(
    faces: Faces, rows: Int[np.ndarray, " n"], size: int, view: int, strength: float
) -> UInt8[np.ndarray, "n s s 3"]:
    """Return the crops of a view: 0 straight, 1 mirrored, from 2 on moved, the odd ones mirrored."""
    if view < 2:
        crops = central_crops(faces, rows, size)
    else:
        generators = [np.random.default_rng([view, row]) for row in rows]
        crops = np.stack(
            [
                augment.augment(faces.crops[row], size, stored.CROP / size, rng, strength)
                for row, rng in zip(rows, generators, strict=True)
            ]
        )
    return np.ascontiguousarray(crops[:, :, ::-1]) if view % 2 else crops


def head_targets(
    years: Int[np.ndarray, "n 2"],
    female: Int[np.ndarray, " n"],
    soft: soft_labels.SoftLabels | None,
    config: TrainConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the fields age, middle and female of `HeadData`: labels, blended with soft labels where there are any."""
    age = np.asarray(losses.age_targets(jnp.asarray(years), config.age_std, config.age_std_growth))
    middle: np.ndarray = years.mean(1)
    target: np.ndarray = female.astype(np.float32)
    if soft is not None:
        weight = config.distillation_weight
        age = (1 - weight) * age + weight * soft.age
        middle = (1 - weight) * middle + weight * (soft.age @ np.arange(AGES, dtype=np.float32))
        target = (1 - weight) * target + weight * soft.female
    return age, middle, target


def fit_heads(
    net: AttributeNet,
    data: HeadData,
    config: TrainConfig,
    steps: int,
    learning_rate: float,
    only: Sequence[str] = HEADS,
) -> None:
    """Fit the heads in place; those not in `only` keep their parameters."""
    heads = {name: (getattr(net, name).kernel[...], getattr(net, name).bias[...]) for name in HEADS}
    optimiser = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    state = optimiser.init(heads)
    step = _compiled_step(optimiser, jax.tree.map(jnp.copy, heads), config)
    rng = np.random.default_rng(config.seed)
    for _ in range(steps):
        rows = rng.integers(0, data.features.shape[1], _BATCH)
        view = rng.integers(0, len(data.features), _BATCH)
        targets = (data.age[rows], data.middle[rows], data.female[rows])
        heads, state = step(heads, state, data.features[view, rows], targets)
    for name in only:
        head = getattr(net, name)
        head.kernel[...], head.bias[...] = heads[name]


def _compiled_step(optimiser: Any, start: Any, config: TrainConfig) -> Callable[..., tuple[Any, Any]]:
    def loss(heads: Any, x: jax.Array, targets: tuple[jax.Array, ...]) -> jax.Array:
        age_target, middle, female = targets
        age = x @ heads["age"][0] + heads["age"][1]
        gender = (x @ heads["gender"][0] + heads["gender"][1])[:, 0]
        pairs = zip(jax.tree.leaves(heads), jax.tree.leaves(start), strict=True)
        distance = sum(((a - b) ** 2).sum() for a, b in pairs)
        return (
            losses.age_loss(age, age_target, middle, config.age_error_weight).mean()
            + losses.gender_loss(gender, female, config.gender_smoothing).mean()
            + _PENALTY * distance
        )

    @jax.jit
    def step(heads: Any, state: Any, x: jax.Array, targets: tuple[jax.Array, ...]) -> tuple[Any, Any]:
        updates, state = optimiser.update(jax.grad(loss)(heads, x, targets), state)
        return optax.apply_updates(heads, updates), state

    return step


_FILE: Final = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--crops", "folder", type=_FILE, required=True, help="Aligned crops.")
@click.option("--weights", type=_FILE, required=True, help="The weights that training exported.")
@click.option("--teacher", "teachers", type=_FILE, multiple=True, help="Weights that predict soft labels. Repeatable.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for the weights; may be the same.")
@click.option("--steps", default=1500, show_default=True, help="Steps of 1,024 faces.")
@click.option("--learning-rate", default=1e-3, show_default=True, help="The highest learning rate.")
@click.option("--only", type=click.Choice(HEADS), multiple=True, help="Fit this head and keep the other.")
@click.option("--moved", default=2, show_default=True, help="Slightly moved views of each face.")
def main(
    folder: Path,
    weights: Path,
    teachers: Sequence[Path],
    out: Path,
    steps: int,
    learning_rate: float,
    only: Sequence[str],
    moved: int,
) -> None:
    """Fit the age and gender heads again on faces without strong augmentation."""
    runtime.configure()
    faces = stored.load(folder)
    train = faces.with_age(faces.where(split="train"))
    rows = train[faces.female[train] != UNKNOWN]
    net, metadata = load_net(weights)
    soft = soft_labels.predict(teachers, faces).take(rows) if teachers else None
    config = TrainConfig()
    targets = head_targets(faces.ages[rows].astype(np.int32), faces.female[rows], soft, config)
    data = HeadData(compute_features(net, faces, rows, moved), *targets)
    fit_heads(net, data, config, steps, learning_rate, only or HEADS)
    save_net(out, net, metadata)
    for path in (weights, out):
        click.echo(f"{path}: {quick_scores(path, faces)}")


if __name__ == "__main__":
    main()
