"""Python's garbage collection at times when nobody waits.

A full collection looks at every object of the process, those of all libraries too: 150 ms and more, in the middle of
some request. What stays is left out of it, once it was looked through while nobody waits. Python begins one after so
many smaller ones; here it waits for a moment in which nobody waits, and comes in a request only if there is none for
long.
"""

from __future__ import annotations

import gc
import time
from typing import Final

#: How long it waits at least from one time to the next, in seconds.
_EVERY: Final = 60.0
#: Objects that come to stay, less those that go, until the youngest are looked at: one scroll makes some thousands, of
#: which the rest are freed as soon as nobody refers to them, without any collection.
_YOUNG: Final = 10_000
#: After so many collections of the middle ones a full one is due, and after so many it comes at any time. What only a
#: full one frees are objects that refer to each other in a ring.
_DUE, _LATEST = 2, 20


class Collecting:
    """Keeps full collections short. It is of the whole process, so one is enough."""

    def __init__(self) -> None:
        self._collections: int | None = None  # full ones until the last time
        self._at = 0.0  # on the clock that only grows

    def is_due(self) -> bool:
        """Return whether there may be much that full collections look at or free: there was one, or would have been."""
        if self._collections is None:
            return True
        may_be = _full() != self._collections or gc.get_count()[2] >= _DUE
        return may_be and time.monotonic() - self._at >= _EVERY

    def collect(self) -> None:
        """Free what nobody uses any more, and leave all that is left out of the collections to come."""
        # What was left out before is looked at again, so that nothing of it stays for ever.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG, 10, _LATEST)
        self._collections, self._at = _full(), time.monotonic()


def _full() -> int:
    return int(gc.get_stats()[2]["collections"])
