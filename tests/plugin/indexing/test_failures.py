"""A photo that failed is tried again when the cause of the failure may have gone, and not before."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import Plugin
from rollcall.errors import ModelError
from rollcall.indexing import failures
from rollcall.indexing.indexer import Indexer
from rollcall.inference.analyzer import Analyzer
from rollcall.media import decode
from rollcall.settings import CacheSettings, DecodeSettings, Settings
from rollcall.storage.database import Database


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row[0]: row[1] for row in session.execute(text("SELECT path, state FROM v1_photos"))}


def test_a_photo_over_the_limit_is_indexed_once_the_limit_is_raised(
    make_indexer: Callable[..., Indexer], database: Database, library: Path
) -> None:
    draw(library / "large.png", (5, 255))
    strict = Settings(decode=DecodeSettings(max_megapixels=0.001))
    assert make_indexer(strict).run([library]).failed == 1
    again = make_indexer(strict).run([library])
    assert (again.failed, again.skipped) == (0, 1), "nothing changed that could help"
    assert make_indexer().run([library]).indexed == 1
    assert states(database) == {"large.png": "indexed"}


def test_a_file_that_is_no_picture_is_tried_again_by_another_version_only(
    make_indexer: Callable[..., Indexer], library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / "text.jpg").write_text("this is no picture")
    assert make_indexer().run([library]).failed == 1
    assert make_indexer().run([library]).skipped == 1
    monkeypatch.setattr(failures, "_versions", lambda: "rollcall of next year")
    assert make_indexer().run([library]).failed == 1


@pytest.mark.skipif(os.name == "nt", reason="permissions are other things on Windows")
def test_a_file_that_could_not_be_read_is_tried_by_every_run(
    make_indexer: Callable[..., Indexer], library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(library / "a.png", (5, 255))
    original = os.open

    def refuse(path: str | Path, *arguments: Any, **options: Any) -> int:
        if Path(path).name == "a.png":
            raise PermissionError(13, "Permission denied")
        return original(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert make_indexer().run([library]).failed == 1
        assert make_indexer().run([library]).failed == 1
    assert make_indexer().run([library]).indexed == 1


def test_retry_tries_every_failure_again(tmp_path: Path, library: Path) -> None:
    (library / "text.jpg").write_text("this is no picture")
    with Plugin({"database.url": f"sqlite:///{tmp_path / 'r.db'}"}, analyzer=BlobAnalyzer()) as plugin:
        assert plugin.index(library).failed == 1
        assert plugin.retry() == 1
        assert plugin.index(library).failed == 1


def test_trouble_of_the_networks_ends_the_run_and_is_charged_to_no_photo(
    make_indexer: Callable[..., Indexer], analyzer: BlobAnalyzer, database: Database, library: Path
) -> None:
    draw(library / "a.png", (5, 255))
    draw(library / "b.png", (6, 255), seed=1)

    class Broken(BlobAnalyzer):
        def analyze(self, pictures):
            raise ModelError("the weights are damaged; reinstall Rollcall")

    with pytest.raises(ModelError):
        Indexer(database, Broken(), Settings()).run([library])
    assert set(states(database).values()) == {"pending"}
    assert make_indexer().run([library]).indexed == 2


def test_a_cache_folder_that_cannot_be_made_costs_the_cache_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "a file, not a folder"
    blocked.touch()
    analyzer = Analyzer(Settings(cache=CacheSettings(folder=str(blocked / "cache"))))
    draw(tmp_path / "a.png")
    with caplog.at_level(logging.WARNING):
        # The program for small pictures alone is compiled then.
        assert len(analyzer.analyze([decode.decode(tmp_path / "a.png")])) == 1
    assert "cache.folder" in caplog.text


def test_a_file_from_the_year_2300_is_indexed_like_any_other(
    indexer: Indexer, database: Database, library: Path
) -> None:
    draw(library / "a.png", (5, 255))
    draw(library / "b.png", (6, 255), seed=1)
    os.utime(library / "b.png", (10_413_792_000, 10_413_792_000))
    if (library / "b.png").stat().st_mtime_ns < 2**63:
        pytest.skip("this file system does not hold such a time")
    assert indexer.run([library]).indexed == 2
    assert indexer.run([library]).skipped == 2
