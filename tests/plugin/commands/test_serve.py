"""`rollcall serve`: how it begins and how it ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from rollcall.commands import serve
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


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_without_a_traceback_while_a_page_is_open(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rollcall", "serve", "--port", "0", "--database", str(tmp_path / "x.db")]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        origin, _, token = process.stdout.readline().strip().partition("/?token=")
        with httpx.stream(
            "GET", f"{origin}/api/progress", headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30
        ) as stream:
            lines = stream.iter_lines()
            assert "idle" in next(lines)
            process.send_signal(signal.SIGINT)
            # The stream ends by itself, and is not cut off when the server has waited in vain.
            assert [line for line in lines if "idle" in line] == []
        process.wait(30)
        told = process.stderr.read()
    assert "Traceback" not in told and "graceful shutdown" not in told
