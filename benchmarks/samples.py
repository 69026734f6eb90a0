"""Any folder of pictures, file by file: what fails, how long it takes, and sizes and dates against exiftool's.

python benchmarks/samples.py FOLDER [--json] [--every] [--limit 1000] [--target 1280]

Columns of exiftool are left out where it is not installed. Sizes are compared upright; dates to the second, and only
those that are not guessed from a file's name.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from rollcall.errors import PictureError
from rollcall.media import decode
from rollcall.records import Picture

#: What exiftool is asked for; the first date that there is counts. The last is all that many edited pictures have.
_DATES: Final = ("DateTimeOriginal", "CreateDate", "DateTimeCreated", "DateCreated", "CreationTime", "ModifyDate")
_ASKED: Final = (*_DATES, "ImageWidth", "ImageHeight", "Orientation", "Rotation", "FileType", "Warning", "Error")
_CONTAINERS: Final = ("HEIC", "HEIF", "AVIF")
_AT_ONCE: Final = 200


@dataclass
class Sample:
    """What became of one file."""

    path: str
    bytes: int
    seconds: float
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    taken: str | None = None
    taken_from: str | None = None
    exiftool_type: str | None = None
    exiftool_size: tuple[int, int] | None = None
    exiftool_taken: str | None = None
    exiftool_complaint: str | None = None

    @property
    def same_size(self) -> bool | None:
        """Whether the sizes are the same; None where one is not known. Some formats' headers do not say how to turn."""
        if self.size is None or self.exiftool_size is None:
            return None
        return self.size == self.exiftool_size

    @property
    def same_taken(self) -> bool | None:
        """Whether the dates are the same; None where neither has one, or ours is a guess."""
        if self.size is None or self.taken_from == "file name" or (self.taken is None and self.exiftool_taken is None):
            return None
        return self.taken == self.exiftool_taken


def files_in(folder: Path, every: bool) -> list[Path]:
    """Return the files of a folder that are taken for pictures by their suffix; with `every` all files."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in found if every or path.suffix.lower() in decode.SUFFIXES)


def measure(path: Path, target: int) -> Sample:
    """Decode a file and return what came of it."""
    began = time.perf_counter()
    picture: Picture | None = None
    failure = None
    try:
        picture = decode.decode(path, target=target)
    except PictureError as error:
        failure = error.reason + (f"; {error.hint}" if error.hint else "")
    sample = Sample(str(path), path.stat().st_size, time.perf_counter() - began, failure)
    if picture is not None:
        sample.size, sample.warnings = (picture.width, picture.height), picture.warnings
        if picture.taken is not None:
            sample.taken = picture.taken.local.replace(microsecond=0, tzinfo=None).isoformat(" ")
            sample.taken_from = picture.taken.source
    return sample


def ask_exiftool(paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what exiftool reads from some files, by path; nothing where it is not installed."""
    program = shutil.which("exiftool")
    for start in range(0, len(paths) if program else 0, _AT_ONCE):
        part = [str(path) for path in paths[start : start + _AT_ONCE]]
        done = subprocess.run(
            [str(program), "-json", "-n", *(f"-{name}" for name in _ASKED), "-@", "-"],
            input="\n".join(part),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        for entry in json.loads(done.stdout or "[]"):
            yield entry["SourceFile"], entry


def add_facts(sample: Sample, facts: Mapping[str, Any]) -> None:
    """Put exiftool's facts into a sample, its size turned upright."""
    sample.exiftool_type = facts.get("FileType")
    complaint = facts.get("Error") or facts.get("Warning")
    sample.exiftool_complaint = None if complaint is None else str(complaint)
    try:
        width, height = int(facts["ImageWidth"]), int(facts["ImageHeight"])
        # The transforms of a HEIC or AVIF override its EXIF.
        by_container = sample.exiftool_type in _CONTAINERS and "Rotation" in facts
        turned = int(facts["Rotation"]) in (90, 270) if by_container else int(facts.get("Orientation", 1)) >= 5
        if min(width, height) > 0:  # exiftool does not know all headers of BMP
            sample.exiftool_size = (height, width) if turned else (width, height)
    except (KeyError, TypeError, ValueError):
        pass
    dates = (_date(str(facts[name])) for name in _DATES if facts.get(name))
    sample.exiftool_taken = next((date for date in dates if date is not None), None)


def _date(text: str) -> str | None:
    text = re.sub(r"(Z|[+-][0-9]{2}:[0-9]{2})$", "", text.strip())
    for form in ("%Y:%m:%d %H:%M:%S", "%Y:%m:%d %H:%M", "%Y:%m:%d"):
        try:
            return datetime.strptime(text.strip()[:19], form).isoformat(" ")
        except ValueError:
            continue
    return None


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return counts, times and the files that differ."""
    spent = sorted(sample.seconds for sample in samples)
    failed = [sample for sample in samples if sample.failure is not None]
    sizes = [sample for sample in samples if sample.same_size is not None]
    dates = [sample for sample in samples if sample.same_taken is not None]
    return {
        "files": len(samples),
        "failed": len(failed),
        "reasons": dict(Counter(sample.failure for sample in failed).most_common()),
        "with warnings": sum(bool(sample.warnings) for sample in samples),
        "median seconds": round(median(spent), 4) if spent else None,
        "slowest": [(round(one.seconds, 2), one.path) for one in sorted(samples, key=lambda one: -one.seconds)[:5]],
        "by suffix": _by_suffix(samples),
        "sizes compared": len(sizes),
        "sizes that differ": [_shown(one, one.size, one.exiftool_size) for one in sizes if not one.same_size],
        "dates compared": len(dates),
        "dates that differ": [_shown(one, one.taken, one.exiftool_taken) for one in dates if not one.same_taken],
    }


def _by_suffix(samples: Iterable[Sample]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for sample in samples:
        counts = found.setdefault(Path(sample.path).suffix.lower() or "none", {"files": 0, "failed": 0})
        counts["files"] += 1
        counts["failed"] += sample.failure is not None
    return dict(sorted(found.items()))


def _shown(sample: Sample, ours: object, theirs: object) -> str:
    return f"{sample.path}: {ours}, exiftool {theirs}"


def print_table(samples: Sequence[Sample], root: Path, with_exiftool: bool) -> None:
    """Print a line a file, aligned."""
    heads = ["file", "bytes", "seconds", "size", "taken", "result"]
    if with_exiftool:
        heads[4:4] = ["exiftool's size"]
        heads[6:6] = ["exiftool's date"]
    rows = [heads]
    for sample in samples:
        row = [
            str(Path(sample.path).relative_to(root)),
            f"{sample.bytes:,}",
            f"{sample.seconds:.2f}",
            _size(sample.size),
            sample.taken or "-",
            sample.failure or "; ".join(sample.warnings) or "ok",
        ]
        if with_exiftool:
            row[4:4] = ["=" if sample.same_size else _size(sample.exiftool_size)]
            row[6:6] = ["=" if sample.same_taken else sample.exiftool_taken or "-"]
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads) - 1)]
    for row in rows:
        shown = "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        print(shown.encode("utf-8", "backslashreplace").decode())


def _size(size: tuple[int, int] | None) -> str:
    return "-" if size is None else f"{size[0]} x {size[1]}"


def run(folder: Path, *, every: bool = False, limit: int | None = None, target: int = 1280) -> list[Sample]:
    """Return a sample for each file of a folder."""
    paths = files_in(folder, every)[:limit]
    samples = {str(path): measure(path, target) for path in paths}
    for path, facts in ask_exiftool(paths):
        if path in samples:
            add_facts(samples[path], facts)
    return list(samples.values())


def main() -> None:
    """Run it as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--every", action="store_true", help="also files whose suffix is no picture's")
    parser.add_argument("--limit", type=int, help="at most so many files")
    parser.add_argument("--target", type=int, default=1280, help="as in indexing, reduce to this many pixels")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder")
    samples = run(options.folder, every=options.every, limit=options.limit, target=options.target)
    if options.json:
        json.dump({"summary": summary(samples), "files": [asdict(one) for one in samples]}, sys.stdout, indent=1)
        print()
        return
    print_table(samples, options.folder, shutil.which("exiftool") is not None)
    print()
    for name, value in summary(samples).items():
        if isinstance(value, list):
            print(f"{name}: {len(value)}", *value[:20], sep="\n  ")
        else:
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
