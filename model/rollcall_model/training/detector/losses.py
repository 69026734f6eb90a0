"""Which place of the grids answers for which face, and the losses of its answer."""

from __future__ import annotations

from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from rollcall_model.detection import single_pass

#: Of the best places for a face, so many decide how many answer for it (Ge et al. 2021, SimOTA).
_CANDIDATES: Final = 10
#: Radius around a face's centre, in strides, within which a place may answer for it.
_RADIUS: Final = 2.5
#: Weight of the box against the class in the cost of a place.
_BOX_COST: Final = 3.0
_IMPOSSIBLE: Final = 1e6
#: Knee of the landmarks' loss, in sides of the face: logarithmic below it (Feng et al. 2018, wing loss).
_WING, _CURVATURE = 0.08, 0.02


class LossWeights(NamedTuple):
    """Weights of the parts of the loss."""

    face: float = 1.0  # class score of the answering places, whose target is the IoU
    objectness: float = 1.0  # of all places
    box: float = 5.0
    landmarks: float = 2.0


class Targets(NamedTuple):
    """The faces of one scene, padded."""

    boxes: Float[Array, "f 4"]
    landmarks: Float[Array, "f 5 2"]  # NaN where unknown
    ignored: Bool[Array, " f"]


def pairwise_iou(a: Float[Array, "a 4"], b: Float[Array, "f 4"]) -> Float[Array, "a f"]:
    """Return intersection over union of each box of `a` with each of `b`."""
    low = jnp.maximum(a[:, None, :2], b[None, :, :2])
    high = jnp.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0), axis=-1)
    areas = [jnp.prod(jnp.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=-1) for boxes in (a, b)]
    return shared / jnp.maximum(areas[0][:, None] + areas[1][None, :] - shared, 1e-6)


def assign(
    outputs: Float[Array, "a 16"], boxes: Float[Array, "a 4"], places: Float[Array, "a 3"], targets: Targets
) -> tuple[Float[Array, "a f"], Float[Array, " a"]]:
    """Return which face each place answers for (one-hot, or zeros), and its weight as background.

    A face is answered for by as many places as its best candidates' IoUs add up to; a place answers for one face only.
    Places in an ignored box are no background.
    """
    face = (jnp.prod(targets.boxes[:, 2:] - targets.boxes[:, :2], axis=-1) > 0) & ~targets.ignored
    centres = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
    point = places[:, None, :2]
    inside = ((point > targets.boxes[None, :, :2]) & (point < targets.boxes[None, :, 2:])).all(-1)
    near = (jnp.abs(point - centres[None]) < _RADIUS * places[:, None, 2:]).all(-1)
    overlap = pairwise_iou(boxes, targets.boxes)
    score = single_pass.scores(outputs)[:, None]
    cost = -jnp.log(jnp.maximum(score, 1e-6)) - _BOX_COST * jnp.log(jnp.maximum(overlap, 1e-6))
    cost = cost + _IMPOSSIBLE / 10 * ~(inside & near) + _IMPOSSIBLE * ~((inside | near) & face[None])
    best = jax.lax.top_k(jnp.where((inside | near) & face[None], overlap, 0).T, _CANDIDATES)[0]
    wanted = jnp.clip(best.sum(-1).astype(jnp.int32), 1, _CANDIDATES)
    lowest, rows = jax.lax.top_k(-cost.T, _CANDIDATES)
    taken = (jnp.arange(_CANDIDATES)[None] < wanted[:, None]) & (-lowest < _IMPOSSIBLE)
    chosen = jnp.zeros(cost.shape[::-1]).at[jnp.arange(len(rows))[:, None], rows].max(taken.astype(jnp.float32)).T
    # A place that several faces want answers for the one it costs least.
    cheapest = jax.nn.one_hot(jnp.argmin(jnp.where(chosen > 0, cost, 2 * _IMPOSSIBLE), axis=-1), cost.shape[1])
    answers = chosen * cheapest
    unsure = (inside & targets.ignored[None]).any(-1)
    background = jnp.where(unsure | (answers.sum(-1) > 0), 0.0, 1.0)
    return answers, background


def paired_iou(found: Float[Array, "a 4"], target: Float[Array, "a 4"]) -> Float[Array, " a"]:
    """Return intersection over union of each box with the one at the same place."""
    low, high = jnp.maximum(found[:, :2], target[:, :2]), jnp.minimum(found[:, 2:], target[:, 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0), axis=-1)
    union = jnp.prod(found[:, 2:] - found[:, :2], -1) + jnp.prod(target[:, 2:] - target[:, :2], -1) - shared
    return shared / jnp.maximum(union, 1e-6)


def efficient_iou_loss(found: Float[Array, "a 4"], target: Float[Array, "a 4"]) -> Float[Array, " a"]:
    """Return 1 - IoU plus normalised differences of centres, widths and heights (Zhang et al. 2021, EIoU)."""
    size, wanted = found[:, 2:] - found[:, :2], target[:, 2:] - target[:, :2]
    hull = jnp.maximum(jnp.maximum(found[:, 2:], target[:, 2:]) - jnp.minimum(found[:, :2], target[:, :2]), 1e-3)
    centre = (found[:, :2] + found[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    distance = (centre**2).sum(-1) / (hull**2).sum(-1)
    sides = ((size - wanted) ** 2 / hull**2).sum(-1)
    return 1 - paired_iou(found, target) + distance + sides


def wing(distance: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return the wing loss of distances in sides of the face: logarithmic where small, linear where large."""
    offset = _WING - _WING * jnp.log(1 + _WING / _CURVATURE)
    return jnp.where(distance < _WING, _WING * jnp.log(1 + distance / _CURVATURE), distance - offset)


def scene_loss(
    outputs: Float[Array, "a 16"], places: Float[Array, "a 3"], targets: Targets, weights: LossWeights
) -> tuple[Float[Array, ""], Float[Array, " 5"]]:
    """Return one scene's loss, not yet divided, and its parts: face, objectness, box, landmarks, answering places."""
    boxes = single_pass.decode_boxes(outputs, places)
    answers, background = jax.lax.stop_gradient(assign(outputs, boxes, places, targets))
    positive = answers.sum(-1)
    wanted = answers @ targets.boxes + (1 - positive)[:, None] * jnp.asarray([0.0, 0, 1, 1])
    overlap = jax.lax.stop_gradient(paired_iou(boxes, wanted)) * positive
    face = (optax.sigmoid_binary_cross_entropy(outputs[:, 0], overlap) * positive).sum()
    objectness = (optax.sigmoid_binary_cross_entropy(outputs[:, 1], positive) * (positive + background)).sum()
    box = (efficient_iou_loss(boxes, wanted) * positive).sum()
    known = ~jnp.isnan(targets.landmarks).any((1, 2))
    points = jnp.where(known[:, None, None], targets.landmarks, 0)
    wanted_points = jnp.einsum("af,fpc->apc", answers, points)
    side = jnp.sqrt(jnp.maximum(jnp.prod(wanted[:, 2:] - wanted[:, :2], -1), 1))
    differences = jnp.abs(single_pass.decode_landmarks(outputs, places) - wanted_points) / side[:, None, None]
    landmarks = (wing(differences).mean((1, 2)) * (answers @ known.astype(jnp.float32))).sum() * 10
    parts = jnp.stack([face, objectness, box, landmarks, positive.sum()])
    return parts[:4] @ jnp.asarray(weights), parts
