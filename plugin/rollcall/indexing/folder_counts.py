"""How many photos folders have, as far as it can be told at once, for whoever chooses one of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rollcall.indexing.discovery import suffixes
from rollcall.media.formats import VIDEO_SUFFIXES
from rollcall.settings import EXCLUSION_MARKERS
from rollcall.video_settings import VideoSettings

#: Photos of one folder that are counted.
MOST: Final = 1000
#: How long is counted, in seconds, however many folders there are.
SECONDS: Final = 0.25
#: Names between two looks at whether somebody still waits.
_NAMES: Final = 256
#: Threads that may count at the same time: one that asks a server that does not answer cannot be ended.
_FREE: Final = threading.BoundedSemaphore(4)


@dataclass
class FolderCount:
    """How many photos and videos a folder has, with all below it."""

    photos: int = 0  # with the videos
    videos: int = 0
    complete: bool = False  # else it has at least so many


def count_photos(
    folders: Sequence[Path], videos: VideoSettings | None = None, seconds: float = SECONDS
) -> list[FolderCount]:
    """Return how many photos each of some folders has, as far as `seconds` allow, by the names of files alone.

    Folders take turns, so that a large one leaves time to the others. Links and hidden folders are not followed.

    Parameters
    ----------
    videos
        Whether videos count, as for `discover`.
    """
    counts = [FolderCount() for _ in folders]
    if not _FREE.acquire(blocking=False):
        return counts
    stop = threading.Event()
    wanted = suffixes(videos)

    def count() -> None:
        try:
            _in_turns([_walk(folder, one, wanted, stop) for folder, one in zip(folders, counts, strict=True)])
        finally:
            _FREE.release()

    thread = threading.Thread(target=count, name="rollcall-counts", daemon=True)
    thread.start()
    thread.join(seconds)
    stop.set()
    # A copy: a thread that hangs in a call of the system may go on after it.
    return [FolderCount(one.photos, one.videos, one.complete) for one in counts]


def _in_turns(walks: list[Iterator[None]]) -> None:
    ended = object()
    while walks:
        walks = [one for one in walks if next(one, ended) is not ended]


def _walk(folder: Path, count: FolderCount, wanted: frozenset[str], stop: threading.Event) -> Iterator[None]:
    """Count the photos of a folder level by level; pause after each folder, and after some names of a long one."""
    waiting = [str(folder)]
    complete = True
    for path in waiting:
        below: list[str] = []
        photos, videos = count.photos, count.videos
        try:
            with os.scandir(path) as entries:
                for number, entry in enumerate(entries, 1):
                    if entry.name in EXCLUSION_MARKERS:
                        count.photos, count.videos = photos, videos
                        below.clear()
                        break
                    _see(entry, count, wanted, below)
                    if number % _NAMES == 0:
                        yield
                    if stop.is_set() or count.photos >= MOST:
                        return
        except OSError:
            complete = False
        waiting += below
        yield
        if stop.is_set():
            return
    count.complete = complete


def _see(entry: os.DirEntry[str], count: FolderCount, wanted: frozenset[str], below: list[str]) -> None:
    if entry.name.startswith("."):
        return
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 (of some thousand names)
    if suffix in wanted:
        count.photos += 1
        count.videos += suffix in VIDEO_SUFFIXES
    elif entry.is_dir(follow_symlinks=False):
        below.append(entry.path)
