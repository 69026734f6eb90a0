"""Standard error: one JSON object a line where that is asked for, and no library's noise where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blobs import draw

CHILD = Path(__file__).resolve().parents[2] / "soak" / "child.py"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def rollcall(*words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, str(CHILD), *map(str, words)], env=environment, capture_output=True, text=True, timeout=120
        )

    return rollcall


def lines_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    return lines


def test_events_have_their_values_as_fields(run: Run, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "ü.png", (30, 255))
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"x")
    done = run("--log-format", "json", "index", tmp_path / "photos", "-d", tmp_path / "x.db")
    assert done.returncode == 0, done.stderr
    by_name = {line["event"]: line for line in lines_of(done) if "event" in line}
    indexed, failed = by_name["photo_indexed"], by_name["photo_failed"]
    assert (Path(indexed["path"]).name, indexed["faces"], indexed["level"]) == ("ü.png", 1, "info")
    assert (
        Path(failed["path"]).name == "bad.jpg" and failed["level"] == "warning" and "not a picture" in failed["reason"]
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["search", "childrn", "-d", "{database}"], 4, "rollcall index FOLDER"),
        (["nonsense"], 2, "No such command"),
        (["index", "--nonsense"], 2, "No such option"),
        (["--log-format", "text", "nonsense"], 2, None),
    ],
)
def test_errors_are_objects_too(run: Run, tmp_path: Path, words: list[str], code: int, message: str | None) -> None:
    given = [word.format(database=tmp_path / "no.db") for word in words]
    done = run("--log-format", "json", *given)
    assert done.returncode == code
    if message is None:
        assert "Error: " in done.stderr
        return
    (line,) = lines_of(done)
    assert message in line["message"] and line["exit_code"] == code and line["level"] == "error"


def test_what_is_printed_for_people_becomes_log_lines(run: Run, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", (30, 255))
    run("index", tmp_path / "photos", "-d", tmp_path / "x.db")
    done = run("--log-format", "json", "correct", "face:1", "--age", "5", "-d", tmp_path / "x.db")
    assert [line["message"] for line in lines_of(done) if line["logger"] == "rollcall.command"] == [
        "1 correction recorded"
    ]


NOISE = """
import os, sys, warnings, logging
sys.path.insert(0, {tests!r})
from rollcall.commands.interrupts import interrupts
interrupts.install()
from rollcall.host import base
def noisy(*args, **kwargs):
    os.write(2, b"Corrupt JPEG data: 3 extraneous bytes\\n")
    warnings.warn("a library's warning")
    logging.getLogger("jax._src.xla_bridge").warning("a library's log")
    logging.getLogger("rollcall.somewhere").warning("our own")
    time.sleep(0.3)
    raise base.LifecycleError("the end")
import time
base.open_database = noisy
sys.argv = ["rollcall", *{words!r}]
from rollcall.cli import main
main()
"""


@pytest.mark.parametrize("option", [[], ["--verbose"], ["--log-format", "json"], ["--verbose", "--log-format", "json"]])
def test_the_noise_of_libraries_is_only_in_verbose_logs(tmp_path: Path, option: list[str]) -> None:
    tests = str(Path(__file__).resolve().parents[2])
    code = NOISE.format(tests=tests, words=[*option, "status", "-d", str(tmp_path / "x.db")])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "our own" in done.stderr and "the end" in done.stderr
    verbose = "--verbose" in option
    if "json" in option:
        lines_of(done)
    elif not verbose:
        assert done.stderr.splitlines() == ["Warning: our own", "rollcall: the end"]
    for noise in ("Corrupt JPEG data", "a library's warning", "a library's log"):
        assert (noise in done.stderr) == verbose, done.stderr
