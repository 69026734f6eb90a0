"""Analyse in this process, each photo wholly on one thread, where an analyzer takes several calls at once.

Fewer pictures are held than where threads decode ahead of one that leads, and threads wait for each other seldom: a
run over 64 photos of 12 megapixels with faces from 40 pixels took 66 ms of a processor for each instead of 69 (medians
of four in turns), and 765 MiB at most instead of 884.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from rollcall.indexing import throttle
from rollcall.indexing.executors.analysis import FaceFinder, Outcome, Task, analyse, options_here
from rollcall.indexing.executors.base import StoppedError, Stopping, in_turn, recorded
from rollcall.indexing.profile import Profile
from rollcall.inference import devices
from rollcall.media import allocator
from rollcall.media.worker import Interrupted
from rollcall.settings import Settings

#: Photos that a thread takes at once, at most: their faces fill a bucket of the attribute network.
CHUNK: Final = 4
#: How many chunks for each thread are given out or waiting.
_AHEAD: Final = 2


def portions(tasks: Iterator[Task], pending: int, most: int, threads: int) -> Iterator[list[Task]]:
    """Yield the tasks, of which there are about `pending`, in lists of at most `most`, in their order.

    Towards the end the lists get shorter, so that no thread is left with several photos while the others have none.
    """
    while portion := list(islice(tasks, max(min(most, pending // (2 * threads)), 1))):
        yield portion
        pending -= len(portion)


class WholePhotoExecutor:
    """Keeps a thread for each processor used.

    Parameters
    ----------
    pending
        How many photos there are, as far as is known. No more than one batch has are given out one at a time, as are
        the last of many; with many, their threads get a lower priority than the one that stores what was found.
    resting
        Returns whether the threads shall work half of the time.
    stop
        Set where the run is stopped, also while a long video is searched.
    keep_pixels
        Whether pictures keep their pixels, for someone who wants to see them; else they are given up once they are
        analysed, and not held until they are stored.
    """

    def __init__(
        self,
        analyzer: FaceFinder,
        settings: Settings,
        profile: Profile,
        pending: int,
        resting: Callable[[], bool] = lambda: False,
        stop: threading.Event | None = None,
        *,
        keep_pixels: bool = False,
    ) -> None:
        self._analyzer, self._profile, self._resting = analyzer, profile, resting
        self._options = options_here(settings, stop)._replace(strip=not keep_pixels)
        long = pending > settings.detector.batch
        self._pending, self._most = pending, min(CHUNK, settings.detector.batch) if long else 1
        count = min(settings.workers, settings.decode_threads)
        self._threads, self._ahead = count, _AHEAD * count
        self._stopped = stop or threading.Event()
        self._pool = ThreadPoolExecutor(
            count,
            thread_name_prefix="photos",
            initializer=throttle.lower_thread_priority if long else None,
        )

    def outcomes(self, tasks: Iterator[Task], stopping: Stopping) -> Iterator[Outcome]:
        """See `Executor`; in the order of the tasks."""
        given = in_turn(
            portions(tasks, self._pending, self._most, self._threads),
            lambda chunk: self._pool.submit(self._analysed, chunk),
            self._ahead,
            lambda: self._profile("waiting for photos"),
            stopping,
        )
        made = 0
        for number, found in enumerate(given, 1):
            yield from recorded(found, self._profile)
            # Programs that are compiled and loaded leave memory behind, mostly for the first photos. What is given
            # back costs time when it is taken again: so only after them, and seldom, at every fourth power of two.
            if number & (number - 1) == 0 and number.bit_length() % 2 and devices.programs_made() != made:
                made = devices.programs_made()
                allocator.trim()

    def close(self) -> None:
        """Drop what is analysed ahead.

        A run that was stopped does not wait for a file that takes long; what its thread still does nobody stores.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        # What a page or a host that goes on running needs no more.
        allocator.trim()

    def _analysed(self, chunk: list[Task]) -> list[Outcome]:
        began = time.monotonic()
        try:
            found = analyse(chunk, self._analyzer, self._options)
        except Interrupted as error:
            raise StoppedError from error
        if self._resting():
            self._stopped.wait(time.monotonic() - began)
        return found
