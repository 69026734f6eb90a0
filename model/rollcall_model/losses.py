"""What training makes small; pure functions of arrays, one value a face."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

AGES = 101


def age_targets(ages: Int[Array, "n 2"], width: float, growth: float) -> Float[Array, "n 101"]:
    """Return a distribution of ages for each label, a range of completed years.

    A bell around the year (Geng et al., label distribution learning), `width` + `growth` * age years
    wide, since a year tells more at three than at sixty; a range is the mean of its years' bells.
    """
    years = jnp.arange(AGES)
    low, high = ages[:, :1], ages[:, 1:]
    spread = width + growth * years[None, :, None]
    bells = jax.nn.softmax(-0.5 * ((years[None, None, :] - years[None, :, None]) / spread) ** 2, axis=-1)[0]
    members = ((years >= low) & (years <= high)).astype(jnp.float32)
    return (members / jnp.maximum(members.sum(-1, keepdims=True), 1)) @ bells


def age_loss(
    logits: Float[Array, "n 101"], targets: Float[Array, "n 101"], middle: Float[Array, " n"], weight: float
) -> Float[Array, " n"]:
    """Return cross entropy against the targets plus `weight` times the error of the expectation in years."""
    log_probability = jax.nn.log_softmax(logits)
    cross_entropy = -(targets * log_probability).sum(-1)
    expected = jnp.exp(log_probability) @ jnp.arange(AGES, dtype=jnp.float32)
    return cross_entropy + weight * jnp.abs(expected - middle)


def gender_loss(logit: Float[Array, " n"], female: Float[Array, " n"], smoothing: float) -> Float[Array, " n"]:
    """Return binary cross entropy; `smoothing` is the share of labels that are taken to be wrong."""
    target = female * (1 - 2 * smoothing) + smoothing
    return jax.nn.softplus(logit) - target * logit


def identity_loss(embedding: Float[Array, "n 128"], teacher: Float[Array, "n 128"]) -> Float[Array, " n"]:
    """Return one minus the cosine between the student's and the teacher's unit vectors."""
    return 1 - (embedding * teacher).sum(-1)


def relation_loss(embedding: Float[Array, "n 128"], teacher: Float[Array, "n 128"]) -> Float[Array, " n"]:
    """Return how far the faces' likenesses to one another are from the teacher's, as a mean square.

    What counts for identity is not where a face lies but which faces lie near it (Park et al. 2019).
    """
    difference = embedding @ embedding.T - teacher @ teacher.T
    return (difference**2).mean(-1)
