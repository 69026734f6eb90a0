"""Databases of any size without any photo: rows as an index run writes them, drawn at random.

Ages, genders and identities follow a simple population; a fifth of the photos show nobody. Everything that is
computed (groups, tags) comes from the product's own functions.

    python benchmarks/rows.py FILE [--faces 100000]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from rollcall import ages
from rollcall.settings import TagSettings
from rollcall.storage.database import Database, open_database
from rollcall.storage.estimates import pack
from rollcall.storage.tables import EmbeddingRow, FaceRow, PhotoGroupRow, PhotoRow, PredictionRow, RootRow, TagRow
from rollcall.tags.rules import FaceProbabilities, automatic_tags, group_probabilities, tag_rules

KINDS = 2000  # different faces as far as age and gender go
VERSION = "benchmark-1"
PART = 20_000  # photos in one transaction
DIMENSION = 128
MADE_AT = "2026-01-01T00:00:00.000Z"
LANDMARKS = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]
#: Rows to insert, by table.
Rows = dict[Any, list[dict[str, Any]]]


def fill(file: Path, faces: int, seed: int = 0) -> Database:
    """Return a database of so many faces, made unless it is there already."""
    made = file.exists()
    database = open_database(str(file))
    if not made:
        _fill(database, faces, np.random.default_rng(seed))
        with database.engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
    return database


def _kinds(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return the columns of predictions of many kinds of people."""
    found = []
    for _ in range(KINDS):
        centre, spread = (
            rng.choice([6, 16, 33, 50, 70], p=[0.2, 0.1, 0.4, 0.2, 0.1]) + rng.normal(0, 6),
            rng.uniform(2, 9),
        )
        distribution = np.exp(-0.5 * ((np.arange(ages.AGES) - np.clip(centre, 0, 95)) / spread) ** 2)
        distribution /= distribution.sum()
        low, high = ages.interval(distribution)
        groups = {name: float(ages.mass(distribution, g.low, g.high)) for name, g in ages.AGE_GROUPS.items()}
        found.append(
            {
                "model_version": VERSION,
                "age_distribution": pack(distribution),
                "age": float(ages.estimate(distribution)),
                "age_low": low,
                "age_high": high,
                "p_female": float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.85, 1)])),
                **{f"p_{name}": p for name, p in groups.items()},
            }
        )
    return found


def _identities(rng: np.random.Generator, faces: int) -> Iterator[np.ndarray]:
    """Yield unit vectors in parts: each person's faces lie around one direction."""
    people = rng.normal(size=(max(faces // 200, 10), DIMENSION)).astype(np.float32)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    while True:
        vectors = people[rng.integers(0, len(people), PART)] + rng.normal(0, 0.06, (PART, DIMENSION)).astype(np.float32)
        yield (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f2")


def _fill(database: Database, faces: int, rng: np.random.Generator) -> None:
    with database.write() as session:
        session.add(RootRow(id=1, path="/benchmark", added_at=MADE_AT))
    population = _Population(rng, faces)
    while population.face_id < faces:
        rows = population.part(faces)
        with database.write() as session:
            for table, some in rows.items():
                if some:
                    session.connection().execute(insert(table.__table__), some)


class _Population:
    """Draws photos with their faces, numbered in one sequence."""

    def __init__(self, rng: np.random.Generator, faces: int) -> None:
        self.rng = rng
        self.rules = tag_rules(TagSettings())
        self.kinds = _kinds(rng)
        self.probabilities = [
            FaceProbabilities(**{name: kind[name] for name in FaceProbabilities._fields}) for kind in self.kinds
        ]
        self.identities = _identities(rng, faces)
        self.vectors: list[bytes] = []
        self.photo_id = self.face_id = 0

    def part(self, faces: int) -> Rows:
        """Return the rows of the next photos: of `PART`, or fewer when there are `faces` faces in all."""
        rows: Rows = {table: [] for table in (PhotoRow, FaceRow, PredictionRow, EmbeddingRow, PhotoGroupRow, TagRow)}
        for _ in range(PART):
            count = int(self.rng.choice([0, 1, 2, 3, 5, 8], p=[0.2, 0.4, 0.2, 0.1, 0.07, 0.03]))
            kinds = self.rng.integers(0, KINDS, count).tolist()
            self._add_photo(rows, count)
            for kind in kinds:
                self._add_face(rows, kind)
            self._add_groups_and_tags(rows, kinds)
            if self.face_id >= faces:
                break
        return rows

    def _add_photo(self, rows: Rows, count: int) -> None:
        self.photo_id += 1
        day = self.rng.integers(0, 365 * 20)
        taken = (np.datetime64("2006-01-01T12:00:00") + np.timedelta64(int(day), "D")).item().isoformat()
        rows[PhotoRow].append(
            {
                "id": self.photo_id,
                "root_id": 1,
                "path": f"{taken[:4]}/{taken[5:7]}/IMG_{self.photo_id:07}.jpg",
                "size": 4_000_000 + self.photo_id,
                "mtime_ns": self.photo_id,
                "content_hash": f"{self.photo_id:032x}",
                "width": 4032,
                "height": 3024,
                "orientation": 1,
                "taken_local": taken,
                "state": "indexed",
                "model_version": VERSION,
                "indexed_at": MADE_AT,
                "face_count": count,
                "reviewed": False,
            }
        )

    def _add_face(self, rows: Rows, kind: int) -> None:
        self.face_id += 1
        x, y = self.rng.uniform(0, 0.8, 2).tolist()
        rows[FaceRow].append(
            {
                "id": self.face_id,
                "photo_id": self.photo_id,
                "x": x,
                "y": y,
                "width": 0.1,
                "height": 0.13,
                "landmarks": LANDMARKS,
                "score": 0.99,
                "sharpness": 200.0,
                "detected": True,
                "present": True,
                "drawn": False,
            }
        )
        rows[PredictionRow].append({"face_id": self.face_id, **self.kinds[kind]})
        if not self.vectors:
            self.vectors = [vector.tobytes() for vector in next(self.identities)]
        vector = self.vectors.pop()
        rows[EmbeddingRow].append(
            {"face_id": self.face_id, "model_version": VERSION, "dimension": DIMENSION, "vector": vector}
        )

    def _add_groups_and_tags(self, rows: Rows, kinds: list[int]) -> None:
        groups = group_probabilities([self.probabilities[kind] for kind in kinds])
        rows[PhotoGroupRow] += [
            {"photo_id": self.photo_id, "name": name, "at_least": n, "probability": p}
            for name, chances in groups.items()
            for n, p in enumerate(chances, 1)
        ]
        rows[TagRow] += [
            {
                "photo_id": self.photo_id,
                "name": tag.name,
                "source": "auto",
                "probability": tag.probability,
                "state": tag.state,
                "created_at": MADE_AT,
            }
            for tag in automatic_tags(groups, len(kinds), self.rules)
        ]


def main() -> None:
    """Write one database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--faces", type=int, default=100_000)
    given = parser.parse_args()
    fill(given.file, given.faces).close()
    print(f"{given.file}: {given.file.stat().st_size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
