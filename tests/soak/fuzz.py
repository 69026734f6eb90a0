"""Index damaged files of every format; each must end indexed, or failed with a sentence, in time and in bounds.

Run with: python tests/soak/fuzz.py --minutes 30 --seed 1 [--networks]
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rollcall.errors import PictureError
from rollcall.media import decode
from soak import mutations, seeds
from soak.common import Clock, environment, parser, report

#: How many files are indexed by one process, and how long it may take, in seconds.
FILES: Final = 120
PATIENCE: Final = 600.0
#: How long one file may take, in seconds, and how much memory a process, in megabytes.
SECONDS_A_FILE: Final = 10.0
MEGABYTES: Final = 2048
#: What no sentence for a person holds: Python's and libraries' own words, addresses, more than one line.
_RAW: Final = re.compile(r"Traceback|\bb'|0x[0-9a-f]{4}|Error\b|Exception|errno|please report|[\n\r]|None\b|<.* object")

#: Runs the command line, measures decoding and memory, and writes both to a file at the end.
MEASURED: Final = """
import atexit, json, resource, sys, time
import psutil
sys.path.insert(0, {tests!r})
from rollcall.media import decode
times, original = {{}}, decode.decode
def timed(path, *args, **kwargs):
    began = time.perf_counter()
    try:
        return original(path, *args, **kwargs)
    finally:
        times[str(path)] = time.perf_counter() - began
decode.decode = timed
def peak(pid):
    # Not ru_maxrss of the process itself: it begins with that of the process that started it.
    with open(f"/proc/{{pid}}/status") as status:
        return max((int(line.split()[1]) for line in status if line.startswith("VmHWM")), default=0)
def written():
    own = peak("self")
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    for child in psutil.Process().children(recursive=True):
        try:
            others = max(others, peak(child.pid))
        except OSError:
            pass
    with open({out!r}, "w") as file:
        json.dump({{"times": times, "own": own // 1024, "decoder": others // 1024}}, file)
from rollcall.media import worker  # ends its processes when this one ends, after `written`
atexit.register(written)
if {networks!r}:
    from rollcall.__main__ import main
    sys.argv = ["rollcall", *sys.argv[1:]]
    main()
else:
    from rollcall.commands.interrupts import interrupts
    from soak import child
    interrupts.install()  # as the program does: then what libraries write is not for the terminal
    sys.exit(child.run(sys.argv[1:]))
"""


@dataclass
class Totals:
    """What happened so far."""

    files: int = 0
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    by_format: dict[str, Counter[str]] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")
    peak: int = 0
    decoder_peak: int = 0
    noise: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def fill(folder: Path, originals: dict[str, list[bytes]], chance: random.Random, number: int, files: int) -> None:
    """Write a batch of files, most of them damaged."""
    folder.mkdir(parents=True)
    everything = [data for some in originals.values() for data in some]
    for index in range(files):
        suffix = chance.choice(list(originals))
        data = chance.choice(originals[suffix])
        if chance.random() < 0.95:
            data = mutations.mutate(data, chance, chance.choice(everything))
        if chance.random() < 0.06:
            suffix = chance.choice(list(originals))
        (folder / f"{number:04}-{index:03}{suffix}").write_bytes(data)


def index(folder: Path, database: Path, home: Path, networks: bool, totals: Totals) -> None:
    """Index a batch in a process of its own, and take note of everything that must not be."""
    out = home / "measured.json"
    out.unlink(missing_ok=True)
    tests = str(Path(__file__).resolve().parent.parent)
    env = environment(home) | {"ROLLCALL_CACHE__FOLDER": os.environ.get("ROLLCALL_CACHE__FOLDER", str(home / "cache"))}
    code = MEASURED.format(tests=tests, out=str(out), networks=networks)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "index", str(folder), "-d", str(database), "--json"],
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        totals.faults.append(f"{folder}: the run did not end in {PATIENCE:.0f} s")
        return
    if done.returncode or "Traceback" in done.stderr:
        totals.faults.append(f"{folder}: ended with {done.returncode}: {done.stderr[-1500:]}")
    for line in done.stderr.splitlines():
        if line.strip() and not line.startswith(("Skipped: ", "Warning: ")):
            totals.noise[re.sub(r"[0-9]+", "#", line)[:100]] += 1
            totals.faults.append(f"{folder}: a line that names no file: {line[:200]!r}")
    if out.exists():
        _take_measures(json.loads(out.read_text()), totals)
    _take_rows(folder, database, totals)


def _take_measures(measured: dict[str, Any], totals: Totals) -> None:
    for path, taken in measured["times"].items():
        # Alone, and with the decoders' process running: a busy machine is not the file's fault.
        seconds = min(taken, _alone(Path(path))) if taken > SECONDS_A_FILE / 5 else taken
        totals.slowest = max(totals.slowest, (seconds, path))
        if seconds > SECONDS_A_FILE:
            totals.faults.append(f"{path}: took {seconds:.1f} s")
    totals.peak = max(totals.peak, measured["own"])
    totals.decoder_peak = max(totals.decoder_peak, measured["decoder"])
    if measured["own"] > MEGABYTES or measured["decoder"] > MEGABYTES:
        totals.faults.append(f"memory: {measured['own']} and {measured['decoder']} MB")


def _alone(path: Path) -> float:
    """Return how long a file takes to decode, in seconds, the better of two times."""
    spent = []
    for _ in range(2):
        began = time.perf_counter()
        with suppress(PictureError):
            decode.decode(path, target=1280)
        spent.append(time.perf_counter() - began)
    return min(spent)


def _take_rows(folder: Path, database: Path, totals: Totals) -> None:
    connection = sqlite3.connect(database)
    try:
        rows = connection.execute("SELECT path, state, error FROM photos").fetchall()
    finally:
        connection.close()
    found = {path: (state, error) for path, state, error in rows}
    for file in folder.iterdir():
        state, error = found.get(file.name, ("absent", None))
        totals.files += 1
        totals.states[state] += 1
        totals.by_format.setdefault(file.suffix, Counter())[state] += 1
        if state not in ("indexed", "failed"):
            totals.faults.append(f"{file}: {state}")
        elif state == "failed":
            totals.reasons[re.sub(r"[0-9][0-9,.]*", "#", error or "")] += 1
            if not error or _RAW.search(error) or len(error) > 300:
                totals.faults.append(f"{file}: no sentence for a person: {error!r}")


def run(minutes: float, seed: int, work: Path, *, networks: bool = False, files: int = FILES) -> dict[str, Any]:
    """Index damaged files for some minutes, `files` at a time; return a report, whose `faults` have to be empty."""
    chance = random.Random(seed)
    originals = seeds.make(chance)
    totals, clock, number = Totals(), Clock(minutes), 0
    while not clock.over:
        folder, database = work / f"batch-{number}", work / f"batch-{number}.db"
        fill(folder, originals, chance, number, files)
        before = len(totals.faults)
        index(folder, database, work, networks, totals)
        if len(totals.faults) == before:
            # Faults are left to be looked at.
            shutil.rmtree(folder)
        for file in work.glob(f"{database.name}*"):
            file.unlink()
        number += 1
    return {
        "files": totals.files,
        "states": dict(totals.states),
        "formats": {suffix: dict(states) for suffix, states in sorted(totals.by_format.items())},
        "reasons": dict(totals.reasons.most_common()),
        "slowest file (s)": f"{totals.slowest[0]:.2f}, {Path(totals.slowest[1]).name}",
        "peak RSS (MB)": totals.peak,
        "peak RSS of the decoders' process (MB)": totals.decoder_peak,
        "other lines on stderr": dict(totals.noise.most_common(20)),
        "faults": totals.faults,
    }


def main() -> None:
    """Run it as a program; the exit code is 1 if there were faults."""
    arguments = parser(__doc__)
    arguments.add_argument("--networks", action="store_true", help="use the real networks")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        found = run(options.minutes, options.seed, options.keep or Path(temporary), networks=options.networks)
    report(found)
    sys.exit(1 if found["faults"] else 0)


if __name__ == "__main__":
    main()
