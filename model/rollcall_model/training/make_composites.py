"""Make composites: `python -m rollcall_model.training.make_composites --crops RUN/crops --out RUN/composites.npz`.

Needs the teacher (`pip install face_recognition_models==0.3.0`).
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from rollcall_model import runtime
from rollcall_model.datasets.faces import CROP, STORED, Faces, load
from rollcall_model.training import composites
from rollcall_model.training.composites import Composites
from rollcall_model.training.config import TrainConfig
from rollcall_model.training.sampling import sampling_weights
from rollcall_model.training.teacher import Teacher
from rollcall_model.types import EMBEDDING


def unfinished(out: Path, wanted: Composites) -> tuple[np.ndarray, int]:
    """Return the embeddings in `out`, where it holds the same composites, and how many are done."""
    embeddings = np.zeros((len(wanted.ratio), EMBEDDING), np.float16)
    if out.exists():
        with np.load(out) as archive:
            if np.array_equal(archive["rows"], wanted.rows):
                embeddings = archive["teacher"].copy()
    return embeddings, int((np.abs(embeddings).sum(1) > 0).sum())


def embed(faces: Faces, wanted: Composites, rows: range, teacher: Teacher) -> np.ndarray:
    """Return the teacher's embeddings of some composites, (n, 128)."""
    pictures = [
        composites.picture(faces.crops, wanted.rows[i], wanted.mirrored[i], wanted.kind[i], wanted.ratio[i])
        for i in rows
    ]
    return teacher(np.stack(pictures), CROP / STORED)


@click.command()
@click.option("--crops", "folder", type=click.Path(path_type=Path, exists=True), required=True, help="Aligned crops.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write; it can be resumed.")
@click.option("--count", default=120_000, show_default=True, help="Number of composites.")
@click.option("--labelled-ratio", default=0.6, show_default=True, help="Ratio of faces with an age label.")
@click.option(
    "--resampling-exponent",
    default=TrainConfig().resampling_exponent,
    show_default=True,
    help="0: ages at their frequency; 1: every age equally often.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option("--every", default=20_000, show_default=True, help="Composites between two writes.")
def main(
    folder: Path, out: Path, count: int, labelled_ratio: float, resampling_exponent: float, seed: int, every: int
) -> None:
    """Draw composites and compute the teacher's embedding of each."""
    runtime.configure(out.parent / "compiled")
    faces = load(folder)
    weight = sampling_weights(faces, faces.with_age(faces.where(split="train")), resampling_exponent)
    wanted = composites.draw(faces, weight, labelled_ratio, count, seed)
    embeddings, done = unfinished(out, wanted)
    teacher = Teacher()
    began, first = time.perf_counter(), done
    while done < count:
        rows = range(done, min(done + teacher.batch, count))
        embeddings[rows.start : rows.stop] = embed(faces, wanted, rows, teacher)
        done = rows.stop
        if done // every != rows.start // every or done == count:
            composites.save(out, wanted._replace(teacher=embeddings))
            click.echo(f"{done:,} of {count:,}, {(done - first) / (time.perf_counter() - began):.0f} a second")


if __name__ == "__main__":
    main()
