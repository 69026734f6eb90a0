"""Losses as pure functions of arrays, one value a face, and the objective of a batch."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rollcall_model.ages import AGES
from rollcall_model.attributes.network import Outputs
from rollcall_model.training.batches import Batch
from rollcall_model.training.config import TrainConfig


def age_targets(ages: Int[Array, "n 2"], std: float, growth: float) -> Float[Array, "n 101"]:
    """Return an age distribution for each label, a range of completed years with both ends included.

    A Gaussian around the year (label distribution learning, Geng et al. 2013) with a standard deviation of `std` +
    `growth` * age years, since a year matters more at three than at sixty; for a range the mean over its years.
    """
    years = jnp.arange(AGES)
    low, high = ages[:, :1], ages[:, 1:]
    deviation = std + growth * years[None, :, None]
    gaussians = jax.nn.softmax(-0.5 * ((years[None, None, :] - years[None, :, None]) / deviation) ** 2, axis=-1)[0]
    members = ((years >= low) & (years <= high)).astype(jnp.float32)
    return (members / jnp.maximum(members.sum(-1, keepdims=True), 1)) @ gaussians


def age_loss(
    logits: Float[Array, "n 101"], targets: Float[Array, "n 101"], middle: Float[Array, " n"], weight: float
) -> Float[Array, " n"]:
    """Return the cross entropy with the targets plus `weight` times the error of the expected age in years."""
    log_probability = jax.nn.log_softmax(logits)
    cross_entropy = -(targets * log_probability).sum(-1)
    expected = jnp.exp(log_probability) @ jnp.arange(AGES, dtype=jnp.float32)
    return cross_entropy + weight * jnp.abs(expected - middle)


def gender_loss(logit: Float[Array, " n"], female: Float[Array, " n"], smoothing: float) -> Float[Array, " n"]:
    """Return the binary cross entropy; `smoothing` is the assumed ratio of wrong labels."""
    target = female * (1 - 2 * smoothing) + smoothing
    return jax.nn.softplus(logit) - target * logit


def identity_loss(embedding: Float[Array, "n 128"], teacher: Float[Array, "n 128"]) -> Float[Array, " n"]:
    """Return one minus the cosine similarity of the student's and the teacher's unit vectors."""
    return 1 - (embedding * teacher).sum(-1)


def relation_loss(embedding: Float[Array, "n 128"], teacher: Float[Array, "n 128"]) -> Float[Array, " n"]:
    """Return the mean squared difference of the faces' pairwise similarities from the teacher's.

    For identity the neighbours of an embedding matter, not its place (relational distillation, Park et al. 2019).
    """
    difference = embedding @ embedding.T - teacher @ teacher.T
    return (difference**2).mean(-1)


class Targets(NamedTuple):
    """The targets of a batch after blending faces and soft labels, and which faces have any."""

    age: Float[Array, "n 101"]
    middle: Float[Array, " n"]  # expected age in years
    female: Float[Array, " n"]
    has_age: Bool[Array, " n"]
    has_gender: Bool[Array, " n"]


def blend_targets(batch: Batch, config: TrainConfig) -> Targets:
    """Return the targets: those of both faces by their ratio, then those and the soft labels by distillation weight.

    Where there is no label, the soft label counts fully.
    """
    has_age = jnp.asarray(batch.ages[:, 0, 0]) >= 0
    has_gender = (jnp.asarray(batch.female) >= 0).all(-1)
    ratio = jnp.stack([batch.ratio, 1 - batch.ratio], -1)
    years = jnp.maximum(batch.ages, 0)
    each = age_targets(years.reshape(-1, 2), config.age_std, config.age_std_growth)
    age = (ratio[..., None] * each.reshape(-1, 2, AGES)).sum(1)
    middle = (ratio * years.mean(-1)).sum(1)
    female = (ratio * batch.female).sum(1)
    has_soft = jnp.asarray(batch.soft_age).sum(-1) > 0.5
    age_weight = jnp.where(has_soft, jnp.where(has_age, config.distillation_weight, 1.0), 0.0)
    soft_middle = batch.soft_age @ jnp.arange(AGES, dtype=jnp.float32)
    gender_weight = jnp.where(has_soft, jnp.where(has_gender, config.distillation_weight, 1.0), 0.0)
    return Targets(
        age_weight[:, None] * batch.soft_age + (1 - age_weight[:, None]) * age,
        age_weight * soft_middle + (1 - age_weight) * middle,
        gender_weight * batch.soft_female + (1 - gender_weight) * female,
        has_age | has_soft,
        has_gender | has_soft,
    )


def objective(out: Outputs, batch: Batch, config: TrainConfig) -> tuple[Array, dict[str, Array]]:
    """Return the weighted loss of a batch, and its parts: means over the faces that have the label."""
    targets = blend_targets(batch, config)
    has_teacher = (batch.teacher**2).sum(-1) > 0.5

    def mean(values: Array, mask: Array) -> Array:
        return jnp.where(mask, values, 0).sum() / jnp.maximum(mask.sum(), 1)

    parts = {
        "age": mean(age_loss(out.age, targets.age, targets.middle, config.age_error_weight), targets.has_age),
        "gender": mean(gender_loss(out.female, targets.female, config.gender_smoothing), targets.has_gender),
        "identity": mean(identity_loss(out.embedding, batch.teacher), has_teacher),  # type: ignore[arg-type]
        "relation": mean(relation_loss(out.embedding, batch.teacher), has_teacher),  # type: ignore[arg-type]
    }
    total = (
        parts["age"]
        + config.gender_weight * parts["gender"]
        + config.identity_weight * parts["identity"]
        + config.relation_weight * parts["relation"]
    )
    return total, parts
