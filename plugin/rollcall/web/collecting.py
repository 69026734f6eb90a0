"""Python's garbage collection at times when nobody waits.

A full collection looks at every object of the process, those of all libraries too: 150 ms and more, in the middle of
some request. What stays is left out of it, once it was looked through while nobody waits.
"""

from __future__ import annotations

import gc
import time
from typing import Final

#: How long it waits at least from one time to the next, in seconds.
_EVERY: Final = 60.0


class Collecting:
    """Keeps full collections short. It is of the whole process, so one is enough."""

    def __init__(self) -> None:
        self._collections: int | None = None  # full ones until the last time
        self._at = 0.0  # on the clock that only grows

    def is_due(self) -> bool:
        """Return whether there may be much that full collections look at: there was one since the last time."""
        return self._collections is None or (_full() != self._collections and time.monotonic() - self._at >= _EVERY)

    def collect(self) -> None:
        """Free what nobody uses any more, and leave all that is left out of the collections to come."""
        # What was left out before is looked at again, so that nothing of it stays for ever.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._collections, self._at = _full(), time.monotonic()


def _full() -> int:
    return int(gc.get_stats()[2]["collections"])
