"""Batches that are made on the device, the teacher asked about each picture; step n's depends on the seed and n alone.

The stored crops lie in the memory of every device; the host only draws which faces a batch shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Int

from rollcall_model import runtime
from rollcall_model.datasets.faces import Faces
from rollcall_model.datasets.samples import UNKNOWN
from rollcall_model.training import device_pictures, onnx_teacher
from rollcall_model.training.batches import Batch
from rollcall_model.training.config import TrainConfig
from rollcall_model.training.onnx_teacher import OnnxTeacher
from rollcall_model.training.sampling import mixup_partners, sampling_weights
from rollcall_model.training.soft_labels import SoftLabels, no_soft_labels


class DeviceBatches:
    """A source of batches of composites of training faces, as arrays on the devices.

    Parameters
    ----------
    config
        Its `batch`, `labelled_ratio` and `resampling_exponent` hold for all batches.
    size
        Side of the crops in pixels.
    """

    def __init__(
        self, faces: Faces, config: TrainConfig, size: int, teacher: OnnxTeacher, soft: SoftLabels | None = None
    ) -> None:
        train = faces.where(split="train")
        self._labelled = faces.with_age(train)
        self._others = np.setdiff1d(train, self._labelled)
        self._weight = sampling_weights(faces, self._labelled, config.resampling_exponent, dict(config.shares))
        self._batch = config.batch
        self._count = config.batch if not len(self._others) else round(config.batch * config.labelled_ratio)
        self._ages, self._female = faces.ages.astype(np.int32), faces.female.astype(np.float32)
        self._soft = soft
        # Only the faces that are trained on take memory of the device.
        self._train = train
        self._crops = jax.device_put(np.asarray(faces.crops[train]), NamedSharding(runtime.mesh(), P()))
        self._run = _program(self._crops.shape[1], size, teacher)

    def batches(self, config: TrainConfig, start: int) -> Iterator[Batch]:
        """Yield the batches from step `start` on, with the seed, the ratio and the strength of `config.at(step)`."""
        for step in range(start, config.steps):
            now = config.at(step)
            rng = np.random.default_rng(np.random.SeedSequence([config.seed, step]))
            first = self._draw(rng)
            second = first[mixup_partners(self._ages[first, 0] != UNKNOWN, rng)]
            places = (np.searchsorted(self._train, rows).astype(np.int32) for rows in (first, second))
            # A key for each picture: the batch is the same on any number of devices.
            keys = rng.integers(2**32, size=(len(first), 2), dtype=np.uint32)
            strengths = np.float32(now.single_face_ratio), np.float32(now.augmentation_strength)
            pixels, embedding, ratio = self._run(self._crops, *strengths, keys, *places)
            blended = no_soft_labels(len(first))
            if self._soft is not None:
                blended = self._soft.take(first).blend(self._soft.take(second), np.asarray(ratio))
            ages, female = (np.stack([labels[first], labels[second]], 1) for labels in (self._ages, self._female))
            yield Batch(pixels, ages, female, embedding, ratio, *blended)

    def statistics(self, config: TrainConfig, step: int, count: int) -> Iterator[Batch]:
        """Yield `count` batches of single faces, augmented as at `step`, to measure batch statistics on."""
        now = config.at(step)
        return self.batches(
            now._replace(seed=config.seed + 1, steps=step + count, single_face_ratio=1.0, late_start=1.0), step
        )

    def _draw(self, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
        """Return the rows of a batch's faces."""
        parts = [rng.choice(self._labelled, self._count, p=self._weight)]
        if len(self._others):
            parts.append(rng.choice(self._others, self._batch - self._count))
        # Shuffled, so that every device gets labelled and unlabelled faces.
        return rng.permutation(np.concatenate(parts).astype(np.int64))


def _program(side: int, size: int, teacher: OnnxTeacher) -> Callable[..., tuple[Array, Array, Array]]:
    """Return the compiled program from stored crops of `side` pixels to pictures, embeddings and ratios."""
    to_stored = onnx_teacher.stored_matrix(side)

    def picture(
        crops: Array, single: Array, strength: Array, key: Array, first: Array, second: Array
    ) -> tuple[Array, Array, Array]:
        draws = device_pictures.draw(jax.random.wrap_key_data(key), size)
        a, b = crops[first].astype(jnp.float32), crops[second].astype(jnp.float32)
        both, ratio = device_pictures.composite(draws.composite, a, b, single)
        moved = device_pictures.sample(both, device_pictures.move_matrix(draws.move, side, size, strength), size)
        shown = jnp.round(device_pictures.degrade(draws, moved, strength)).astype(jnp.uint8)
        return shown, device_pictures.sample(both, to_stored, onnx_teacher.SIDE), ratio

    def make(crops: Array, single: Array, strength: Array, *each: Array) -> tuple[Array, Array, Array]:
        shown, asked, ratio = jax.vmap(picture, (None, None, None, 0, 0, 0))(crops, single, strength, *each)
        return shown, teacher(asked), ratio

    made = P("batch")
    return jax.jit(
        shard_map(
            make,
            mesh=runtime.mesh(),
            in_specs=(P(), P(), P(), made, made, made),
            out_specs=made,
            check_vma=False,
        )
    )
