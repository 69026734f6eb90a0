"""Batches that are made on the device, the teacher asked about each picture; step n's depends on the seed and n alone.

The stored crops lie in the memory of every device; the host only draws which faces a batch shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from rollcall_model import runtime
from rollcall_model.datasets.faces import Faces
from rollcall_model.training import device_pictures, onnx_teacher
from rollcall_model.training.batches import Batch
from rollcall_model.training.config import TrainConfig
from rollcall_model.training.onnx_teacher import OnnxTeacher
from rollcall_model.training.sampling import mixup_partners, sampling_weights
from rollcall_model.training.soft_labels import SoftLabels, no_soft_labels


def device_batches(
    faces: Faces, config: TrainConfig, size: int, start: int, teacher: OnnxTeacher, soft: SoftLabels | None = None
) -> Iterator[Batch]:
    """Yield batches of composites of training faces from step `start` on, as arrays on the devices.

    `size` is the side of the crops in pixels. `config.single_face_ratio` of the pictures show one face.
    """
    train = faces.where(split="train")
    labelled = faces.with_age(train)
    others = np.setdiff1d(train, labelled)
    weight = sampling_weights(faces, labelled, config.resampling_exponent)
    count = config.batch if not len(others) else round(config.batch * config.labelled_ratio)
    ages, female = faces.ages.astype(np.int32), faces.female.astype(np.float32)
    has_age = ages[:, 0] >= 0
    mesh = runtime.mesh()
    # Only the faces that are trained on take memory of the device.
    crops = jax.device_put(np.asarray(faces.crops[train]), NamedSharding(mesh, P()))
    side = crops.shape[1]
    to_stored = onnx_teacher.stored_matrix(side)

    def picture(key: Array, crops: Array, first: Array, second: Array) -> tuple[Array, Array, Array]:
        keys = jax.random.split(key, 3)
        a, b = crops[first].astype(jnp.float32), crops[second].astype(jnp.float32)
        both, ratio = device_pictures.composite(keys[0], a, b, config.single_face_ratio)
        strength = config.augmentation_strength
        moved = device_pictures.sample(both, device_pictures.move_matrix(keys[1], side, size, strength), size)
        shown = jnp.round(device_pictures.degrade(keys[2], moved, strength)).astype(jnp.uint8)
        return shown, device_pictures.sample(both, to_stored, onnx_teacher.SIDE), ratio

    def make(crops: Array, keys: Array, first: Array, second: Array) -> tuple[Array, Array, Array]:
        shown, asked, ratio = jax.vmap(picture, (0, None, 0, 0))(keys, crops, first, second)
        return shown, teacher(asked), ratio

    made = P("batch")
    run: Any = jax.jit(shard_map(make, mesh=mesh, in_specs=(P(), made, made, made), out_specs=made, check_vma=False))
    for step in range(start, config.steps):
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, step]))
        parts = [rng.choice(labelled, count, p=weight)]
        if len(others):
            parts.append(rng.choice(others, config.batch - count))
        # Shuffled, so that every device gets labelled and unlabelled faces.
        first = rng.permutation(np.concatenate(parts).astype(np.int64))
        second = first[mixup_partners(has_age[first], rng)]
        keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), step), config.batch)
        pixels, embedding, ratio = run(crops, keys, *(np.searchsorted(train, rows) for rows in (first, second)))
        blended = no_soft_labels(len(first))
        if soft is not None:
            blended = soft.take(first).blend(soft.take(second), np.asarray(ratio))
        yield Batch(
            pixels, np.stack([ages[first], ages[second]], 1), np.stack([female[first], female[second]], 1),
            embedding, ratio, *blended,
        )  # fmt: skip
