"""How long grouping takes, and how much memory: `OPENBLAS_NUM_THREADS=1 python benchmarks/people.py [FACES] [WEAK]`.

WEAK is the share of faces that are weak (small, blurred or turned): they are less like their person, and attached last.
The embeddings are drawn: people of very different numbers of photos, half of the faces strangers who are seen once.
They are drawn into a file by another process, so that the memory is that of grouping and of its faces alone. Times are
of one processor, as its clock counts them, so that other work on the machine does not count.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rollcall.people.clusters import NEIGHBOURS, Faces, cluster
from rollcall.people.neighbours import PROBES, cells_of, neighbours

#: The share of faces that are seen once, and the most photos of one person.
STRANGERS = 0.5
MOST = 5_000
#: Cosine of a drawn face and the mean of its person.
NEARNESS = 0.75
WEAK_NEARNESS = 0.7


def draw(count: int, share: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return embeddings (n, 128) as float16, who they are, (n,), and whether they are weak, (n,), by their share."""
    weak = np.random.default_rng([seed, 1]).random(count) < share
    nearness = np.where(weak, WEAK_NEARNESS, NEARNESS).astype(np.float32)[:, None]
    random = np.random.default_rng(seed)
    sizes = [1] * int(count * STRANGERS)
    total = len(sizes)
    while total < count:
        sizes.append(int(min(2 + random.pareto(1.1) * 4, MOST, count - total)) or 1)
        total += sizes[-1]
    person = random.permutation(np.repeat(np.arange(len(sizes)), sizes)[:count])
    centres = random.standard_normal((len(sizes), 128), np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = np.empty((count, 128), np.float16)
    for start in range(0, count, 20_000):
        rows = slice(start, start + 20_000)
        noise = random.standard_normal((len(person[rows]), 128), np.float32)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        one = nearness[rows] * centres[person[rows]] + np.sqrt(1 - nearness[rows] ** 2) * noise
        vectors[rows] = one / np.linalg.norm(one, axis=1, keepdims=True)
    return vectors, person, weak


def recall(vectors: np.ndarray, person: np.ndarray, count: int = 500) -> float:
    """Return the share of the true nearest neighbours of the same person that the inverted file finds."""
    found = neighbours(vectors, NEIGHBOURS).faces[:count]
    cosines = np.asarray(vectors[:count], np.float32) @ np.asarray(vectors, np.float32).T
    cosines[np.arange(count), np.arange(count)] = -1
    true = np.argpartition(-cosines, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    shares = []
    for row in range(count):
        same = {one for one in true[row].tolist() if person[one] == person[row]}
        if same:
            shares.append(len(same & {*found[row].tolist()}) / len(same))
    return float(np.mean(shares))


def peak() -> float:
    """Return the most memory that this process had since the last call, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return most / 1024


def write(count: int, share: float, folder: Path) -> None:
    """Draw faces into files of a folder."""
    for name, column in zip(("vectors", "person", "weak"), draw(count, share), strict=True):
        np.save(folder / f"{name}.npy", column)


def drawn_elsewhere(count: int, share: float) -> tuple[np.ndarray, ...]:
    """Return what another process drew."""
    with tempfile.TemporaryDirectory() as name:
        process = multiprocessing.get_context("spawn").Process(target=write, args=(count, share, Path(name)))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"drawing ended with {process.exitcode}")
        return tuple(np.load(Path(name) / f"{one}.npy") for one in ("vectors", "person", "weak"))


def main(count: int, share: float) -> None:
    """Print the figures for so many faces."""
    vectors, person, weak = drawn_elsewhere(count, share)
    print(f"before grouping, with its faces: {peak():,.0f} MiB")
    began = time.process_time()
    cells = cells_of(vectors)
    print(f"{count:,} faces, {len(cells.centroids):,} cells, {PROBES} of them for each face")
    print(f"dividing:   {time.process_time() - began:7.1f} s")
    began = time.process_time()
    neighbours(vectors, NEIGHBOURS)
    print(f"neighbours: {time.process_time() - began:7.1f} s, {peak():,.0f} MiB")
    began = time.process_time()
    found = cluster(Faces(vectors, np.arange(count), weak=weak))
    print(f"grouping:   {time.process_time() - began:7.1f} s, neighbours included", flush=True)
    most = peak()
    inside = found.group >= 0
    pairs = found.group[inside], person[inside]
    _, first = np.unique(np.stack(pairs), axis=1, return_index=True)
    print(f"{len(np.unique(found.group[inside])):,} groups of {inside.sum():,} faces; {len(first):,} people in them")
    if share:
        print(f"of {weak.sum():,} weak faces {(weak & inside).sum():,} are in a group")
    print(f"peak memory of grouping: {most:,.0f} MiB")
    if count <= 200_000:
        print(f"recall of neighbours that are the same person: {recall(vectors, person):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000, float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
