"""Initial weights from earlier runs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rollcall_model.attributes.fusion import unfuse_batch_norm
from rollcall_model.attributes.model import load_net
from rollcall_model.attributes.network import AttributeNet
from rollcall_model.datasets.faces import Faces, central_crops
from rollcall_model.training.batches import Batch
from rollcall_model.training.trainer import Trainer, load_average

#: Crops that batch statistics are measured on.
_CROPS: Final = 512


def mean_of_states(trainer: Trainer, paths: Sequence[Path]) -> tuple[Any, Any]:
    """Return the mean of the averaged weights, and of the batch statistics, of earlier runs' states or averages.

    The mean of runs that began with the same weights is often better than each (model soups, Wortsman et al. 2022).
    """
    averages = [load_average(path, trainer.state) for path in paths]
    return _mean([params for params, _ in averages]), _mean([stats for _, stats in averages])


def _mean(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: functools.reduce(jnp.add, leaves) / len(leaves), *trees)


def of_weights(trainer: Trainer, path: Path, faces: Faces, source: Iterator[Batch] | None) -> tuple[Any, Any]:
    """Return the parameters and batch statistics of weights in the inference form, for the trainer's network.

    With a source of batches the identity head is fitted to their embeddings first.
    """
    fused, _ = load_net(path)
    size, config = trainer.network.size, trainer.config
    rows = np.random.default_rng(config.seed).choice(faces.where(split="train"), _CROPS)
    crops = central_crops(faces, np.sort(rows), size).astype(np.float32)
    net = unfuse_batch_norm(fused, jnp.asarray(crops), trainer.network)
    if source is not None and net.identity is not None:
        refit_identity(net, source)
    params, stats = nnx.split(net, nnx.Param, nnx.BatchStat)[1:]  # type: ignore[misc]
    return params, stats


def refit_identity(net: AttributeNet, source: Iterator[Batch], count: int = 40, ridge: float = 1e-2) -> None:
    """Fit the identity head to the teacher's embeddings by ridge regression, the trunk fixed.

    A trunk trained with another form of embeddings then begins with the best head for its features.
    """
    inputs, targets = [], []
    features = jax.jit(net.features)
    for _, batch in zip(range(count), source, strict=False):
        inputs.append(np.asarray(features(batch.crops.astype(np.float32))))
        targets.append(np.asarray(batch.teacher))
    x, y = np.concatenate(inputs).astype(np.float64), np.concatenate(targets).astype(np.float64)
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    covariance = x.T @ x
    penalty = ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    kernel = np.linalg.solve(covariance + penalty, x.T @ y)
    assert net.identity is not None
    net.identity.kernel[...] = jnp.asarray(kernel, jnp.float32)
    net.identity.bias[...] = jnp.asarray(y_mean - x_mean @ kernel, jnp.float32)
