"""What queries evaluated for every photo of a segment, kept for the next part of the results and the next search.

A commit changes few photos, which stand in a segment of their own; the others are as they were.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.search.columns.segment import Segment

#: Numbers that are kept, of 8 bytes.
_MOST: Final = 4_000_000


class KeptProbabilities:
    """Probabilities of queries, and what these are at most. May be used from any thread."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        # With the segment, so that none of another takes its place in memory.
        self._kept: OrderedDict[tuple[int, Hashable], tuple[Segment, NDArray[np.float64]]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, segment: Segment, query: Hashable, compute: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return what `compute` returns, or returned for this segment and query: (n,), the same array each time."""
        key = (id(segment), query)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][1]
        found = compute()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = (segment, found)
                self._size += len(found)
            while self._size > self._most:
                _, (_, oldest) = self._kept.popitem(last=False)
                self._size -= len(oldest)
        return found


#: Of all databases of this process: each has its own segments.
KEPT: Final = KeptProbabilities()
