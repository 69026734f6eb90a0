"""Readers for the label formats of public data sets, by name in `FORMATS`.

A reader takes the path of the labels and the name of the set, and yields `Sample`s.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rollcall_model.ages import OLDEST
from rollcall_model.datasets.samples import Sample, Split

#: Every this many-th file of UTKFace, and this one of Adience's folds, is for validation: the sets name no split.
_UTKFACE_VALIDATION: Final = 20
_ADIENCE_VALIDATION_FOLD: Final = 4
#: The same for All-Age-Faces; APPA-REAL's test pictures are for validation.
_ALL_AGE_FACES_VALIDATION: Final = 13
_APPA_REAL_SPLITS: Final[dict[str, Split]] = {"train": "train", "val": "train", "test": "val"}
_UTKFACE_GROUPS: Final = ("white", "black", "asian", "indian", "other")
#: UTKFace's file names: age, gender (0 male, 1 female), group, time. A handful of the published names lack a field.
_UTKFACE_NAME: Final = re.compile(r"(\d+)_([01])_([0-4])_")
#: All-Age-Faces' file names: number, age. The faces up to a number are female.
_ALL_AGE_FACES_NAME: Final = re.compile(r"(\d{5})A(\d+)\.jpg")
_ALL_AGE_FACES_LAST_FEMALE: Final = 7380
#: Age ranges that a spreadsheet took for dates, as in some copies of FairFace: 3-9 and 10-19.
_MONTHS: Final = {"Sep": 9, "Oct": 10}


def read_csv(labels: Path, source: str) -> Iterator[Sample]:
    """Read a table with the columns file and split, and any of age, gender, ethnicity and identity."""
    for row in _rows(labels):
        age = (int(row["age"]), int(row["age"])) if row.get("age") else None
        female = row["gender"] == "female" if row.get("gender") else None
        split: Split = "val" if row["split"] == "val" else "train"
        yield Sample(source, row["file"], split, age, female, row.get("identity") or "", row.get("ethnicity") or "")


def read_utkface(labels: Path, source: str) -> Iterator[Sample]:
    """Read UTKFace (Zhang, Song and Qi 2017): `labels` is the folder of pictures, whose names are the labels."""
    for number, path in enumerate(sorted(labels.iterdir())):
        match = _UTKFACE_NAME.match(path.name)
        if match is None:
            continue
        age, gender, group = (int(part) for part in match.groups())
        split: Split = "val" if number % _UTKFACE_VALIDATION == 0 else "train"
        yield Sample(source, path.name, split, (age, age), gender == 1, group=_UTKFACE_GROUPS[group])


def read_fairface(labels: Path, source: str) -> Iterator[Sample]:
    """Read FairFace's table (Kärkkäinen and Joo 2021): file, age range, gender, race; files lie in train or val."""
    for row in _rows(labels):
        split: Split = "val" if row["file"].startswith("val") else "train"
        female = row["gender"].lower() == "female"
        yield Sample(source, row["file"], split, parse_age_range(row["age"]), female, group=row.get("race", ""))


def read_adience(labels: Path, source: str) -> Iterator[Sample]:
    """Read Adience (Eidinger, Enbar and Hassner 2014): `labels` is the folder of the tab-separated fold files."""
    for number, fold in enumerate(sorted(labels.glob("*.txt"))):
        split: Split = "val" if number == _ADIENCE_VALIDATION_FOLD else "train"
        for row in _rows(fold, delimiter="\t"):
            file = f"{row['user_id']}/coarse_tilt_aligned_face.{row['face_id']}.{row['original_image']}"
            female = {"f": True, "m": False}.get(row["gender"])
            yield Sample(source, file, split, parse_age_range(row["age"]), female, row["user_id"])


def read_appa_real(labels: Path, source: str) -> Iterator[Sample]:
    """Read APPA-REAL's real ages (Agustsson et al. 2017): `labels` is the folder of the tables and pictures."""
    for part, split in _APPA_REAL_SPLITS.items():
        with (labels / f"{part}_labels.csv").open(newline="", encoding="utf-8") as lines:
            for file, age in csv.reader(lines):
                yield Sample(source, f"{part}/{file}", split, (int(age), int(age)))


def read_all_age_faces(labels: Path, source: str) -> Iterator[Sample]:
    """Read All-Age-Faces (Cheng et al. 2019): `labels` is the folder of pictures, whose names are number and age."""
    for path in sorted(labels.iterdir()):
        match = _ALL_AGE_FACES_NAME.fullmatch(path.name)
        if match is None:
            continue
        number, age = (int(part) for part in match.groups())
        split: Split = "train" if number % _ALL_AGE_FACES_VALIDATION else "val"
        yield Sample(source, path.name, split, (age, age), number <= _ALL_AGE_FACES_LAST_FEMALE)


def parse_age_range(text: str) -> tuple[int, int] | None:
    """Return completed years, from and to, of "3-9", "(25, 32)", "more than 70", "35" or "03-Sep"; else None."""
    for month, number in _MONTHS.items():
        text = text.replace(month, str(number))
    numbers = [int(part) for part in re.findall(r"\d+", text)]
    if not numbers:
        return None
    if len(numbers) == 1:
        return (numbers[0], OLDEST) if "more" in text else (numbers[0], numbers[0])
    return numbers[0], numbers[1]


def _rows(table: Path, delimiter: str = ",") -> Iterator[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines, delimiter=delimiter)


FORMATS: Final[dict[str, Callable[[Path, str], Iterator[Sample]]]] = {
    "csv": read_csv,
    "utkface": read_utkface,
    "fairface": read_fairface,
    "adience": read_adience,
    "appa_real": read_appa_real,
    "all_age_faces": read_all_age_faces,
}
