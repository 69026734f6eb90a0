"""Profile a run: the time that each part of it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Profile:
    """Seconds by the name of the work; with work on other threads they add up to more than the run took."""

    seconds: dict[str, float] = field(default_factory=dict)
    parallel: set[str] = field(default_factory=set)  # the names of work on other threads
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def __call__(self, name: str, parallel: bool = False) -> Iterator[None]:
        """Add the time until the end of the `with` block to a name; `parallel` for work on other threads."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - began, parallel)

    def add(self, name: str, seconds: float, parallel: bool = False) -> None:
        """Add seconds to a name; `parallel` for work on other threads, in other processes or on other machines."""
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            if parallel:
                self.parallel.add(name)
