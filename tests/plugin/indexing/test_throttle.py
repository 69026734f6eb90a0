"""Priorities, waits on battery, and the writer's thread."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import events
from rollcall.detector_settings import DetectorSettings
from rollcall.indexing import throttle
from rollcall.indexing.indexer import Indexer
from rollcall.indexing.throttle import Throttle
from rollcall.indexing.writer import Writer
from rollcall.media import decode
from rollcall.records import Picture
from rollcall.settings import PowerSettings, Settings
from rollcall.storage.database import Database, open_database


def test_there_is_no_wait_on_mains_power() -> None:
    began = time.perf_counter()
    Throttle(PowerSettings(on_battery="slow"), battery=lambda: False).wait_after(60.0, None)
    Throttle(PowerSettings(on_battery="full"), battery=lambda: True).wait_after(60.0, None)
    assert time.perf_counter() - began < 30


def test_slow_waits_as_long_as_it_worked() -> None:
    began = time.perf_counter()
    Throttle(PowerSettings(on_battery="slow"), battery=lambda: True).wait_after(0.2, threading.Event())
    assert time.perf_counter() - began >= 0.19


def test_a_pause_ends_when_the_power_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "CHECK_SECONDS", 0.02)
    plugged = iter([True, True, True, False])
    events_seen: list[events.Event] = []
    Throttle(PowerSettings(on_battery="pause"), events_seen.append, battery=lambda: next(plugged)).wait_after(
        1.0, threading.Event()
    )
    assert next(plugged, None) is None
    assert len(events_seen) == 1


def test_a_paused_run_can_be_stopped() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.perf_counter()
    Throttle(PowerSettings(on_battery="pause"), battery=lambda: True).wait_after(1.0, stop)
    assert time.perf_counter() - began < 30


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux threads have priorities of their own")
def test_lower_thread_priority_changes_only_the_calling_thread() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1, initializer=throttle.lower_thread_priority) as pool:
        behind = pool.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert behind == min(before + throttle.THREAD_STEP, 19)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux threads have priorities of their own")
@pytest.mark.parametrize(("batch", "behind"), [(8, 0), (1, throttle.THREAD_STEP)])
def test_decoding_has_lower_priority_only_in_long_runs(
    make_indexer: Callable[..., Indexer], library: Path, monkeypatch: pytest.MonkeyPatch, batch: int, behind: int
) -> None:
    for number in range(3):
        draw(library / f"{number}.png", (5, 0), seed=number)
    read, seen = decode.decode, set()

    def recorded(*args: Any, **kwargs: Any) -> Picture:
        seen.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return read(*args, **kwargs)

    monkeypatch.setattr(decode, "decode", recorded)
    before = os.getpriority(os.PRIO_PROCESS, os.getpid())
    make_indexer(Settings(detector=DetectorSettings(batch=batch))).run([library])
    assert os.getpriority(os.PRIO_PROCESS, os.getpid()) == before
    assert seen == {min(before + behind, 19)}


def test_while_a_batch_is_written_the_next_one_is_analysed(
    make_indexer: Callable[..., Indexer], database: Database, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        draw(library / f"{number}.png", (5, 0), seed=number)
    indexer = make_indexer(Settings(detector=DetectorSettings(batch=1)))
    second = threading.Event()
    analyze, save = indexer.tools.analyzer.analyze, indexer.pipeline.store._store_one
    seen = 0

    def counting(pictures):
        nonlocal seen
        seen += 1
        if seen == 2:
            second.set()
        return analyze(pictures)

    def waiting(*given):
        assert second.wait(60), "the second picture was not analysed while the first one was written"
        return save(*given)

    monkeypatch.setattr(indexer.tools.analyzer, "analyze", counting)
    monkeypatch.setattr(indexer.pipeline.store, "_store_one", waiting)
    assert indexer.run([library]).indexed == 6


def test_an_error_of_the_writer_ends_the_run_and_loses_nothing(
    indexer: Indexer, database: Database, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        draw(library / f"{number}.png", (5, 0), seed=number)
    with monkeypatch.context() as patch:
        patch.setattr(indexer.pipeline.store, "_state", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            indexer.run([library])
    with database.read() as session:
        assert session.execute(text("SELECT DISTINCT state FROM v1_photos")).scalars().all() == ["pending"]
    assert indexer.run([library]).indexed == 4


def test_a_database_in_memory_is_written_on_the_calling_thread(library: Path) -> None:
    draw(library / "a.png", (5, 0))
    database = open_database("sqlite://")
    indexer = Indexer(database, BlobAnalyzer(), Settings())
    assert not indexer.pipeline.writer.threaded
    assert indexer.run([library]).indexed == 1


def test_work_runs_in_order_and_results_come_on_the_calling_thread() -> None:
    results: list[tuple[int, str]] = []
    here = threading.current_thread().name
    writer = Writer(threaded=True)
    with writer.running():
        for number in range(5):
            writer.submit(
                lambda number=number: number, lambda done: results.append((done, threading.current_thread().name))
            )
    assert results == [(number, here) for number in range(5)]
