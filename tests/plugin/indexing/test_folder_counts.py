"""Photos of folders are counted in a bounded time, for whoever chooses one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollcall.indexing import folder_counts
from rollcall.indexing.folder_counts import FolderCount, count_photos
from rollcall.video_settings import VideoSettings


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_photos_and_videos_below_a_folder_count_and_nothing_else_does(tmp_path: Path) -> None:
    touch(tmp_path / "one", "a.JPG", "b.heic", "notes.txt", "2020/c.png", "2020/clip.mov", ".hidden/d.jpg", ".e.jpg")
    touch(tmp_path / "one", "private/.rollcall-ignore", "private/f.jpg")
    touch(tmp_path / "two", "g.jpg")
    (tmp_path / "one" / "back").symlink_to(tmp_path, target_is_directory=True)
    folders = [tmp_path / "one", tmp_path / "two", tmp_path / "none"]
    counts = count_photos(folders, VideoSettings(index="on"), seconds=30)
    assert counts == [FolderCount(4, 1, True), FolderCount(1, 0, True), FolderCount(0, 0, False)]
    assert count_photos(folders[:1], seconds=30) == [FolderCount(3, 0, True)]


def test_of_many_photos_some_are_counted_and_a_large_folder_leaves_time_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_counts, "MOST", 20)
    touch(tmp_path / "large", *(f"{number % 5}/{number}.jpg" for number in range(40)))
    touch(tmp_path / "small", "a.jpg")
    large, small = count_photos([tmp_path / "large", tmp_path / "small"], seconds=30)
    assert (large.photos, large.complete) == (20, False)
    assert small == FolderCount(1, 0, True)


def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "here", "a.jpg")
    touch(tmp_path / "share", "b.jpg")
    answer = threading.Event()

    def scandir(path: Any, real: Any = os.scandir) -> Iterator[Any]:
        if os.fspath(path).endswith("share"):
            answer.wait(60)
        found: Iterator[Any] = real(path)
        return found

    monkeypatch.setattr(folder_counts.os, "scandir", scandir)
    folders = [tmp_path / "here", tmp_path / "share"]
    try:
        here, share = count_photos(folders, seconds=2)
        assert here.photos == 1 and share == FolderCount()
        # However often somebody asks, threads that hang are few.
        for _ in range(8):
            count_photos(folders[1:], seconds=0.01)
        assert sum(one.name == "rollcall-counts" for one in threading.enumerate()) <= 4
        assert count_photos(folders[:1], seconds=0.5) == [FolderCount()]
    finally:
        answer.set()
        while any(one.name == "rollcall-counts" for one in threading.enumerate()):
            time.sleep(0.01)
