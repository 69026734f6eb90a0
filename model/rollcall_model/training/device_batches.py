"""Batches that are made on the device, the teacher asked about each picture; step n's depends on the seed and n alone.

The stored crops and the labels lie in the memory of every device; the host only draws which faces a batch shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, Int, Int32, UInt32

from rollcall_model import runtime
from rollcall_model.ages import AGES
from rollcall_model.datasets.faces import Faces
from rollcall_model.datasets.samples import UNKNOWN
from rollcall_model.training import device_pictures, losses, onnx_teacher
from rollcall_model.training.batches import Batch, prefetch
from rollcall_model.training.config import TrainConfig
from rollcall_model.training.onnx_teacher import OnnxTeacher
from rollcall_model.training.sampling import mixup_partners, sampling_weights
from rollcall_model.training.soft_labels import SoftLabels, no_soft_labels
from rollcall_model.types import EMBEDDING

#: Weight of a range of ages itself beside the soft label within it.
_DOUBT: Final = 0.05


class _Drawn(NamedTuple):
    """What the host draws for a step."""

    single: np.float32
    strength: np.float32
    keys: UInt32[np.ndarray, "n 2"]  # one for each picture: the batch is the same on any number of devices
    first: Int32[np.ndarray, " n"]  # rows of the training faces
    second: Int32[np.ndarray, " n"]


class _Labels(NamedTuple):
    """Labels of all training faces, as in `Batch`."""

    ages: Int[np.ndarray | Array, "m 2"]
    female: Float[np.ndarray | Array, " m"]
    soft_age: Float32[np.ndarray | Array, "m 101"]
    soft_female: Float32[np.ndarray | Array, " m"]


class DeviceBatches:
    """A source of batches of composites of training faces, as arrays on the devices.

    Parameters
    ----------
    config
        Its `batch`, `labelled_ratio`, `resampling_exponent`, `shares`, `half_precision` and `mirrored_teacher` hold for
        all batches.
    size
        Side of the crops in pixels.
    teacher
        Asked about every picture; without, the batches have no embeddings.
    soft
        Predictions for all faces. They then stand for ages, each blended with the face's own label, a range of ages
        by the part of the prediction within it.
    """

    def __init__(
        self, faces: Faces, config: TrainConfig, size: int, teacher: OnnxTeacher | None, soft: SoftLabels | None = None
    ) -> None:
        train = faces.where(split="train")
        self._labelled = faces.with_age(train)
        self._others = np.setdiff1d(train, self._labelled)
        self._weight = sampling_weights(faces, self._labelled, config.resampling_exponent, dict(config.shares))
        self._batch = config.batch
        unlabelled = len(self._others) and config.labelled_ratio < 1
        self._count = round(config.batch * config.labelled_ratio) if unlabelled else config.batch
        self._unknown_age = faces.ages[:, 0] == UNKNOWN
        # Only the faces that are trained on take memory of the device.
        self._train = train
        everywhere = NamedSharding(runtime.mesh(), P())
        self._crops = jax.device_put(np.asarray(faces.crops[train]), everywhere)
        with runtime.on_host():
            labels = _labels(faces, train, config, soft)
        self._labels = jax.device_put(labels, everywhere)
        self._run = _program(self._crops.shape[1], size, teacher, config)

    def batches(self, config: TrainConfig, start: int) -> Iterator[Batch]:
        """Yield the batches from step `start` on, with the seed, the ratio and the strength of `config.at(step)`."""
        for drawn in prefetch(self._draws(config, start)):
            yield self._run(self._crops, self._labels, *drawn)

    def statistics(self, config: TrainConfig, step: int, count: int) -> Iterator[Batch]:
        """Yield `count` batches of single faces, augmented as at `step`, to measure batch statistics on."""
        now = config.at(step)
        return self.batches(
            now._replace(seed=config.seed + 1, steps=step + count, single_face_ratio=1.0, late_start=1.0), step
        )

    def _draws(self, config: TrainConfig, start: int) -> Iterator[_Drawn]:
        for step in range(start, config.steps):
            now = config.at(step)
            rng = np.random.default_rng(np.random.SeedSequence([config.seed, step]))
            first = self._draw(rng)
            second = first[mixup_partners(~self._unknown_age[first], rng)]
            places = (np.searchsorted(self._train, rows).astype(np.int32) for rows in (first, second))
            keys = rng.integers(2**32, size=(len(first), 2), dtype=np.uint32)
            strengths = np.float32(now.single_face_ratio), np.float32(now.augmentation_strength)
            yield _Drawn(*strengths, keys, *places)

    def _draw(self, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
        """Return the rows of a batch's faces."""
        parts = [rng.choice(self._labelled, self._count, p=self._weight)]
        if self._count < self._batch:
            parts.append(rng.choice(self._others, self._batch - self._count))
        # Shuffled, so that every device gets labelled and unlabelled faces.
        return rng.permutation(np.concatenate(parts).astype(np.int64))


def blend_with_labels(soft: SoftLabels, ages: Int[np.ndarray, "n 2"], config: TrainConfig) -> SoftLabels:
    """Return soft labels whose ages are blended with the labels, by `config.distillation_weight`.

    Of a range of ages, which says nothing about the years within it, the soft label keeps what lies there; a little of
    the range itself is added, for what the network thought impossible. Faces without an age keep their soft label.
    """
    years = np.arange(AGES)
    low, high = (np.minimum(ages[:, i, None], AGES - 1) for i in (0, 1))
    inside = ((years >= low) & (years <= high)).astype(np.float32)
    flat = inside / np.maximum(inside.sum(1, keepdims=True), 1)
    kept = np.asarray(soft.age) * inside + _DOUBT * flat
    kept = kept / np.maximum(kept.sum(1, keepdims=True), 1e-9)
    exact = np.asarray(
        losses.age_targets(jnp.asarray(np.concatenate([low, high], 1)), config.age_std, config.age_std_growth)
    )
    weight = config.distillation_weight
    blended = np.where(low == high, weight * np.asarray(soft.age) + (1 - weight) * exact, kept)
    known = ages[:, :1] != UNKNOWN
    return soft._replace(age=np.where(known, blended, soft.age).astype(np.float32))


def _labels(faces: Faces, rows: Int[np.ndarray, " m"], config: TrainConfig, soft: SoftLabels | None) -> _Labels:
    ages, female = faces.ages[rows].astype(np.int32), faces.female[rows].astype(np.float32)
    if soft is None:
        return _Labels(ages, female, *no_soft_labels(len(rows)))
    blended = blend_with_labels(soft.take(rows), ages, config)
    return _Labels(np.full_like(ages, UNKNOWN), female, *blended)


def _program(side: int, size: int, teacher: OnnxTeacher | None, config: TrainConfig) -> Callable[..., Batch]:
    """Return the compiled program from stored crops of `side` pixels, labels and draws to batches."""
    to_stored = onnx_teacher.stored_matrix(side)
    precision = jnp.bfloat16 if config.half_precision else jnp.float32

    def picture(
        crops: Array, single: Array, strength: Array, key: Array, first: Array, second: Array
    ) -> tuple[Array, Array, Array]:
        draws = device_pictures.draw(jax.random.wrap_key_data(key), size)
        a, b = crops[first].astype(jnp.float32), crops[second].astype(jnp.float32)
        both, ratio = device_pictures.composite(draws.composite, a, b, single)
        moved = device_pictures.sample(both, device_pictures.move_matrix(draws.move, side, size, strength), size)
        shown = jnp.round(device_pictures.degrade(draws, moved, strength)).astype(jnp.uint8)
        asked = jnp.zeros(()) if teacher is None else device_pictures.sample(both, to_stored, onnx_teacher.SIDE)
        return shown, asked, ratio

    def embeddings(asked: Array) -> Array:
        if teacher is None:
            return jnp.zeros((len(asked), EMBEDDING))
        y = teacher(asked, precision)
        if config.mirrored_teacher:
            y = y + teacher(asked[:, :, ::-1], precision)
            y = y / jnp.maximum(jnp.linalg.norm(y, axis=1, keepdims=True), 1e-9)
        return y

    def make(crops: Array, labels: _Labels, single: Array, strength: Array, *each: Array) -> Batch:
        shown, asked, ratio = jax.vmap(picture, (None, None, None, 0, 0, 0))(crops, single, strength, *each)
        a, b = (jax.tree.map(lambda values, rows=rows: values[rows], labels) for rows in each[1:])
        soft = SoftLabels(a.soft_age, a.soft_female).blend(SoftLabels(b.soft_age, b.soft_female), ratio)
        ages, female = jnp.stack([a.ages, b.ages], 1), jnp.stack([a.female, b.female], 1)
        return Batch(shown, ages, female, embeddings(asked), ratio, *soft)

    made = P("batch")
    return jax.jit(
        shard_map(
            make,
            mesh=runtime.mesh(),
            in_specs=(P(), P(), P(), P(), made, made, made),
            out_specs=made,
            check_vma=False,
        )
    )
