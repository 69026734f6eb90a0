"""One piece of work at a time, no wait without a limit, listeners that fail, and processes that were forked."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from blobs import BlobAnalyzer, draw
from rollcall import Plugin, corrections, events
from rollcall.errors import BusyError, LifecycleError
from rollcall.records import Box, Face, Picture

DRAWN = Box(0.4, 0.4, 0.2, 0.2)
#: In seconds: what is waited for in vain takes longer, and what is not, never as long, however busy the machine is.
SOON = 15.0


class SlowAnalyzer(BlobAnalyzer):
    """Waits before each batch until it is let go, and for at most a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.analysing = threading.Event()
        self.go = threading.Event()
        self.seconds = 60.0

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        self.analysing.set()
        self.go.wait(self.seconds)
        return super().analyze(pictures)


@pytest.fixture
def analyzer() -> SlowAnalyzer:
    return SlowAnalyzer()


@pytest.fixture
def plugin(tmp_path: Path, analyzer: SlowAnalyzer, library: Path) -> Iterator[Plugin]:
    draw(library / "first.png", (5, 255))
    values = {"database.url": f"sqlite:///{tmp_path / 'service.db'}", "detector.batch": 1}
    with Plugin(values, analyzer=analyzer) as made:
        analyzer.go.set()
        made.index(library)
        analyzer.go.clear()
        analyzer.analysing.clear()
        yield made
        analyzer.go.set()


@contextmanager
def indexing(plugin: Plugin, analyzer: SlowAnalyzer, library: Path, photos: int = 3) -> Iterator[threading.Thread]:
    """Index more photos on a thread, and hold the run in its first batch."""
    for number in range(photos):
        draw(library / f"more-{number}.png", (40, 0), seed=50 + number)
    thread = threading.Thread(target=plugin.index, args=(library,))
    thread.start()
    try:
        assert analyzer.analysing.wait(60)
        yield thread
    finally:
        analyzer.go.set()
        thread.join(90)
        assert not thread.is_alive()


def seconds_of(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_second_run_is_refused_when_the_first_one_takes_longer_than_the_timeout(
    plugin: Plugin, analyzer: SlowAnalyzer, library: Path
) -> None:
    with indexing(plugin, analyzer, library):
        began = time.monotonic()
        with pytest.raises(BusyError, match="busy with 'index'") as caught:
            plugin.index(library, timeout=0.3)
        assert 0.2 < time.monotonic() - began < 30
        assert (caught.value.running, caught.value.status, caught.value.exit_code) == ("index", 409, 4)
        assert plugin.status().state == "indexing"
    assert plugin.status().state == "idle"


def test_erasing_waits_for_a_run_no_longer_than_asked(plugin: Plugin, analyzer: SlowAnalyzer, library: Path) -> None:
    with indexing(plugin, analyzer, library):
        began = time.monotonic()
        with pytest.raises(BusyError):
            plugin.forget(faces=[1], wait=0.3)
        assert time.monotonic() - began < 30
    assert plugin.forget(faces=[1], wait=5).faces == 1


def test_a_face_is_drawn_at_once_during_a_run_and_described_between_two_batches(
    plugin: Plugin, analyzer: SlowAnalyzer, library: Path
) -> None:
    with indexing(plugin, analyzer, library):
        began = time.monotonic()
        done = plugin.correct(corrections.draw(1, DRAWN), wait=0.2)
        assert time.monotonic() - began < 30
        (face_id,) = done.face_ids
        assert face_id is not None
        assert done.undescribed == {face_id}, "the networks are busy"
        assert plugin.face(face_id).age is None
        analyzer.seconds = 0.5
        analyzer.go.set()
        deadline = time.monotonic() + 60
        while plugin.face(face_id).age is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_correction_does_not_claim_estimates_that_are_still_being_made(
    plugin: Plugin, analyzer: SlowAnalyzer, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describing, go_on = threading.Event(), threading.Event()
    describe = analyzer.describe

    def slowly(picture: Picture, boxes: Sequence[Box]) -> list[Face]:
        describing.set()
        go_on.wait(60)
        return describe(picture, boxes)

    monkeypatch.setattr(analyzer, "describe", slowly)
    first = threading.Thread(target=plugin.correct, args=(corrections.draw(1, DRAWN),), kwargs={"wait": 5.0})
    first.start()
    assert describing.wait(60)
    done = plugin.correct(corrections.draw(1, Box(0.1, 0.6, 0.2, 0.2)), wait=0.3)
    assert done.undescribed == set(done.face_ids), "the first face's estimates are being made, not this one's"
    go_on.set()
    first.join(60)
    deadline = time.monotonic() + 60
    (face_id,) = done.face_ids
    assert face_id is not None
    plugin.correct(corrections.draw(1, Box(0.6, 0.1, 0.2, 0.2)))
    while plugin.face(face_id).age is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_face_that_is_drawn_while_nothing_runs_is_described_at_once(plugin: Plugin, analyzer: SlowAnalyzer) -> None:
    analyzer.go.set()
    done = plugin.correct(corrections.draw(1, DRAWN))
    (face_id,) = done.face_ids
    assert done.undescribed == set()
    assert face_id is not None
    assert plugin.face(face_id).age is not None


def test_a_call_from_a_listener_that_would_wait_for_itself_is_refused(
    plugin: Plugin, analyzer: SlowAnalyzer, library: Path
) -> None:
    analyzer.go.set()
    refused: list[BusyError] = []

    def index_again(event: events.Event) -> None:
        if isinstance(event, events.Discovered):
            try:
                plugin.index(library)
            except BusyError as error:
                refused.append(error)

    plugin.subscribe(index_again)
    assert seconds_of(lambda: plugin.index(library)) < SOON
    assert refused and "listener" in str(refused[0])


def test_a_watcher_waits_for_another_process_and_says_so_and_stops_at_once(
    tmp_path: Path, library: Path, analyzer: SlowAnalyzer
) -> None:
    draw(library / "first.png", (5, 255))
    analyzer.go.set()
    file = tmp_path / "shared.db"
    heard: list[events.Event] = []
    plugin = Plugin({"database.url": f"sqlite:///{file}"}, heard.append, analyzer=analyzer)
    plugin.start()
    with FileLock(f"{file}.lock"):
        plugin.start(watch=[library])
        _until(lambda: plugin.status().error is not None)
        assert "another Rollcall is indexing" in str(plugin.status().error)
        assert any(isinstance(event, events.Warned) and "another Rollcall" in event.message for event in heard)
        assert seconds_of(plugin.stop) < SOON
        plugin.start(watch=[library])
        _until(lambda: plugin.status().error is not None)
    _until(lambda: plugin.status().photos.get("indexed") == 1 and plugin.status().error is None)
    plugin.stop()


def test_a_plugin_stops_at_once_while_its_networks_are_loaded(tmp_path: Path, library: Path) -> None:
    class Loading(BlobAnalyzer):
        def warm_up(self) -> None:
            time.sleep(20)

    plugin = Plugin({"database.url": f"sqlite:///{tmp_path / 'warm.db'}"}, analyzer=Loading())
    plugin.start(watch=[library])
    time.sleep(0.2)
    assert seconds_of(plugin.stop) < SOON


def test_several_listeners_hear_the_same_and_one_that_fails_stops_nothing(
    plugin: Plugin, analyzer: SlowAnalyzer, library: Path, caplog: pytest.LogCaptureFixture
) -> None:
    analyzer.go.set()
    first: list[events.Event] = []
    second: list[events.Event] = []

    def fail(event: events.Event) -> None:
        raise RuntimeError("this listener is broken")

    plugin.subscribe(first.append)
    plugin.subscribe(fail)
    end = plugin.subscribe(second.append)
    draw(library / "new.png", (6, 0), seed=9)
    assert plugin.index(library).indexed == 1
    assert plugin.correct(corrections.age(1, 40)).count == 1
    assert first == second
    assert any(isinstance(event, events.PhotoIndexed) for event in first)
    assert events.Corrected(1, 1) in first
    assert "this listener is broken" in caplog.text
    end()
    plugin.undo()
    assert len(first) > len(second)


def test_a_forked_child_is_refused_the_plugin_of_its_parent(plugin: Plugin) -> None:
    context = multiprocessing.get_context("fork")
    parent, child = context.Pipe()

    def use() -> None:
        try:
            plugin.status()
        except LifecycleError as error:
            child.send(str(error))
        else:
            child.send("nothing was raised")

    process = context.Process(target=use)
    process.start()
    assert parent.poll(20), "the child hangs"
    assert "spawn" in parent.recv()
    process.join(20)


def test_a_child_that_was_forked_after_the_networks_were_loaded_is_refused_them(tmp_path: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    script = tmp_path / "fork.py"
    script.write_text(
        f"""
import os, sys
from pathlib import Path
from rollcall import Plugin
from rollcall.errors import LifecycleError

values = {{"cache.folder": {str(tmp_path / "cache")!r}, "detector.resolution": 64}}
with Plugin(values | {{"database.url": "sqlite:///{tmp_path / "parent.db"}"}}) as parent:
    parent.index(Path({str(library)!r}))
    if os.fork() == 0:
        try:
            with Plugin(values | {{"database.url": "sqlite:///{tmp_path / "child.db"}"}}) as child:
                child.index(Path({str(library)!r}))
        except LifecycleError as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()
"""
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert "forked after the networks were loaded" in done.stdout, done.stderr[-2000:]


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
