"""Fit the heads for age and gender anew, the trunk as it is: `python -m rollcall_model.heads`.

Training shows blended, covered and damaged faces, most often one at a time of two people; the heads learn to be unsure.
In use most faces are whole. A few minutes over the undamaged training faces, seen straight and mirrored and a little
moved, take that back; the trunk and the identity head, which gain from the damage, are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax

from rollcall_model import attributes, augment, checkpoint, data, evaluate, losses, runtime
from rollcall_model.train import TrainConfig, told_by

HEADS: Final = ("age", "gender")


def features(net: attributes.AttributeNet, faces: data.Faces, rows: np.ndarray, moved: int) -> np.ndarray:
    """Return what the heads read of some faces: straight, mirrored, and `moved` times slightly changed; (v, n, f)."""
    run = jax.jit(net.features)
    size = net.config.size
    views = []
    for view in range(2 + moved):
        parts = []
        for start in range(0, len(rows), 512):
            part = rows[start : start + 512]
            if view < 2:
                crops = evaluate.central(faces, part, size)
            else:
                crops = np.stack(
                    [
                        augment.augment(
                            faces.crops[row], size, data.CROP / size, np.random.default_rng([view, row]), strength=0.3
                        )
                        for row in part
                    ]
                )
            if view % 2:
                crops = np.ascontiguousarray(crops[:, :, ::-1])
            full = np.zeros((512, *crops.shape[1:]), np.float32)
            full[: len(part)] = crops
            parts.append(np.asarray(run(full))[: len(part)])
        views.append(np.concatenate(parts))
    return np.stack(views)


def fit(
    net: attributes.AttributeNet,
    seen: np.ndarray,
    years: np.ndarray,
    female: np.ndarray,
    told: tuple[np.ndarray, np.ndarray] | None,
    config: TrainConfig,
    steps: int,
    rate: float,
    only: Sequence[str] = HEADS,
) -> None:
    """Train the heads on what they read; labels as in `train.Batch`, one a face."""
    heads = {
        "age": (net.age.kernel[...], net.age.bias[...]),
        "gender": (net.gender.kernel[...], net.gender.bias[...]),
    }
    first = jax.tree.map(jnp.copy, heads)
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps))
    state = optimiser.init(heads)
    targets = np.asarray(losses.age_targets(jnp.asarray(years), config.age_width, config.age_growth))
    middle: np.ndarray = years.mean(1)
    wanted: np.ndarray = female.astype(np.float32)
    if told is not None:
        targets = (1 - config.trust) * targets + config.trust * told[0]
        middle = (1 - config.trust) * middle + config.trust * (told[0] @ np.arange(losses.AGES, dtype=np.float32))
        wanted = (1 - config.trust) * wanted + config.trust * told[1]

    @jax.jit
    def step(heads, state, x, target, mid, p):  # type: ignore[no-untyped-def]
        def loss(heads):  # type: ignore[no-untyped-def]
            age = x @ heads["age"][0] + heads["age"][1]
            gender = (x @ heads["gender"][0] + heads["gender"][1])[:, 0]
            # Not far from where training left them: there are more numbers in the heads than faces of some ages.
            pairs = zip(jax.tree.leaves(heads), jax.tree.leaves(first), strict=True)
            away = sum(((a - b) ** 2).sum() for a, b in pairs)
            return (
                losses.age_loss(age, target, mid, config.age_weight).mean()
                + losses.gender_loss(gender, p, config.gender_smoothing).mean()
                + 1e-3 * away
            )

        updates, state = optimiser.update(jax.grad(loss)(heads), state)
        return optax.apply_updates(heads, updates), state

    rng = np.random.default_rng(config.seed)
    for _ in range(steps):
        rows = rng.integers(0, seen.shape[1], 1024)
        view = rng.integers(0, len(seen), 1024)
        heads, state = step(heads, state, seen[view, rows], targets[rows], middle[rows], wanted[rows])
    for name in only:
        head = getattr(net, name)
        head.kernel[...], head.bias[...] = heads[name]


@click.command()
@click.option("--crops", "folder", type=click.Path(path_type=Path, exists=True), required=True, help="Aligned crops.")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True, help="What training gave.")
@click.option("--teacher", "teachers", type=click.Path(path_type=Path, exists=True), multiple=True, help="As in train.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for the weights; may be the same.")
@click.option("--steps", default=1500, show_default=True, help="Steps of 1,024 faces.")
@click.option("--rate", default=1e-3, show_default=True, help="The highest learning rate.")
@click.option("--only", type=click.Choice(HEADS), multiple=True, help="Fit this head and keep the other.")
@click.option("--moved", default=2, show_default=True, help="Slightly changed views of each face.")
def main(
    folder: Path,
    weights: Path,
    teachers: Sequence[Path],
    out: Path,
    steps: int,
    rate: float,
    only: Sequence[str],
    moved: int,
) -> None:
    """Fit the heads for age and gender anew on undamaged faces."""
    runtime.configure()
    faces = data.load(folder)
    train = faces.where(split="train")
    known = (faces.ages[train, 0] != data.UNKNOWN) & (faces.female[train] != data.UNKNOWN)
    rows = train[known]
    net, facts = attributes.load_net(weights)
    told = None
    if teachers:
        age, female = told_by(teachers, faces)
        told = age[rows], female[rows]
    seen = features(net, faces, rows, moved)
    fit(
        net,
        seen,
        faces.ages[rows].astype(np.int32),
        faces.female[rows],
        told,
        TrainConfig(),
        steps,
        rate,
        only or HEADS,
    )
    checkpoint.save(out, attributes.flat(net), facts)
    for path in (weights, out):
        click.echo(f"{path}: {evaluate.quick(path, faces)}")


if __name__ == "__main__":
    main()
