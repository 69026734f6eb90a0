"""Pairs of faces of one or of two people, for verification (LFW's protocol)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rollcall_model.datasets.faces import Faces

#: The pairs among the default data sets, and the set that they are of.
PAIRS_FILE: Final = "lfw-dev-pairs.csv"
PAIRS_SOURCE: Final = "lfw"


class Pairs(NamedTuple):
    """m pairs of rows of an array of embeddings."""

    a: Int[np.ndarray, " m"]
    b: Int[np.ndarray, " m"]
    same: Bool[np.ndarray, " m"]  # whether both are of one person
    fold: Int[np.ndarray, " m"]

    def cosine_similarities(self, embedding: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " m"]:
        """Return the cosine similarity of each pair; embeddings are of unit length."""
        return (embedding[self.a] * embedding[self.b]).sum(axis=1)


def read_pairs(file: Path, rows: dict[str, int]) -> Pairs:
    """Return the pairs of a table (fold, a, b, same) both of whose files are in `rows`, file name to row."""
    with file.open(newline="", encoding="utf-8") as lines:
        table = [row for row in csv.DictReader(lines) if row["a"] in rows and row["b"] in rows]
    return Pairs(
        np.array([rows[row["a"]] for row in table], np.int64),
        np.array([rows[row["b"]] for row in table], np.int64),
        np.array([row["same"] == "1" for row in table], bool),
        np.array([int(row["fold"]) for row in table], np.int64),
    )


def pairs_of(faces: Faces, selected: Int[np.ndarray, " m"], folder: Path | None) -> Pairs | None:
    """Return the pairs among the selected faces, as positions in `selected`; None without a file or without pairs.

    `folder` is the folder of the data sets.
    """
    if folder is None or not (folder / PAIRS_FILE).exists():
        return None
    samples = [faces.samples[row] for row in selected]
    rows = {sample.file: i for i, sample in enumerate(samples) if sample.source == PAIRS_SOURCE}
    pairs = read_pairs(folder / PAIRS_FILE, rows)
    return pairs if len(pairs.a) else None
