"""Change a folder as fast as possible while `rollcall watch` runs; then compare its database with a fresh index.

Run with: python tests/soak/churn.py --minutes 60 --seed 1
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil

from blobs import draw
from rollcall.indexing.hints import LONGEST_SECONDS
from soak.common import CHILD, Clock, environment, parser, report

#: At most so many files at once.
FILES: Final = 300
FOLDERS: Final = ("", "2019", "2020", "2020/summer", "trash me")
#: How long the watcher may take to be in step again, in seconds: a file that was damaged twice may wait for its rest.
CATCH_UP_SECONDS: Final = LONGEST_SECONDS + 60
#: By how much the memory of a process may grow: a share of it, and megabytes.
GROWTH: Final = (1.25, 60)
#: Processes that decode damaged files: they start with the first one, early or late, and so many stay at most.
DECODERS: Final = 4

Row = tuple[str, str | None, tuple[float | None, ...]]


class Memory(NamedTuple):
    """What the processes have in memory, in MB."""

    watcher: float
    decoders: list[float]


@dataclass
class Churn:
    """A folder that changes."""

    folder: Path
    chance: random.Random
    made: int = 0
    operations: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bin = self.folder.parent / "bin"
        self.bin.mkdir(parents=True)
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def step(self) -> None:
        """Change one thing."""
        count = sum(1 for _ in self._files())
        choices: list[tuple[int, Callable[[], Any]]] = [
            (4 if count < FILES else 0, self.create),
            (3, self.move),
            (3, self.overwrite),
            (2, self.swap),
            (3 if count > FILES // 2 else 1, self.delete),
            (2, self.restore),
            (1, self.touch),
            (1, self.copy),
            (1, self.damage),
            (1, self.move_folder),
            (1, self.write_slowly),
        ]
        weights = [weight for weight, _ in choices]
        ((_, operation),) = self.chance.choices(choices, weights)
        try:
            operation()
        except FileNotFoundError:
            return  # a folder that is moved about just now
        self.operations[operation.__name__] = self.operations.get(operation.__name__, 0) + 1

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*.png") if path.is_file())

    def _any(self) -> Path:
        files = self._files()
        return self.chance.choice(files) if files else self.create()

    def _new_name(self) -> Path:
        place = self.folder / self.chance.choice(FOLDERS)
        place.mkdir(parents=True, exist_ok=True)
        return place / f"{self.chance.randrange(FILES * 2):04}.png"

    def _draw(self, path: Path) -> Path:
        self.made += 1
        people = [(self.chance.randrange(5, 90), 255) for _ in range(self.chance.randrange(4))]
        return draw(path, *people, seed=self.made)

    def create(self) -> Path:
        return self._draw(self._new_name())

    def overwrite(self) -> None:
        source, target = self._draw(self.bin / "new.png"), self._any()
        # In place: the file keeps its number, and is half written for a moment.
        with target.open("r+b") as file:
            file.write(source.read_bytes())
            file.truncate()

    def move(self) -> None:
        os.replace(self._any(), self._new_name())

    def swap(self) -> None:
        one, other = self._any(), self._any()
        if one != other:
            between = self.folder / "between.part"
            os.replace(one, between)
            os.replace(other, one)
            os.replace(between, other)

    def delete(self) -> None:
        path = self._any()
        os.replace(path, self.bin / f"{self.chance.randrange(40)}.gone")

    def restore(self) -> None:
        gone = sorted(self.bin.glob("*.gone"))
        if gone:
            os.replace(self.chance.choice(gone), self._new_name())

    def touch(self) -> None:
        at = 1_500_000_000 + self.chance.randrange(10**6)
        os.utime(self._any(), (at, at))

    def copy(self) -> None:
        source, target = self._any(), self._new_name()
        if source != target:
            shutil.copy2(source, target)

    def damage(self) -> None:
        path = self._any()
        data = path.read_bytes()
        path.write_bytes(data[: self.chance.randrange(60)])

    def move_folder(self) -> None:
        here, away = self.folder / "trash me", self.folder.parent / "away"
        if here.exists():
            shutil.rmtree(away, ignore_errors=True)
            os.replace(here, away)
        else:
            os.replace(away, here)

    def write_slowly(self) -> None:
        path = self._new_name()
        data = self._draw(self.bin / "new.png").read_bytes()
        with path.open("wb") as file:
            for start in range(0, len(data), 200):
                file.write(data[start : start + 200])
                file.flush()
                time.sleep(0.01)


def rows(database: Path) -> dict[str, Row]:
    """Return by path the state, content and ages of all photos that are not missing."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        found = connection.execute("SELECT path, state, content_hash, photo_id FROM v1_photos").fetchall()
        ages: dict[int, list[float | None]] = {}
        for photo_id, age in connection.execute("SELECT photo_id, age FROM v1_faces"):
            ages.setdefault(photo_id, []).append(age)
    finally:
        connection.close()
    return {
        path: (state, content if state == "indexed" else None, tuple(sorted(ages.get(photo_id, []), key=str)))
        if state != "failed"
        else (state, None, ())
        for path, state, content, photo_id in found
        if state != "missing"
    }


def differences(found: dict[str, Row], expected: dict[str, Row]) -> list[str]:
    """Return in what two databases differ, a line a path."""
    return [
        f"{path}: {found.get(path)} instead of {expected.get(path)}"
        for path in sorted(found.keys() | expected.keys())
        if found.get(path) != expected.get(path)
    ]


def fresh(folder: Path, database: Path, env: dict[str, str]) -> dict[str, Row]:
    """Return what a new index of the folder holds."""
    done = subprocess.run(
        [*CHILD, "index", str(folder), "-d", str(database), "--quiet"], env=env, capture_output=True, text=True
    )
    if done.returncode:
        raise AssertionError(f"a fresh index failed: {done.stderr}")
    return rows(database)


def run(minutes: float, seed: int, work: Path, *, files: int = 60) -> dict[str, Any]:
    """Churn for some minutes, from some files on; return a report.

    Raises
    ------
    AssertionError
        If the watcher ended, printed a traceback, its memory grew, or its database differs from a fresh index.
    """
    env = environment(work)
    churn = Churn(work / "photos", random.Random(seed))
    for _ in range(files):
        churn.create()
    database, log = work / "watched.db", work / "watch.log"
    with log.open("wb") as output:
        watcher = subprocess.Popen(
            [*CHILD, "watch", str(churn.folder), "-d", str(database), "--quiet"], env=env, stderr=output
        )
    try:
        memory = _churn(churn, watcher, database, Clock(minutes))
        expected = fresh(churn.folder, work / "fresh.db", env)
        caught_up, left = _wait_until_equal(database, expected)
        watcher.send_signal(signal.SIGINT)
        code = watcher.wait(30)
    finally:
        watcher.kill()
        watcher.wait()
    errors = log.read_text(errors="replace")
    assert "Traceback" not in errors, errors[-3000:]
    assert not left, f"{len(left)} photos differ after {CATCH_UP_SECONDS:.0f} s, seed {seed}:\n" + "\n".join(left[:20])
    assert code == 0, (code, errors[-2000:])
    check_memory(memory)
    own = [one.watcher for one in memory]
    return {
        "minutes": minutes,
        "operations": sum(churn.operations.values()),
        "of which": churn.operations,
        "photos at the end": len(expected),
        "seconds until in step": round(caught_up, 1),
        "RSS of the watcher at start, end, highest (MB)": [round(own[0]), round(own[-1]), round(max(own))],
        "RSS of all (MB)": round(max(one.watcher + sum(one.decoders) for one in memory)),
    }


def check_memory(memory: Sequence[Memory]) -> None:
    """Check what was measured once a second: each process by itself, since those for damaged files start at any time.

    Raises
    ------
    AssertionError
        If the watcher or the largest of the others grew, or there are ever more of these.
    """
    assert max(len(one.decoders) for one in memory) <= DECODERS, memory
    series = {
        "watcher": [one.watcher for one in memory],
        "decoders": [max(one.decoders) for one in memory if one.decoders],
    }
    for name, values in series.items():
        if not values:
            continue
        quarter = max(len(values) // 4, 1)
        first, last = median(values[:quarter]), median(values[-quarter:])
        assert last <= first * GROWTH[0] + GROWTH[1], f"{name} grew from {first:.0f} to {last:.0f} MB: {values}"


def _churn(churn: Churn, watcher: subprocess.Popen[bytes], database: Path, clock: Clock) -> list[Memory]:
    """Change the folder until the time is over; return the memory of the processes, once a second."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (database.exists() and _indexed(database)):
        assert watcher.poll() is None, f"the watcher ended at its start with {watcher.returncode}"
        time.sleep(0.1)
    process, memory, sampled = psutil.Process(watcher.pid), [], 0.0
    clock.until += max(0.0, 60 - (deadline - time.monotonic()))
    while not clock.over:
        churn.step()
        if time.monotonic() - sampled >= 1:
            assert watcher.poll() is None, f"the watcher ended with {watcher.returncode}"
            memory.append(_resident(process))
            sampled = time.monotonic()
    return memory


def _indexed(database: Path) -> bool:
    try:
        return any(state == "indexed" for state, *_ in rows(database).values())
    except sqlite3.Error:
        return False


def _resident(process: psutil.Process) -> Memory:
    decoders = []
    for child in process.children(recursive=True):
        with suppress(psutil.Error):
            decoders.append(child.memory_info().rss / 2**20)
    return Memory(process.memory_info().rss / 2**20, decoders)


def _wait_until_equal(database: Path, expected: dict[str, Row]) -> tuple[float, list[str]]:
    """Wait until the database is as expected; return for how long, in seconds, and what differs in the end."""
    began = time.monotonic()
    while True:
        left = differences(rows(database), expected)
        spent = time.monotonic() - began
        if not left or spent > CATCH_UP_SECONDS:
            return spent, left
        time.sleep(0.5)


def main() -> None:
    """Run it as a program."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-") as temporary:
        report(run(options.minutes, options.seed, options.keep or Path(temporary)))


if __name__ == "__main__":
    main()
