"""What a host imports and calls, as the documentation shows it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from blobs import BlobAnalyzer, draw
from rollcall import Hit, Plugin, Settings, corrections, errors, events
from rollcall.settings import load


def settings(tmp_path: Path, name: str = "api.db") -> Settings:
    return load(None, {"database.url": f"sqlite:///{tmp_path / name}"})


def test_the_package_offers_what_a_host_needs_and_loads_it_when_asked_for() -> None:
    script = (
        "import sys, rollcall\n"
        "assert not {'sqlalchemy', 'cv2', 'jax'} & set(sys.modules), 'loaded without being asked for'\n"
        "from rollcall import Plugin, Settings, Hit, Status, corrections, events, errors\n"
        "assert Plugin.__module__.startswith('rollcall.host') and corrections.age(1, 5).low == 5\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_plugin_is_a_context_manager_and_takes_an_analyzer_and_one_folder(tmp_path: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    analyzer = BlobAnalyzer()
    with Plugin(settings=settings(tmp_path), analyzer=analyzer) as plugin:
        assert plugin.index(library).indexed == 1
        (hit,) = plugin.search("photos of children")
        assert isinstance(hit, Hit)
    assert analyzer.seen == 1
    assert plugin.status().state == "stopped"
    with pytest.raises(errors.LifecycleError, match="start"):
        plugin.search("kids")


def test_hits_come_by_probability_or_by_date(tmp_path: Path, library: Path) -> None:
    draw(library / "unsure.png", (13, 255))
    draw(library / "sure.png", (5, 255), seed=1)
    with Plugin(settings=settings(tmp_path), analyzer=BlobAnalyzer()) as plugin:
        plugin.index([library])
        assert [hit.path.name for hit in plugin.search("kids")] == ["sure.png", "unsure.png"]
        by_date = [hit.photo_id for hit in plugin.search("kids", order="date")]
        assert by_date == sorted(by_date, reverse=True), "without capture times the newest number comes first"


def test_faces_and_photos_are_erased_by_number_and_tried_without_doing(tmp_path: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255), (40, 0))
    draw(library / "b.png", (61, 255), seed=1)
    with Plugin(settings=settings(tmp_path), analyzer=BlobAnalyzer()) as plugin:
        plugin.index(library)
        assert plugin.forget(faces=[1], photos=[2], dry_run=True).faces == 2
        assert plugin.status().faces == 3
        assert plugin.forget(faces=[1], photos=[2]).faces == 2
        assert plugin.status().faces == 1
        with pytest.raises(errors.NotFoundError) as caught:
            plugin.forget(faces=[99])
        assert (caught.value.kind, caught.value.key, caught.value.status) == ("face", 99, 404)


def test_two_plugins_live_in_one_process_on_one_database(tmp_path: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with (
        Plugin(settings=settings(tmp_path), analyzer=BlobAnalyzer()) as one,
        Plugin(settings=settings(tmp_path), analyzer=BlobAnalyzer()) as other,
    ):
        one.index(library)
        other.correct(corrections.age(1, 40))
        assert one.face(1).age == 40


def test_asyncio_calls_a_plugin_on_threads(tmp_path: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))

    async def work(plugin: Plugin) -> tuple[int, int]:
        summary = await asyncio.to_thread(plugin.index, library)
        hits = await asyncio.gather(*(asyncio.to_thread(plugin.search, "kids") for _ in range(4)))
        return summary.indexed, sum(map(len, hits))

    with Plugin(settings=settings(tmp_path), analyzer=BlobAnalyzer()) as plugin:
        assert asyncio.run(work(plugin)) == (1, 4)


def test_the_names_of_earlier_errors_still_catch_them(tmp_path: Path) -> None:
    with Plugin(settings=settings(tmp_path), analyzer=BlobAnalyzer()) as plugin:
        with pytest.raises(errors.CorrectionError):
            plugin.undo()
        with pytest.raises(errors.CorrectionError):
            plugin.correct(corrections.age(99, 40))
        with pytest.raises(errors.ForgetError):
            plugin.forget("face:x")
        with pytest.raises(errors.QueryError):
            plugin.search("children and")


def test_a_read_only_plugin_changes_nothing(tmp_path: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    chosen = settings(tmp_path)
    with Plugin(settings=chosen, analyzer=BlobAnalyzer()) as plugin:
        plugin.index(library)
    reader = Plugin(settings=chosen, analyzer=BlobAnalyzer())
    reader.start(read_only=True)
    assert len(reader.search("kids")) == 1
    with pytest.raises(errors.StoreError, match="written"):
        reader.correct(corrections.age(1, 40))
    reader.stop()


def test_events_are_values(tmp_path: Path) -> None:
    assert events.Corrected(1, 2) == events.Corrected(1, 2)
