"""A log is imported in portions: others can write in between, and an interrupted import is completed by the next."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.corrections import recover, transfer
from rollcall.errors import InvalidCorrectionError
from rollcall.host import Plugin

PHOTOS = 12


def opened(folder: Path, name: str) -> Plugin:
    plugin = Plugin({"database.url": f"sqlite:///{folder / name}"}, analyzer=BlobAnalyzer())
    plugin.start()
    plugin.index([folder / "photos"])
    return plugin


@pytest.fixture
def exported(tmp_path: Path) -> list[dict[str, Any]]:
    """A log of twelve photos with three corrections each, the last batch undone."""
    for number in range(PHOTOS):
        draw(tmp_path / "photos" / f"{number:02}.png", (20 + number, 255), seed=number)
    plugin = opened(tmp_path, "first.db")
    for photo in plugin.photos([hit.photo_id for hit in plugin.search("faces:>=1")]):
        face_id = photo.faces[0].face_id
        plugin.correct(corrections.age(face_id, 40), corrections.gender(face_id, "male"))
        plugin.correct(corrections.tag(photo.photo_id, "summer", True))
    plugin.undo()
    lines = plugin.export_corrections()
    plugin.stop()
    assert len(lines) == PHOTOS * 3 + 1
    return lines


def said(plugin: Plugin) -> Any:
    photos = plugin.photos([hit.photo_id for hit in plugin.search("faces:>=1", min_probability=0)])
    return sorted(
        (photo.path.name, [face.age_interval for face in photo.faces], sorted(tag.name for tag in photo.tags))
        for photo in photos
    )


def test_portions_amount_to_the_whole_log(
    tmp_path: Path, exported: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path, "first.db")
    expected = said(first)
    first.stop()
    monkeypatch.setattr(transfer, "PORTION", 5)
    monkeypatch.setattr(recover, "HOLD_SECONDS", 0.0001)
    second = opened(tmp_path, "second.db")
    counted: list[tuple[int, int]] = []
    imported = second.import_corrections(exported, progress=lambda done, total: counted.append((done, total)))
    assert (imported.added, imported.known, imported.waiting) == (len(exported), 0, 0)
    assert [done for done, _ in counted] == [5, 10, 15, 20, 25, 30, 35, 37]
    assert said(second) == expected
    assert second.import_corrections(exported).known == len(exported)
    second.stop()


def test_an_interrupted_import_is_completed_by_the_next(
    tmp_path: Path, exported: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PORTION", 5)
    first = opened(tmp_path, "first.db")
    expected = said(first)
    first.stop()
    second = opened(tmp_path, "second.db")

    def interrupt(done: int, total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        second.import_corrections(exported, progress=interrupt)
    imported = second.import_corrections(exported)
    assert (imported.added, imported.known) == (len(exported) - 20, 20)
    assert said(second) == expected
    second.stop()


def test_a_log_with_one_wrong_line_is_not_imported_at_all(tmp_path: Path, exported: list[dict[str, Any]]) -> None:
    second = opened(tmp_path, "second.db")
    exported[-1] = exported[-1] | {"kind": "nonsense"}
    with pytest.raises(InvalidCorrectionError, match=f"correction {len(exported)} "):
        second.import_corrections(exported)
    assert second.corrections() == []
    second.stop()


def test_others_write_between_the_portions(
    tmp_path: Path, exported: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PORTION", 5)
    monkeypatch.setattr(recover, "HOLD_SECONDS", 0)
    second = opened(tmp_path, "second.db")
    # It waits for nobody: were the import's transaction still open, it would be refused at once.
    other = sqlite3.connect(tmp_path / "second.db", isolation_level=None, timeout=0)
    pauses: list[float] = []

    def write(seconds: float) -> None:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('other', 'x')")
        other.execute("COMMIT")
        pauses.append(seconds)

    monkeypatch.setattr(transfer, "sleep", write)
    monkeypatch.setattr(recover, "sleep", write)
    assert second.import_corrections(exported).added == len(exported) == 37
    other.close()
    second.stop()
    # Eight portions of lines, and one after each photo but the last that lines are attached to.
    assert len(pauses) >= 8 + PHOTOS - 1
    # A waiting SQLite tries again after at most a tenth of a second.
    assert min(pauses) >= 0.1
