"""Recipes: pictures made of two faces each, with what the teacher says of just that picture.

A few thousand people are too few to learn from what tells people apart. Two aligned faces laid over each other, or
one's upper half on another's lower, are somebody new, and the teacher can be asked who. Making the recipes takes the
teacher's time once; training then reads them as often as it likes:
`python -m rollcall_model.recipes --crops RUN/crops --out RUN/recipes.npz`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from rollcall_model import data, runtime

#: How a recipe joins its faces: one alone; both over each other; one above or beside the other.
ALONE, OVER, ABOVE, BESIDE = range(4)
_KINDS: Final = (0.3, 0.4, 0.2, 0.1)
#: Width of the seam between two halves, as a share of the picture.
_SEAM: Final = 0.12


class Recipes(NamedTuple):
    """n pictures; face 0 is the one that is mostly seen."""

    rows: Int32[np.ndarray, "n 2"]  # of the stored crops
    mirrored: Bool[np.ndarray, "n 2"]
    kind: UInt8[np.ndarray, " n"]
    share: Float32[np.ndarray, " n"]  # of face 0; where halves meet, what is above or left of the seam
    teacher: Float32[np.ndarray, "n 128"]  # unit length, see data.COMMON


def draw(faces: data.Faces, weight: np.ndarray, labelled: float, count: int, seed: int) -> Recipes:
    """Return recipes without the teacher's word; a share `labelled` of them is of faces with an age.

    `weight` says how often each labelled training face is drawn, in the order of their rows.
    """
    rng = np.random.default_rng(seed)
    train = faces.where(split="train")
    known = train[faces.ages[train, 0] != data.UNKNOWN]
    others = np.setdiff1d(train, known)
    of_known = rng.random(count) < (labelled if len(others) else 1.0)
    first = np.where(of_known, rng.choice(known, count, p=weight), rng.choice(others if len(others) else known, count))
    # Partners are drawn as they come: what is mostly seen is balanced.
    second = np.where(of_known, rng.choice(known, count), rng.choice(others if len(others) else known, count))
    kind = rng.choice(len(_KINDS), count, p=_KINDS).astype(np.uint8)
    share = rng.uniform(0.5, 0.9, count)
    share[kind == ABOVE] = rng.uniform(0.5, 0.65, int((kind == ABOVE).sum()))
    share[kind == BESIDE] = rng.uniform(0.5, 0.65, int((kind == BESIDE).sum()))
    share[kind == ALONE] = 1.0
    return Recipes(
        np.stack([first, second], 1).astype(np.int32),
        rng.random((count, 2)) < 0.5,
        kind,
        share.astype(np.float32),
        np.zeros((count, 128), np.float32),
    )


def picture(
    crops: UInt8[np.ndarray, "m s s 3"], rows: np.ndarray, mirrored: np.ndarray, kind: int, share: float
) -> UInt8[np.ndarray, "s s 3"]:
    """Return the picture of one recipe."""
    first, second = (crop[:, ::-1] if flip else crop for crop, flip in zip(crops[rows], mirrored, strict=True))
    if kind == ALONE:
        return np.ascontiguousarray(first)
    if kind == OVER:
        mask: np.ndarray | float = share
    else:
        place = (np.arange(first.shape[0]) + 0.5) / first.shape[0]
        edge = np.clip((share - place) / _SEAM + 0.5, 0, 1).astype(np.float32)
        mask = edge[:, None, None] if kind == ABOVE else edge[None, :, None]
    return np.rint(mask * first.astype(np.float32) + (1 - mask) * second.astype(np.float32)).astype(np.uint8)


def load(paths: Sequence[Path]) -> Recipes:
    """Return what `main` wrote, the recipes of all files that the teacher was asked about."""
    parts = []
    for path in paths:
        with np.load(path) as archive:
            asked = np.flatnonzero(np.abs(archive["teacher"]).sum(1) > 0)
            parts.append([archive[name][asked] for name in Recipes._fields])
    rows, mirrored, kind, share, words = (np.concatenate(part) for part in zip(*parts, strict=True))
    teacher = words.astype(np.float32)
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    teacher -= data.COMMON * teacher.mean(0)
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    return Recipes(rows, mirrored, kind, share, teacher)


@click.command()
@click.option("--crops", "folder", type=click.Path(path_type=Path, exists=True), required=True, help="Aligned crops.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The file to write; it can be gone on with."
)
@click.option("--count", default=120_000, show_default=True, help="How many recipes.")
@click.option("--labelled", default=0.6, show_default=True, help="Share of them made of faces with an age.")
@click.option("--balance", default=0.4, show_default=True, help="0: ages as they come; 1: every age as often.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option("--every", default=20_000, show_default=True, help="Recipes between two times of writing.")
def main(folder: Path, out: Path, count: int, labelled: float, balance: float, seed: int, every: int) -> None:
    """Draw recipes and ask the teacher about each."""
    runtime.configure(out.parent / "compiled")
    from rollcall_model.teacher import Teacher
    from rollcall_model.train import sampling

    faces = data.load(folder)
    train = faces.where(split="train")
    known = train[faces.ages[train, 0] != data.UNKNOWN]
    recipes = draw(faces, sampling(faces, known, balance), labelled, count, seed)
    words = np.zeros((count, 128), np.float16)
    done = 0
    if out.exists():
        with np.load(out) as archive:
            if len(archive["teacher"]) == count and np.array_equal(archive["rows"], recipes.rows):
                words = archive["teacher"].copy()
                done = int((np.abs(words).sum(1) > 0).sum())
    teacher = Teacher()
    began, first = time.perf_counter(), done
    while done < count:
        part = range(done, min(done + teacher.batch, count))
        pictures = np.stack(
            [
                picture(faces.crops, recipes.rows[i], recipes.mirrored[i], recipes.kind[i], recipes.share[i])
                for i in part
            ]
        )
        words[part.start : part.stop] = teacher(pictures, data.CROP / data.STORED)
        done = part.stop
        if done // every != part.start // every or done == count:
            unfinished = out.with_name(out.stem + ".part.npz")
            np.savez(unfinished, **recipes._replace(teacher=words)._asdict())
            unfinished.replace(out)
            rate = (done - first) / (time.perf_counter() - began)
            click.echo(f"{done:,} of {count:,}, {rate:.0f} a second")


if __name__ == "__main__":
    main()
