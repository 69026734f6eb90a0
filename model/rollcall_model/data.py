"""Labelled faces: readers for the public sets, and the aligned crops that training reads.

`prepare` runs the product's own detector over every picture once and keeps the aligned crops in one
memory-mapped file, somewhat wider than the network's crop, so that training can turn and shift them.
A reader yields `Sample`s; unknown labels are None, so that sets with ages, sets with genders and sets
with identities only can be mixed.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int16, UInt8

from rollcall_model import align, runtime
from rollcall_model.types import Detections, nearest_centre

#: Side of the network's crop, and of the stored one, in pixels; both show the face at the same size.
CROP: Final = 80
STORED: Final = 104
UNKNOWN: Final = -1
#: How much of what all faces have in common is taken from the teacher's words. All lie in one narrow cone of its
#: space: untouched, 0.9 of every cosine says only "a face", and a student learns little else. Taken away wholly, a
#: blurred face, of which the teacher says little, gets as long a word as a clear one, and LFW's pairs (validation)
#: are told apart less well: 98.4 % untouched, 98.2 % with half, 97.5 % with all of it taken away.
COMMON: Final = 0.5


class Sample(NamedTuple):
    """One labelled picture of one face."""

    source: str  # the set: also the name of its folder
    file: str  # relative to the folder
    split: str  # "train" or "val"
    age: tuple[int, int] | None = None  # completed years, from and to; equal when known exactly
    female: bool | None = None
    identity: str = ""
    group: str = ""  # the set's own label of ethnicity, for measuring gaps only

    @property
    def name(self) -> str:
        """Folder and file, as the teacher's embeddings name them."""
        return f"{self.source}/{self.file}"


def read_utkface_names(folder: Path, source: str = "utkface") -> Iterator[Sample]:
    """Read labels from UTKFace's file names: age_gender_race_date.jpg; every twentieth is for validation."""
    races = ("white", "black", "asian", "indian", "other")
    for number, path in enumerate(sorted(folder.iterdir())):
        parts = path.name.split("_")
        if len(parts) < 4 or not (parts[0].isdigit() and parts[1] in "01" and parts[2] in "01234"):
            continue  # a handful of the published names lack a field
        age = int(parts[0])
        split = "val" if number % 20 == 0 else "train"
        yield Sample(source, path.name, split, (age, age), parts[1] == "1", group=races[int(parts[2])])


def read_csv(table: Path, source: str) -> Iterator[Sample]:
    """Read a table with the columns file and split, and any of age, gender, ethnicity and identity."""
    with table.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            age = (int(row["age"]), int(row["age"])) if row.get("age") else None
            female = row["gender"] == "female" if row.get("gender") else None
            yield Sample(
                source, row["file"], row["split"], age, female, row.get("identity") or "", row.get("ethnicity") or ""
            )


def read_fairface(table: Path, source: str = "fairface") -> Iterator[Sample]:
    """Read FairFace's table (file, age as a range, gender, race); its folder says train or val."""
    with table.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            yield Sample(
                source,
                row["file"],
                "val" if row["file"].startswith("val") else "train",
                _years(row["age"]),
                row["gender"].lower() == "female",
                group=row.get("race", ""),
            )


def read_adience(folds: Sequence[Path], source: str = "adience", val_fold: int = 4) -> Iterator[Sample]:
    """Read Adience's tab-separated fold files; the fold `val_fold` is for validation."""
    for number, fold in enumerate(folds):
        with fold.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                file = f"{row['user_id']}/coarse_tilt_aligned_face.{row['face_id']}.{row['original_image']}"
                female = {"f": True, "m": False}.get(row["gender"])
                yield Sample(
                    source, file, "val" if number == val_fold else "train", _years(row["age"]), female, row["user_id"]
                )


def _years(text: str) -> tuple[int, int] | None:
    """Return a range of years from "3-9", "(25, 32)", "more than 70" or "35"; None where there is none."""
    digits = [int(part) for part in "".join(c if c.isdigit() else " " for c in text).split()]
    if not digits:
        return None
    if len(digits) == 1:
        return (digits[0], 100) if "more" in text else (digits[0], digits[0])
    return digits[0], digits[1]


def shared_samples(folder: Path) -> list[Sample]:
    """Return the samples of the sets in `folder`: utkface, lfw and celeba, each a table and a tar."""
    return [sample for name in ("utkface", "lfw", "celeba") for sample in read_csv(folder / f"{name}-dev.csv", name)]


def shared_opener(folder: Path) -> Callable[[Sample], bytes]:
    """Return a function that gives a sample's file from the tars of `folder`."""
    tars: dict[str, tarfile.TarFile] = {}

    def read(sample: Sample) -> bytes:
        if sample.source not in tars:
            tars[sample.source] = tarfile.open(folder / f"{sample.source}-dev.tar")  # noqa: SIM115 (kept open)
        file = tars[sample.source].extractfile(sample.name)
        assert file is not None, sample.name
        return file.read()

    return read


class Faces(NamedTuple):
    """Aligned crops with their labels; row i of every array is one face."""

    crops: UInt8[np.ndarray, "n s s 3"]  # memory-mapped
    detected: Bool[np.ndarray, " n"]
    samples: list[Sample]
    teacher: Float32[np.ndarray, "n 2 128"]  # unit length (see COMMON), of picture and mirror image; 0: unknown

    @property
    def ages(self) -> Int16[np.ndarray, "n 2"]:
        """Completed years, from and to; UNKNOWN where there is no label."""
        return np.array([s.age or (UNKNOWN, UNKNOWN) for s in self.samples], np.int16).reshape(-1, 2)

    @property
    def female(self) -> Int16[np.ndarray, " n"]:
        """1, 0, or UNKNOWN."""
        return np.array([UNKNOWN if s.female is None else int(s.female) for s in self.samples], np.int16)

    def where(self, source: str | None = None, split: str | None = None) -> np.ndarray:
        """Return the rows of one set and split."""
        return np.array(
            [i for i, s in enumerate(self.samples) if source in (None, s.source) and split in (None, s.split)], np.int64
        )


def prepare(
    samples: Sequence[Sample],
    read: Callable[[Sample], bytes],
    detect: Callable[[Sequence[UInt8[np.ndarray, "h w 3"]]], Iterable[Detections]],
    folder: Path,
    progress: Callable[[int, int], Any] = lambda done, total: None,
) -> None:
    """Detect, align and store every sample's face under `folder` (crops.npy and samples.jsonl)."""
    folder.mkdir(parents=True, exist_ok=True)
    crops = np.lib.format.open_memmap(
        folder / "crops.npy", mode="w+", dtype=np.uint8, shape=(len(samples), STORED, STORED, 3)
    )
    with ThreadPoolExecutor(runtime.processors()) as threads, (folder / "samples.jsonl.part").open("w") as lines:
        for start in range(0, len(samples), 128):
            part = samples[start : start + 128]
            data = [np.frombuffer(read(sample), np.uint8) for sample in part]
            pictures = [
                np.asarray(picture)[..., ::-1].copy()
                for picture in threads.map(lambda d: cv2.imdecode(d, cv2.IMREAD_COLOR), data)
            ]
            for offset, (sample, picture, found) in enumerate(zip(part, pictures, detect(pictures), strict=True)):
                height, width = picture.shape[:2]
                seen = len(found.scores) > 0
                landmarks = (
                    found.landmarks[nearest_centre(found, height, width)]
                    if seen
                    else align.central_landmarks(height, width)
                )
                crops[start + offset] = align.crop(picture, landmarks, STORED, zoom=CROP / STORED)
                lines.write(json.dumps([*sample, seen]) + "\n")
            progress(min(start + 128, len(samples)), len(samples))
    crops.flush()
    (folder / "samples.jsonl.part").replace(folder / "samples.jsonl")


def load(folder: Path, teacher: Path | None = None) -> Faces:
    """Return what `prepare` stored; `teacher` is the archive of the teacher's embeddings."""
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    samples = [Sample(*row[:3], tuple(row[3]) if row[3] else None, *row[4:7]) for row in rows]  # type: ignore[call-arg]
    wanted = np.zeros((len(rows), 2, 128), np.float32)
    if teacher is not None:
        with np.load(io.BytesIO(teacher.read_bytes())) as archive:
            index = {name: i for i, name in enumerate(archive["name"].tolist())}
            both = np.stack([archive["embedding"], archive["embedding_flip"]], axis=1).astype(np.float32)
        for i, sample in enumerate(samples):
            if sample.name in index:
                wanted[i] = both[index[sample.name]]
        wanted /= np.maximum(np.linalg.norm(wanted, axis=-1, keepdims=True), 1e-9)
        known = np.array([s.split == "train" and s.name in index for s in samples])
        wanted[np.abs(wanted).sum((1, 2)) > 0] -= COMMON * wanted[known].mean((0, 1))
        norm = np.linalg.norm(wanted, axis=-1, keepdims=True)
        wanted = np.divide(wanted, norm, out=wanted, where=norm > 0)
    return Faces(
        np.load(folder / "crops.npy", mmap_mode="r"), np.array([row[7] for row in rows], bool), samples, wanted
    )
