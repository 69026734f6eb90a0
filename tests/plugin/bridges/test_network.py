"""Bridges over the network: the real client, what it sees of failures, the command, and a kill of the process."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from bridged import SERVERS, immich
from rollcall import Plugin
from rollcall.cli import cli
from rollcall.errors import BridgeError
from strict_server import listening


def reached(library: Plugin, name: str, url: str) -> Plugin:
    """Return a plugin on the same database whose server has another address."""
    settings = library.settings.model_copy(
        update={"bridges": library.settings.bridges.model_copy(update={f"{name}_url": url})}
    )
    return Plugin(settings=settings, analyzer=library.analyzer)


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_the_real_client_is_understood(library: Plugin, name: str) -> None:
    server = SERVERS[name]()
    with listening(server) as url, reached(library, name, url) as plugin:
        report = plugin.bridge(name)
        assert not server.refused and not report.left_out and report.made
        plugin.bridge(name, undo=True)
    assert server.state() == SERVERS[name]().state()


@pytest.mark.parametrize("trouble", ["500", "429", "half", "lost"])
def test_the_real_client_comes_through_troubles(library: Plugin, trouble: str) -> None:
    expected = immich()
    library.bridge("immich", transport=expected)
    server = immich()
    server.trouble = lambda number, method, path: trouble if number % 4 == 2 else None
    with listening(server) as url, reached(library, "immich", url) as plugin:
        plugin.bridge("immich")
    assert server.state() == expected.state() and not server.refused


def test_a_server_that_is_too_slow_is_asked_again(library: Plugin) -> None:
    expected = immich()
    library.bridge("immich", transport=expected)
    server = immich()
    calls = itertools.count(1)
    waiting: list[threading.Event] = []

    class Impatient:
        """A client that gives up on some of its requests, which the server answers only then."""

        def request(self, method: str, url: str, **options: Any) -> httpx.Response:
            gives_up = next(calls) in (3, 9, 15)
            given_up = threading.Event()
            if gives_up:
                waiting.append(given_up)
            try:
                return client.request(method, url, timeout=0.25 if gives_up else 600.0, **options)
            finally:
                given_up.set()

    def slow(number: int) -> float:
        if waiting:
            waiting.pop().wait(600)
        return 0.0

    with (
        httpx.Client(trust_env=False) as client,
        listening(server, slow=slow) as url,
        reached(library, "immich", url) as plugin,
    ):
        plugin.bridge("immich", transport=Impatient())
    assert server.state() == expected.state() and not server.refused


def test_a_server_that_is_not_there_is_one_sentence(library: Plugin) -> None:
    for url, sentence in (
        ("http://127.0.0.1:9", "run the command again later"),
        ("nonsense", "nonsense: this is no address of a server"),
    ):
        with reached(library, "immich", url) as plugin, pytest.raises(BridgeError, match=sentence):
            plugin.bridge("immich")


def run(library: Plugin, *words: str, url: str = "http://immich:2283") -> Any:
    environment = {"ROLLCALL_BRIDGES__IMMICH_URL": url, "ROLLCALL_BRIDGES__IMMICH_KEY": "immich-key"}
    paths = ",".join(library.settings.bridges.paths)
    common = ["-d", str(library.database.file), "--set", f"bridges.paths={paths}"]
    return CliRunner().invoke(cli, ["bridge", *words, *common], env=environment, standalone_mode=False)


def test_the_command_says_what_it_did(library: Plugin) -> None:
    server = immich(without="a.png")
    with listening(server) as url:
        dry = run(library, "immich", "--dry-run", url=url)
        assert "2 people would be made" in dry.output and not server.changes
        done = run(library, "immich", "--json", url=url)
        report = json.loads(done.stdout)
        assert report["made"]["person"] == 2 and report["left_out"][0]["reason"] == "the server has no such photo"
        again = run(library, "immich", url=url)
        assert "the server has no such photo" in again.stderr and again.stdout == "Nothing to send or to take back.\n"
        back = run(library, "immich", "--undo", url=url)
    assert "taken back" in back.stdout
    assert server.state() == immich(without="a.png").state()


def test_the_command_imports_names(plugin: Plugin, tmp_path: Path, photos: Path) -> None:
    from digikam_file import DigiKamFile

    made = DigiKamFile(tmp_path / "digikam4.db")
    made.add_album(1, f"volumeid:?path={photos}", "/", "/")
    made.add_image(1, 1, "a.png")
    made.add_person(10, "Anna")
    made.add_face(1, 10, (10, 50, 30, 30))
    assert "1 face named" in run(plugin, "digikam", str(made.file)).stdout.replace("\n", " ")
    assert json.loads(run(plugin, "digikam", str(made.file), "--undo", "--json").stdout)["taken_back"] == 2
    assert run(plugin, "digikam", str(made.file), "--undo").stdout == "Nothing to take back.\n"
    assert "Nothing new was found" in run(plugin, "takeout", str(tmp_path)).stdout


@pytest.mark.parametrize("words", [("digikam",), ("immich", "folder"), ("lychee", "--undo"), ("flickr",)])
def test_what_the_command_does_not_understand_is_said(plugin: Plugin, words: tuple[str, ...]) -> None:
    assert run(plugin, *words).exception is not None


def test_a_process_that_is_killed_leaves_nothing_twice(library: Plugin) -> None:
    expected = immich()
    library.bridge("immich", transport=expected)
    with library.database.write() as session:
        from sqlalchemy import delete

        from rollcall.storage.tables import BridgeItemRow

        session.execute(delete(BridgeItemRow))
    server = immich()
    process: subprocess.Popen[bytes] | None = None

    def trouble(number: int, method: str, path: str) -> None:
        if process is not None and len(server.changes) == 9:
            # Between the request and its answer.
            process.send_signal(signal.SIGKILL)

    server.trouble = trouble  # type: ignore[assignment]
    with listening(server) as url:
        environment = {
            **os.environ,
            "ROLLCALL_BRIDGES__IMMICH_URL": url,
            "ROLLCALL_BRIDGES__IMMICH_KEY": "immich-key",
            "ROLLCALL_BRIDGES__REQUESTS_PER_SECOND": "0",
            "ROLLCALL_BRIDGES__PATHS": ",".join(library.settings.bridges.paths),
        }
        command = [sys.executable, "-m", "rollcall", "bridge", "immich", "-d", str(library.database.file)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert process.wait(timeout=900) == -signal.SIGKILL
        process = None
        with reached(library, "immich", url) as plugin:
            plugin.bridge("immich")
    assert server.state() == expected.state() and not server.refused
