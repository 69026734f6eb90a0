"""`rollcall serve`: how it begins and how it ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from rollcall.commands import serve
from rollcall.commands.interrupts import EXIT_CODE
from rollcall.settings import load


def test_the_browser_gets_the_token_in_a_file_of_this_user_and_not_on_its_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    pages: list[str] = []

    def run(app: object, listening: object, announce: Callable[[], None], file: Path) -> None:
        announce()
        assert file == Path(urlsplit(opened[0]).path)
        pages.append(file.read_text())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    monkeypatch.setattr(serve.webbrowser, "open", opened.append)
    monkeypatch.setattr(serve, "_run", run)
    values = {"database.url": f"sqlite:///{tmp_path / 'x.db'}", "cache.folder": str(tmp_path / "cache")}
    serve.serve(load(None, values), [], port=0, opened=True)
    assert opened[0].startswith("file://") and "token" not in opened[0]
    assert "/?token=" in pages[0]
    assert not Path(urlsplit(opened[0]).path).parent.exists()


def test_a_process_that_has_to_be_ended_leaves_no_file_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    with serve.doorway("http://127.0.0.1:1/?token=x") as file:
        monkeypatch.setattr(serve, "end_now", lambda: ended.append(file.parent.exists()))
        serve._give_up(file)
    assert ended == [False]


#: `rollcall serve` as on a machine that never has too much to do: nobody ends it after a quarter of a second.
PATIENT = """
import sys, threading, time
from types import SimpleNamespace
from rollcall.cli import main
from rollcall.commands import serve
serve._GRACE_SECONDS = 60.0
{before}
sys.argv = ["rollcall", *sys.argv[1:]]
main()
"""
#: As on one that has: a thread takes its time to begin, and signals come meanwhile.
SLOW_THREADS = """
class Slow(threading.Thread):
    def start(self):
        time.sleep(1)
        super().start()
serve.threading = SimpleNamespace(Thread=Slow, Timer=threading.Timer)
"""


@contextmanager
def open_page(folder: Path, before: str = "") -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """Serve an empty library by the command; give its process and the lines of progress that a page hears."""
    command = [sys.executable, "-c", PATIENT.format(before=before), "serve", "--port", "0"]
    environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    with subprocess.Popen(
        [*command, "--database", str(folder / "x.db")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        origin, _, token = process.stdout.readline().strip().partition("/?token=")
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.stream("GET", f"{origin}/api/progress", headers=headers, trust_env=False, timeout=30) as stream:
            lines = stream.iter_lines()
            assert "idle" in next(lines)
            yield process, lines


def told_at_the_end(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a command, and return what it wrote on standard error."""
    process.wait(30)
    assert process.stderr is not None
    return process.stderr.read()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_without_a_traceback_while_a_page_is_open(tmp_path: Path) -> None:
    with open_page(tmp_path) as (process, lines):
        process.send_signal(signal.SIGINT)
        # The stream ends by itself, and is not cut off when the server has waited in vain.
        assert [line for line in lines if "idle" in line] == []
        told = told_at_the_end(process)
    assert "Traceback" not in told and "graceful shutdown" not in told


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("before", ["", SLOW_THREADS], ids=["later", "while the first is seen to"])
def test_a_second_ctrl_c_ends_it_at_once_without_a_traceback(tmp_path: Path, before: str) -> None:
    with open_page(tmp_path, before) as (process, _):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)  # two that come together are one
        process.send_signal(signal.SIGINT)
        told = told_at_the_end(process)
    assert "Traceback" not in told and process.returncode == EXIT_CODE
