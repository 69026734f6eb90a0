"""The plugin object as a host uses it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from blobs import BlobAnalyzer, draw
from rollcall import RollcallError, events
from rollcall.host import Plugin


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(
        {"database.url": f"sqlite:///{tmp_path / 'host.db'}", "watch.settle_seconds": 0.1}, analyzer=BlobAnalyzer()
    )


def test_index_search_and_status(plugin: Plugin, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    draw(library / "b.png", (50, 0), seed=1)
    assert plugin.status().state == "stopped"
    plugin.start()
    assert plugin.index([library]).indexed == 2
    (hit,) = plugin.search("photos of children")
    assert (hit.path.name, hit.probability, len(hit.faces)) == ("a.png", 1.0, 1)
    status = plugin.status()
    assert (status.state, dict(status.photos), status.faces) == ("idle", {"indexed": 2}, 2)
    plugin.stop()
    assert plugin.status().state == "stopped"


def test_a_search_before_start_raises_an_error_that_names_start(plugin: Plugin) -> None:
    with pytest.raises(RollcallError, match="start"):
        plugin.search("kids")


def test_watching_finds_new_photos_and_stop_ends_it(plugin: Plugin, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    events_seen: list[events.Event] = []
    plugin.subscribe(events_seen.append)
    plugin.start(watch=[library])
    try:
        _until(lambda: len(plugin.search("kids")) == 1)
        draw(library / "b.png", (6, 0), seed=1)
        _until(lambda: len(plugin.search("kids")) == 2)
        assert plugin.status().state == "watching"
    finally:
        plugin.stop()
    assert sum(isinstance(event, events.PhotoIndexed) for event in events_seen) == 2


def test_an_invalid_setting_is_refused() -> None:
    with pytest.raises(RollcallError, match="detector.min_face"):
        Plugin({"detector.min_face": -1})


def _until(condition: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)
