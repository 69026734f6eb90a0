"""Removal from the embedding of the directions in which faces differ for other reasons than identity.

Such reasons are the data set (its crops and its compression), the age, and degraded pictures. Left in, they make
different people of one set, and small children above all, similar. The projection that removes the directions is
linear, so the identity head contains it and the network keeps its shape (nuisance attribute projection, Solomonoff et
al. 2005).
"""

from __future__ import annotations

from typing import Final

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from rollcall_model.attributes.network import AttributeNet
from rollcall_model.training.config import HeadConfig
from rollcall_model.training.head_features import MixtureFeatures

#: Ages in years, both ends included, whose means give the directions of age, and the fewest faces for a mean.
AGE_BANDS: Final = ((0, 2), (3, 6), (7, 12), (13, 19), (20, 39), (40, 59), (60, 100))
MIN_FACES: Final = 40


def remove_nuisance(net: AttributeNet, data: MixtureFeatures, config: HeadConfig) -> None:
    """Change the identity head in place: its outputs are centred and lack the nuisance directions."""
    assert net.identity is not None
    kernel, bias = (np.asarray(array[...], np.float64) for array in (net.identity.kernel, net.identity.bias))
    centre, projection = nuisance_projection(data.views @ kernel + bias, data, config)
    net.identity.kernel[...] = jnp.asarray(kernel @ projection, jnp.float32)
    net.identity.bias[...] = jnp.asarray((bias - centre) @ projection, jnp.float32)


def nuisance_projection(
    raw: Float[np.ndarray, "3 n d"], data: MixtureFeatures, config: HeadConfig
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
    """Return the centre to subtract from embeddings, and the projection that removes the nuisance directions.

    `raw` are the embeddings of the three views, not of unit length. The directions are the principal ones of the means
    of sets, of the means of `AGE_BANDS` within sets, and of the differences between augmented and straight views.
    """
    straight = _unit(raw[0])
    sources = np.unique(data.source)
    means = np.stack([straight[data.source == source].mean(0) for source in sources])
    centre = means.mean(0)
    directions = [_principal(means - centre, config.set_directions)]
    age_differences = [
        straight[band].mean(0) - mean
        for source, mean in zip(sources, means, strict=True)
        for band in _bands(data, source)
        if band.sum() >= MIN_FACES
    ]
    if age_differences:
        directions.append(_principal(np.stack(age_differences), config.age_directions))
    if data.augmented.any():
        differences = _unit(raw[2, data.augmented]) - straight[data.augmented]
        directions.append(_principal(differences, config.augmentation_directions))
    basis, _ = np.linalg.qr(np.concatenate(directions).T)
    length = np.mean([np.linalg.norm(raw[0, data.source == source], axis=1).mean() for source in sources])
    return centre * length, np.eye(raw.shape[-1]) - basis @ basis.T


def _bands(data: MixtureFeatures, source: str) -> list[np.ndarray]:
    """Return for each age band which faces of a set are in it."""
    mine = (data.source == source) & data.labelled
    return [mine & (data.middle >= low) & (data.middle <= high) for low, high in AGE_BANDS]


def _principal(differences: Float[np.ndarray, "m d"], count: int) -> Float[np.ndarray, "k d"]:
    """Return the `count` orthonormal directions with the largest sums of squares."""
    values, vectors = np.linalg.eigh(differences.T @ differences)
    # With fewer differences than directions the rest are arbitrary.
    count = min(count, int((values > 1e-12 * values[-1]).sum()))
    return vectors[:, ::-1].T[:count]


def _unit(raw: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return np.asarray(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9))
