"""What guests play of videos: copies that tell nothing of places, people and cameras, made when they are asked for.

They lie in the cache folder, which erasure empties, up to `serve.videos_megabytes`.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool

from rollcall.errors import TooLargeError
from rollcall.media import bare_video
from rollcall.remote.originals import delete_oldest
from rollcall.sentences import Sentence
from rollcall.storage import parts
from rollcall.storage.private import private_folder
from rollcall.web.picture_jobs import PictureJobs
from rollcall.web.pictures import Pictures

#: Copies are made by the disk, one at a time: two would only hinder each other.
_AT_ONCE: Final = 1
#: What the containers of a copy may take beside what is copied.
_MORE: Final = 1.02


class GuestVideos:
    """The copies of one library's videos. May be used from any thread."""

    def __init__(self, pictures: Pictures) -> None:
        settings = pictures.plugin.settings
        self.pictures = pictures
        self.jobs = PictureJobs(_AT_ONCE)
        self.copying = threading.Lock()  # held by downloads, too, which make copies on their own threads
        self.top = settings.thumbnail_folder
        self.folder = pictures.folder.with_name(f"{pictures.folder.name}-videos")
        self.limit = settings.serve.videos_megabytes * 1_000_000

    async def file(self, video_id: int, is_gone: Callable[[], Awaitable[bool]]) -> Path | None:
        """Return the copy of a video, which is made once however many ask; None if whoever asked has gone.

        Raises
        ------
        PictureError
            If it cannot be shown: `UnsupportedFormatError` if what it tells cannot be taken out, `TooLargeError` if it
            takes more than all copies may.
        """
        path, version = await run_in_threadpool(self.pictures.file, video_id)
        copy = await run_in_threadpool(self._place, path, version)
        if not copy.is_file():

            def make(abandoned: threading.Event) -> bytes:
                self._make(path, copy, abandoned)
                return b""

            if await self.jobs.result((video_id, version), make, is_gone) is None:
                return None
        return copy

    def made(self, video_id: int) -> Path:
        """Return the copy of a video, once it is there.

        Raises
        ------
        PictureError
            As `file` does.
        """
        path, version = self.pictures.file(video_id)
        copy = self._place(path, version)
        self._make(path, copy, threading.Event())
        return copy

    def _place(self, path: Path, version: str) -> Path:
        places = {form: self.folder / f"{version}{suffix}" for form, suffix in bare_video.SUFFIXES.items()}
        known = next((one for one in places.values() if one.is_file()), None)
        return known or places[bare_video.form_of(path)]

    def _make(self, path: Path, copy: Path, abandoned: threading.Event) -> None:
        with self.copying:
            if copy.is_file():
                # Used last: what is downloaded is not deleted to make room for what comes next in the same download.
                copy.touch()
            else:
                self._copy(path, copy, abandoned)

    def _copy(self, path: Path, copy: Path, abandoned: threading.Event) -> None:
        if path.stat().st_size * _MORE > self.limit:
            raise TooLargeError(
                path,
                Sentence("it takes more than copies for guests may"),
                Sentence("raise the setting serve.videos_megabytes if it is wanted"),
            )
        private_folder(self.folder, below=self.top)
        with parts.completed(copy) as part:
            part.touch(mode=0o600)
            bare_video.copy(path, part, abandoned)
        delete_oldest(self.folder.iterdir(), self.limit, self.limit, spared=copy)
