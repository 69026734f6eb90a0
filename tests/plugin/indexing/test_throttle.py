"""How much of the computer a run takes, and what it does beside what."""

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
from rollcall.indexing import throttle
from rollcall.indexing.indexer import Indexer
from rollcall.indexing.throttle import Throttle
from rollcall.indexing.writer import Writer
from rollcall.media import decode
from rollcall.records import Picture
from rollcall.settings import DetectorSettings, PowerSettings, Settings
from rollcall.storage.database import Database, open_database


def test_on_the_mains_nothing_waits() -> None:
    began = time.perf_counter()
    Throttle(PowerSettings(on_battery="slow"), battery=lambda: False).wait_after(5.0, None)
    Throttle(PowerSettings(on_battery="full"), battery=lambda: True).wait_after(5.0, None)
    assert time.perf_counter() - began < 1


def test_slow_waits_as_long_as_it_worked() -> None:
    began = time.perf_counter()
    Throttle(PowerSettings(on_battery="slow"), battery=lambda: True).wait_after(0.2, threading.Event())
    assert time.perf_counter() - began >= 0.19


def test_paused_goes_on_when_the_power_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "CHECK_SECONDS", 0.02)
    plugged = iter([True, True, True, False])
    told: list[events.Event] = []
    Throttle(PowerSettings(on_battery="pause"), told.append, battery=lambda: next(plugged)).wait_after(
        1.0, threading.Event()
    )
    assert next(plugged, None) is None
    assert len(told) == 1


def test_a_paused_run_can_be_stopped() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.perf_counter()
    Throttle(PowerSettings(on_battery="pause"), battery=lambda: True).wait_after(1.0, stop)
    assert time.perf_counter() - began < 5


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux threads have priorities of their own")
def test_threads_that_decode_stand_back_and_no_others() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1, initializer=throttle.lower_thread_priority) as pool:
        behind = pool.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert behind == min(before + throttle.THREAD_STEP, 19)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux threads have priorities of their own")
@pytest.mark.parametrize(("batch", "behind"), [(8, 0), (1, throttle.THREAD_STEP)])
def test_only_in_a_long_run_decoding_stands_back(
    make_indexer: Callable[..., Indexer], library: Path, monkeypatch: pytest.MonkeyPatch, batch: int, behind: int
) -> None:
    for number in range(3):
        draw(library / f"{number}.png", (5, 0), seed=number)
    read, seen = decode.decode, set()

    def noted(*args: Any, **kwargs: Any) -> Picture:
        seen.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return read(*args, **kwargs)

    monkeypatch.setattr(decode, "decode", noted)
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
        assert second.wait(10), "the second picture was not analysed while the first one was written"
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
        patch.setattr(indexer.pipeline.store, "_store_one", lambda *_: 1 / 0)
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


def test_work_is_done_in_order_and_told_on_the_calling_thread() -> None:
    told: list[tuple[int, str]] = []
    here = threading.current_thread().name
    writer = Writer(threaded=True)
    with writer.running():
        for number in range(5):
            writer.submit(
                lambda number=number: number, lambda done: told.append((done, threading.current_thread().name))
            )
    assert told == [(number, here) for number in range(5)]
