"""Composites: pictures made of two faces each, with the teacher's embedding of that very picture.

A few thousand people are too few to learn identity from. A blend of two aligned faces (mixup, Zhang et al. 2018), or
the upper half of one on the lower half of another (in the manner of CutMix, Yun et al. 2019), is a new identity that
the teacher can embed. `make_composites` runs the teacher once; training then reads the file as often as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, UInt8

from rollcall_model.datasets.faces import CENTRING, Faces
from rollcall_model.types import EMBEDDING

#: How a composite combines its faces: the first alone; a blend; the first above, or left of, the second.
SINGLE, BLEND, ABOVE, BESIDE = range(4)
_PROBABILITIES: Final = (0.3, 0.4, 0.2, 0.1)
#: Width of the soft seam between two halves, as a fraction of the picture.
_SEAM: Final = 0.12
#: Ranges of the first face's ratio in a blend, and in a picture of two halves.
_BLEND_RATIO: Final = (0.5, 0.9)
_HALVES_RATIO: Final = (0.5, 0.65)


class Composites(NamedTuple):
    """n pictures of two faces each; the first one is the more visible."""

    rows: Int32[np.ndarray, "n 2"]  # of the stored crops
    mirrored: Bool[np.ndarray, "n 2"]
    kind: UInt8[np.ndarray, " n"]
    ratio: Float32[np.ndarray, " n"]  # of the first face: its weight in a blend, else the place of the seam
    teacher: Float32[np.ndarray, "n 128"]  # unit length, centred (see `datasets.faces.CENTRING`)


def draw(faces: Faces, weight: Float[np.ndarray, " m"], labelled_ratio: float, count: int, seed: int) -> Composites:
    """Return random composites of training faces without the teacher's embeddings.

    A fraction `labelled_ratio` is of faces with an age label; `weight` are the sampling probabilities of the labelled
    training faces, in the order of their rows.
    """
    rng = np.random.default_rng(seed)
    train = faces.where(split="train")
    labelled = faces.with_age(train)
    others = np.setdiff1d(train, labelled)
    unlabelled = others if len(others) else labelled
    of_labelled = rng.random(count) < (labelled_ratio if len(others) else 1.0)
    first = np.where(of_labelled, rng.choice(labelled, count, p=weight), rng.choice(unlabelled, count))
    # The second face is sampled uniformly: the first, more visible one decides the balance of ages.
    second = np.where(of_labelled, rng.choice(labelled, count), rng.choice(unlabelled, count))
    kind = rng.choice(len(_PROBABILITIES), count, p=_PROBABILITIES).astype(np.uint8)
    ratio = rng.uniform(*_BLEND_RATIO, count)
    for halves in (ABOVE, BESIDE):
        ratio[kind == halves] = rng.uniform(*_HALVES_RATIO, int((kind == halves).sum()))
    ratio[kind == SINGLE] = 1.0
    return Composites(
        np.stack([first, second], 1).astype(np.int32),
        rng.random((count, 2)) < 0.5,
        kind,
        ratio.astype(np.float32),
        np.zeros((count, EMBEDDING), np.float32),
    )


def picture(
    crops: UInt8[np.ndarray, "m s s 3"],
    rows: Int[np.ndarray, " 2"],
    mirrored: Bool[np.ndarray, " 2"],
    kind: int,
    ratio: float,
) -> UInt8[np.ndarray, "s s 3"]:
    """Return the picture of one composite."""
    first, second = (crop[:, ::-1] if flip else crop for crop, flip in zip(crops[rows], mirrored, strict=True))
    if kind == SINGLE:
        return np.ascontiguousarray(first)
    if kind == BLEND:
        mask: np.ndarray | float = ratio
    else:
        position = (np.arange(first.shape[0]) + 0.5) / first.shape[0]
        edge = np.clip((ratio - position) / _SEAM + 0.5, 0, 1).astype(np.float32)
        mask = edge[:, None, None] if kind == ABOVE else edge[None, :, None]
    return np.rint(mask * first.astype(np.float32) + (1 - mask) * second.astype(np.float32)).astype(np.uint8)


def load(paths: Sequence[Path]) -> Composites:
    """Return the composites of all files that have a teacher's embedding, centred and scaled to unit length."""
    parts = []
    for path in paths:
        with np.load(path) as archive:
            embedded = np.flatnonzero(np.abs(archive["teacher"]).sum(1) > 0)
            parts.append([archive[name][embedded] for name in Composites._fields])
    rows, mirrored, kind, ratio, embeddings = (np.concatenate(part) for part in zip(*parts, strict=True))
    teacher = embeddings.astype(np.float32)
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    teacher -= CENTRING * teacher.mean(0)
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    return Composites(rows, mirrored, kind, ratio, teacher)


def save(path: Path, composites: Composites) -> None:
    """Write composites to `path`, atomically."""
    temporary = path.with_name(path.stem + ".part.npz")
    np.savez(temporary, **composites._asdict())
    temporary.replace(path)
