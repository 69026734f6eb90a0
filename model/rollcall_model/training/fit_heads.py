"""Fit all heads again on a mixture of data sets, the trunk fixed: `python -m rollcall_model.training.fit_heads`.

`heads` corrects the heads on the faces of the training, with soft labels; here labels of more sets count, each set with
its own share, and age ranges (FairFace) by the probability of the whole range. The age and gender heads are trained on
straight, mirrored and augmented views; from the identity head nuisance directions are removed (see `nuisance`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from rollcall_model import runtime
from rollcall_model.ages import AGES
from rollcall_model.attributes.model import load_net, save_net
from rollcall_model.attributes.network import AttributeNet
from rollcall_model.datasets import faces as stored
from rollcall_model.training import head_features, losses
from rollcall_model.training.config import ConfigError, HeadConfig, RunConfig, read_run_config
from rollcall_model.training.head_features import MixtureFeatures, mixture_features
from rollcall_model.training.heads import HEADS
from rollcall_model.training.nuisance import remove_nuisance
from rollcall_model.training.sampling import shared_weights
from rollcall_model.training.train import VERSION

#: The result is the exponential moving average, with this decay, over the steps after this ratio of them.
_DECAY: Final = 0.99
_AVERAGE_FROM: Final = 0.6


def mixture_weights(data: MixtureFeatures, config: HeadConfig) -> Float[np.ndarray, " n"]:
    """Return sampling probabilities of the faces, see `sampling.shared_weights`; 0 without an age."""
    known, weight = data.labelled, np.zeros(len(data.low))
    weight[known] = shared_weights(
        data.source[known], data.middle[known], config.resampling_exponent, dict(config.shares)
    )
    return weight


def range_loss(
    log_probability: Float[Array, "n 101"], low: Int[Array, " n"], high: Int[Array, " n"], config: HeadConfig
) -> Float[Array, " n"]:
    """Return the loss of ages that are known to the year, or as a range of completed years with both ends included.

    For a year it is the cross entropy with `losses.age_targets`, for a range the negative log probability of it all.
    """
    years = jnp.arange(AGES)
    targets = losses.age_targets(jnp.stack([low, low], 1), config.age_std, config.age_std_growth)
    inside = (years >= low[:, None]) & (years <= high[:, None])
    of_range = -jax.nn.logsumexp(jnp.where(inside, log_probability, -jnp.inf), axis=1)
    return jnp.where(low == high, -(targets * log_probability).sum(1), of_range)


def fit_attribute_heads(net: AttributeNet, data: MixtureFeatures, config: HeadConfig) -> None:
    """Train the age and gender heads in place on the faces with an age label."""
    heads = {name: (getattr(net, name).kernel[...], getattr(net, name).bias[...]) for name in HEADS}
    optimiser = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps))
    state = optimiser.init(heads)
    step = _compiled_step(optimiser, jax.tree.map(jnp.copy, heads), config)
    rng, cumulative = np.random.default_rng(config.seed), np.cumsum(mixture_weights(data, config))
    keys = jax.random.split(jax.random.key(config.seed), config.steps)
    average = heads
    for number in range(config.steps):
        rows = np.minimum(np.searchsorted(cumulative, rng.random(config.batch) * cumulative[-1]), len(cumulative) - 1)
        augmented = data.augmented[rows] & (rng.random(config.batch) < config.augmented_ratio)
        view = np.where(augmented, 2, rng.integers(0, 2, config.batch))
        labels = (data.low[rows], data.high[rows], data.female[rows])
        heads, state = step(heads, state, keys[number], data.views[view, rows], labels)
        # The average of the last steps varies less than the last one.
        decay = _DECAY if number > _AVERAGE_FROM * config.steps else 0.0
        average = jax.tree.map(lambda old, new, decay=decay: decay * old + (1 - decay) * new, average, heads)
    for name in HEADS:
        head = getattr(net, name)
        head.kernel[...], head.bias[...] = average[name]


def _compiled_step(optimiser: Any, start: Any, config: HeadConfig) -> Callable[..., tuple[Any, Any]]:
    def loss(heads: Any, key: Array, x: Array, labels: tuple[Array, ...]) -> Array:
        low, high, female = labels
        x = x * jax.random.bernoulli(key, 1 - config.dropout, x.shape) / (1 - config.dropout)
        age = range_loss(jax.nn.log_softmax(x @ heads["age"][0] + heads["age"][1]), low, high, config)
        logit = (x @ heads["gender"][0] + heads["gender"][1])[:, 0]
        gender = losses.gender_loss(logit, jnp.maximum(female, 0).astype(jnp.float32), config.gender_smoothing)
        pairs = zip(jax.tree.leaves(heads), jax.tree.leaves(start), strict=True)
        distance = sum(((a - b) ** 2).sum() for a, b in pairs)
        return age.mean() + jnp.where(female >= 0, gender, 0).mean() + config.penalty * distance

    @jax.jit
    def step(heads: Any, state: Any, *batch: Any) -> tuple[Any, Any]:
        updates, state = optimiser.update(jax.grad(loss)(heads, *batch), state)
        return optax.apply_updates(heads, updates), state

    return step


_FILE: Final = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--crops", "folder", type=_FILE, required=True, help="Aligned crops of all sets, from prepare.")
@click.option("--weights", type=_FILE, required=True, help="Weights in the inference form.")
@click.option("--config", "config_file", type=_FILE, help="Run configuration with a table of heads.")
@click.option("--features", "cache", type=click.Path(path_type=Path), help="Archive that keeps the heads' inputs.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for the weights; may be the same.")
def main(folder: Path, weights: Path, config_file: Path | None, cache: Path | None, out: Path) -> None:
    """Fit the heads to the training faces of a mixture of data sets."""
    runtime.configure()
    try:
        config = (read_run_config(config_file) if config_file else RunConfig()).heads
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    net, metadata = load_net(weights)
    if cache is not None and cache.exists():
        data = head_features.load(cache)
    else:
        faces = stored.load(folder)
        data = mixture_features(net, faces, faces.where(split="train"), config)
        if cache is not None:
            head_features.save(cache, data)
    fit_attribute_heads(net, data, config)
    remove_nuisance(net, data, config)
    training = {**metadata.get("training", {}), "heads": config._asdict()}
    save_net(out, net, {**metadata, "version": VERSION, "training": training})
    click.echo(f"{out}: heads fitted to {len(data.low):,} faces")


if __name__ == "__main__":
    main()
