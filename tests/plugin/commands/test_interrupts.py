"""Ctrl-C ends a command without waiting for what it does, and a second one without its two seconds of grace.

Each slow part would take a minute, or all of a test's time: an end before `SOON` has not waited for it.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blobs import draw

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

#: A run whose analyzer finds squares, with a line that makes one part of it slow.
CHILD = """
import os, sys, time
sys.path.insert(0, {tests!r})
from rollcall.commands.interrupts import interrupts
interrupts.install()
{before}
import blobs, threading
from rollcall.host import base
from rollcall.media import decode
base.Analyzer = lambda settings: blobs.BlobAnalyzer()
def begin(*_args, **_kwargs):
    os.write(1, b"begun\\n")  # at once: two threads may begin
    {slow}
{patch}
sys.argv = ["rollcall", *{words!r}]
from rollcall.cli import main
main()
"""
#: Deaf to everything: what Python does with a signal waits until it returns.
DEAF = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'x', 600_000_000)"

#: In seconds; a run that is waited for, and one that is given all of a raised grace, take longer.
SOON = 25.0

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    children: list[subprocess.Popen[str]] = []
    for number in range(3):
        draw(tmp_path / "photos" / f"{number}.png", (30, 255), seed=number)

    def run(*words: str, slow: str = "time.sleep(60)", patch: str = "", before: str = "") -> subprocess.Popen[str]:
        tests = str(Path(__file__).resolve().parents[2])
        code = CHILD.format(tests=tests, slow=slow, patch=patch, before=before, words=words)
        # Its own home, so that nothing of the user's is read or written.
        environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


def interrupted(child: subprocess.Popen[str], times: int = 1) -> tuple[float, str]:
    """Wait until the slow part has begun and interrupt it; return how long it went on, in seconds, and its errors."""
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line == "begun\n", child.communicate()[1]
    began = time.perf_counter()
    for _ in range(times):
        child.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, errors = child.communicate(timeout=30)
    assert "Traceback" not in errors and "Exception ignored" not in errors
    assert errors.splitlines()[-1] == "rollcall: stopped; what was done is kept"
    return time.perf_counter() - began, errors


INDEX = ("index", "photos", "-d", "x.db")


@pytest.mark.parametrize(
    "patch",
    [
        "decode.decode = begin",
        "blobs.BlobAnalyzer.analyze = begin",
        "base.open_database = begin",
        "from rollcall.indexing import discovery; discovery.discover = begin",
    ],
    ids=["decoding", "analysing", "opening the database", "looking through folders"],
)
def test_the_first_one_ends_a_run_without_waiting_for_it(start: Start, patch: str) -> None:
    child = start(*INDEX, patch=patch)
    seconds, _ = interrupted(child)
    assert child.returncode == 130
    assert seconds < SOON


#: Analyses in another process, and says here when that has begun.
ELSEWHERE = """
import mortal, pathlib
begun = pathlib.Path("begun").absolute()
base.Analyzer = lambda settings: mortal.SlowAnalyzer(begun)
def report():
    while not begun.exists():
        time.sleep(0.02)
    os.write(1, b"begun\\n")
threading.Thread(target=report, daemon=True).start()
"""


def test_processes_that_analyse_are_not_waited_for(start: Start, tmp_path: Path) -> None:
    child = start(*INDEX, "--executor", "processes", "--workers", "1", patch=ELSEWHERE)
    seconds, _ = interrupted(child)
    assert child.returncode == 130
    assert seconds < SOON


def test_a_main_thread_that_is_deaf_is_not_waited_for(start: Start) -> None:
    child = start(*INDEX, slow=DEAF, patch="blobs.BlobAnalyzer.analyze = begin")
    seconds, _ = interrupted(child)
    assert child.returncode == 130
    assert seconds < SOON


#: Whoever ends before `SOON` has not waited for the grace that the first one gives.
LONG_GRACE = "sys.modules['rollcall.commands.interrupts'].GRACE_SECONDS = 60"


@pytest.mark.parametrize("patch", ["decode.decode = begin", "blobs.BlobAnalyzer.analyze = begin"])
def test_the_second_one_ends_it_at_once(start: Start, patch: str) -> None:
    child = start(*INDEX, patch=patch, before=LONG_GRACE)
    seconds, _ = interrupted(child, times=2)
    assert child.returncode == 130
    assert seconds < SOON


def test_imports_are_ended_at_once_without_a_traceback(start: Start) -> None:
    child = start(*INDEX, before=f'{LONG_GRACE}; print("begun", flush=True)')
    seconds, _ = interrupted(child)
    assert child.returncode == 130
    assert seconds < SOON


def test_a_short_command_is_ended_too(start: Start) -> None:
    child = start("search", "kids", "-d", "x.db", patch="base.open_database = begin")
    seconds, _ = interrupted(child)
    assert child.returncode == 130
    assert seconds < SOON


def test_a_watch_that_has_to_be_ended_has_ended_well(start: Start) -> None:
    child = start("watch", "photos", "-d", "x.db", patch="blobs.BlobAnalyzer.analyze = begin")
    seconds, _ = interrupted(child)
    assert child.returncode == 0
    assert seconds < SOON


def test_what_was_not_done_is_done_by_the_next_run(start: Start, tmp_path: Path) -> None:
    interrupted(start(*INDEX, patch="blobs.BlobAnalyzer.analyze = begin"), times=2)
    again = start(*INDEX)
    assert again.wait(60) == 0
    connection = sqlite3.connect(tmp_path / "x.db")
    assert connection.execute("SELECT state, COUNT(*) FROM v1_photos GROUP BY state").fetchall() == [("indexed", 3)]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
