"""Batches of augmented faces with their targets. Step n's batch depends on the seed and n alone."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Array, Float32, Int, Int32, UInt8

from rollcall_model import runtime
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import Faces
from rollcall_model.datasets.samples import UNKNOWN
from rollcall_model.training import augment
from rollcall_model.training.composites import SINGLE, Composites, picture
from rollcall_model.training.config import TrainConfig
from rollcall_model.training.sampling import mixup_partners, sampling_weights
from rollcall_model.training.soft_labels import SoftLabels, no_soft_labels

T = TypeVar("T")


class Batch(NamedTuple):
    """The faces of one step. Missing labels are -1; missing embeddings and soft labels are 0.

    A picture may show two faces: `ratio` of the first and the rest of the second, with the labels of both. What is made
    on the devices (see `device_batches`) stays there.
    """

    crops: UInt8[np.ndarray | Array, "n s s 3"]
    ages: Int32[np.ndarray | Array, "n 2 2"]  # face, from and to
    female: Float32[np.ndarray | Array, "n 2"]
    teacher: Float32[np.ndarray | Array, "n 128"]  # unit length; of a mixup, the blend of both
    ratio: Float32[np.ndarray | Array, " n"]
    soft_age: Float32[np.ndarray | Array, "n 101"]  # of a picture of two faces, blended
    soft_female: Float32[np.ndarray | Array, " n"]


class _Labels:
    """The labels of all faces, and batches made of them."""

    def __init__(self, faces: Faces, soft: SoftLabels | None) -> None:
        self.ages, self.female = faces.ages.astype(np.int32), faces.female.astype(np.float32)
        self._soft = soft

    def batch(
        self,
        crops: UInt8[np.ndarray, "n s s 3"],
        teacher: Float32[np.ndarray, "n 128"],
        first: Int[np.ndarray, " n"],
        second: Int[np.ndarray, " n"],
        ratio: Float32[np.ndarray, " n"],
    ) -> Batch:
        """Return a batch of pictures of `first` and `second`, rows of the faces."""
        soft = no_soft_labels(len(first))
        if self._soft is not None:
            soft = self._soft.take(first).blend(self._soft.take(second), ratio)
        return Batch(
            crops,
            np.stack([self.ages[first], self.ages[second]], 1),
            np.stack([self.female[first], self.female[second]], 1),
            teacher,
            ratio,
            *soft,
        )


def mixup_batches(
    faces: Faces, config: TrainConfig, size: int, start: int, soft: SoftLabels | None = None
) -> Iterator[Batch]:
    """Yield batches of training faces, some blended (mixup, Zhang et al. 2018), from step `start` on.

    `size` is the side of the crops in pixels.
    """
    train = faces.where(split="train")
    labelled = faces.with_age(train)
    others = np.setdiff1d(train, labelled)
    weight = sampling_weights(faces, labelled, config.resampling_exponent, dict(config.shares))
    labels = _Labels(faces, soft)
    count = config.batch if not len(others) else round(config.batch * config.labelled_ratio)

    def one(row: int, seed: np.random.SeedSequence) -> tuple[np.ndarray, bool]:
        rng = np.random.default_rng(seed)
        crop = augment.augment(faces.crops[row], size, stored.CROP / size, rng, config.augmentation_strength)
        mirrored = bool(rng.random() < 0.5)
        return (crop[:, ::-1] if mirrored else crop), mirrored

    def make(rng: np.random.Generator, seeds: list[np.random.SeedSequence], threads: ThreadPoolExecutor) -> Batch:
        parts = [rng.choice(labelled, count, p=weight)]
        if len(others):
            parts.append(rng.choice(others, config.batch - count))
        # Shuffled, so that every device gets labelled and unlabelled faces.
        rows = rng.permutation(np.concatenate(parts).astype(np.int64))
        augmented, mirrored = zip(*threads.map(one, rows, seeds), strict=True)
        crops, teacher = np.stack(augmented), faces.teacher[rows, np.asarray(mirrored, np.int64)]
        partner = mixup_partners(labels.ages[rows, 0] != UNKNOWN, rng)
        mixed = rng.random(len(rows)) < config.mixup_ratio
        ratio = np.where(mixed, rng.uniform(0.5, 1, len(rows)), 1).astype(np.float32)
        weights = ratio[:, None, None, None]
        blended = ratio[:, None] * teacher + (1 - ratio[:, None]) * teacher[partner]
        blended /= np.maximum(np.linalg.norm(blended, axis=1, keepdims=True), 1e-6)
        pixels = np.rint(weights * crops + (1 - weights) * crops[partner]).astype(np.uint8)
        return labels.batch(pixels, blended, rows, rows[partner], ratio)

    return _steps(config, start, make)


def composite_batches(
    faces: Faces,
    config: TrainConfig,
    size: int,
    start: int,
    composites: Composites,
    soft: SoftLabels | None = None,
) -> Iterator[Batch]:
    """Yield batches of composites, each with the teacher's embedding of that very picture; else as `mixup_batches`."""
    labels = _Labels(faces, soft)

    def one(number: int, seed: np.random.SeedSequence) -> np.ndarray:
        rng = np.random.default_rng(seed)
        face = picture(
            faces.crops,
            composites.rows[number],
            composites.mirrored[number],
            composites.kind[number],
            composites.ratio[number],
        )
        return augment.augment(face, size, stored.CROP / size, rng, config.augmentation_strength)

    single = composites.kind == SINGLE
    kinds = (
        (np.flatnonzero(single), config.single_face_ratio),
        (np.flatnonzero(~single), 1 - config.single_face_ratio),
    )
    usable = [(rows, probability) for rows, probability in kinds if len(rows) and probability > 0]
    bounds = np.cumsum([probability for _, probability in usable])

    def make(rng: np.random.Generator, seeds: list[np.random.SeedSequence], threads: ThreadPoolExecutor) -> Batch:
        which = np.searchsorted(bounds, rng.random(config.batch) * bounds[-1], side="right")
        numbers = np.choose(which, [rng.choice(rows, config.batch) for rows, _ in usable])
        first, second = composites.rows[numbers].T
        crops = np.stack(list(threads.map(one, numbers, seeds)))
        return labels.batch(crops, composites.teacher[numbers], first, second, composites.ratio[numbers])

    return _steps(config, start, make)


def _steps(
    config: TrainConfig,
    start: int,
    make: Callable[[np.random.Generator, list[np.random.SeedSequence], ThreadPoolExecutor], Batch],
) -> Iterator[Batch]:
    """Yield the batches of all steps from `start` on; each face of a step has a seed of its own."""
    with ThreadPoolExecutor(max(runtime.processors() // 2, 1)) as threads:
        for step in range(start, config.steps):
            seeds = np.random.SeedSequence([config.seed, step]).spawn(config.batch + 1)
            yield make(np.random.default_rng(seeds[-1]), seeds[:-1], threads)


def prefetch(source: Iterator[T], depth: int = 6) -> Iterator[T]:
    """Yield the items of `source`, made in another thread up to `depth` in advance; its errors are raised here."""
    waiting: queue.Queue[T | BaseException | None] = queue.Queue(depth)

    def work() -> None:
        try:
            for batch in source:
                waiting.put(batch)
            waiting.put(None)
        except BaseException as error:
            waiting.put(error)

    threading.Thread(target=work, daemon=True).start()
    while (item := waiting.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
