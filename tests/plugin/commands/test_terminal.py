"""What names of files hold has no effect on a terminal, and reaches a program as it is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from blobs import draw
from rollcall.commands.terminal import harmless
from soak import child

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo terminals")

#: Clears the screen, writes the other way round, goes back to the line's begin.
NAME = "a\x1b[2J\u202eb\rc.png"


def test_names_are_escaped_on_a_terminal_and_not_in_a_pipe(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / NAME, (40, 255))
    environment = {**os.environ, "ROLLCALL_CACHE__FOLDER": str(tmp_path / "cache"), "COLUMNS": "200"}

    def run(*words: str, **streams: int) -> bytes:
        command = [sys.executable, str(Path(child.__file__)), *words, "-d", str(tmp_path / "a.db")]
        return subprocess.run(command, **streams, env=environment, check=True).stdout

    run("index", str(tmp_path / "photos"), "--quiet")
    ours, theirs = pty.openpty()
    run("search", "women", stdout=theirs, stderr=theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(theirs)
    os.close(ours)
    assert "a\\u001b[2J\\u202eb\\u000dc.png" in shown and "\x1b" not in shown and "\u202e" not in shown
    # Escape sequences are left out there by the library that prints.
    assert "\u202eb\rc.png" in run("search", "women", stdout=subprocess.PIPE).decode()
    assert f"/{NAME}\0" in run("search", "women", "--paths", stdout=subprocess.PIPE).decode()


def test_ends_of_lines_and_colours_of_the_program_stay() -> None:
    assert harmless("a\tb\n\x1b[33mé\x1b[0m\u00a0:\n") == "a\tb\n\x1b[33mé\x1b[0m\u00a0:\n"
    assert harmless("\x1b]0;title\x07") == "\\u001b]0;title\\u0007"
