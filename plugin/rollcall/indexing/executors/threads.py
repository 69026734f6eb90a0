"""Analyse in this process: threads decode ahead, the calling thread takes pictures through the networks in batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from rollcall.indexing import throttle
from rollcall.indexing.executors.analysis import FaceFinder, Outcome, Task, decoded, estimated, options_here
from rollcall.indexing.executors.base import StoppedError, Stopping, in_turn
from rollcall.indexing.profile import Profile
from rollcall.media import allocator
from rollcall.media.worker import Interrupted
from rollcall.settings import Settings


class ThreadExecutor:
    """Quickest for a few photos, since nothing has to be started; and the one that uses a GPU.

    Parameters
    ----------
    long
        Whether there are more photos than one batch has. With few photos the analysis waits for decoding; with many,
        decoding threads must not slow the analysis down, and get a lower priority.
    stop
        Set where the run is stopped, also while a long video is searched.
    least
        How many pictures go through the networks together at least, whatever the setting says.
    keep_pixels
        As of `WholePhotoExecutor`.
    """

    def __init__(
        self,
        analyzer: FaceFinder,
        settings: Settings,
        profile: Profile,
        long: bool,
        stop: threading.Event | None = None,
        least: int = 1,
        *,
        keep_pixels: bool = False,
    ) -> None:
        self._analyzer, self._profile = analyzer, profile
        self._options = options_here(settings, stop)._replace(strip=not keep_pixels)
        self._size = max(settings.detector.batch, least)
        self._ahead = settings.decode_threads + self._size
        self._pool = ThreadPoolExecutor(
            settings.decode_threads,
            thread_name_prefix="decode",
            initializer=throttle.lower_thread_priority if long else None,
        )

    def outcomes(self, tasks: Iterator[Task], stopping: Stopping) -> Iterator[Outcome]:
        """See `Executor`; what could not be decoded comes before the batch that is being collected."""
        batch: list[Outcome] = []
        batches = 0
        for outcome in self._decoded(tasks, stopping):
            if outcome.picture is None:
                yield outcome
                continue
            batch.append(outcome)
            if len(batch) >= self._size:
                yield from self._estimated(batch)
                batch = []
                batches += 1
                # As other processes do (`worker_main`): programs are compiled and loaded for the first photos.
                if batches & (batches - 1) == 0:
                    allocator.trim()
        yield from self._estimated(batch)

    def close(self) -> None:
        """Drop what is decoded ahead.

        A run that was stopped does not wait for a file that takes long to decode; what its thread still decodes
        nobody stores.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        # What a page or a host that goes on running needs no more.
        allocator.trim()

    def _decoded(self, tasks: Iterator[Task], stopping: Stopping) -> Iterator[Outcome]:
        """Return tasks decoded, in their order, with at most `_ahead` of them decoded in advance."""
        return in_turn(
            tasks,
            lambda task: self._pool.submit(self._decode, task),
            self._ahead,
            lambda: self._profile("waiting for decoding"),
            stopping,
        )

    def _decode(self, task: Task) -> Outcome:
        with self._profile("decode", parallel=True):
            return decoded(task, self._options)

    def _estimated(self, batch: list[Outcome]) -> list[Outcome]:
        try:
            with self._profile("detect and estimate"):
                return estimated(batch, self._analyzer, self._options)
        except Interrupted as error:
            raise StoppedError from error
