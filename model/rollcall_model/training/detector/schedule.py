"""The learning rate of each step of a run, which is as long as its steps or as its seconds."""

from __future__ import annotations

import math
import time
from typing import Final

#: The rate rises from a twentieth and falls to a hundredth.
_FIRST: Final = 1 / 20
_LAST: Final = 1 / 100
#: Steps in which the rate of a run rises whose steps are not known beforehand.
_RISING: Final = 500
#: Of the steps that the rest of the time allows so many are taken: others may want the device, too.
_SURE: Final = 0.96


class Schedule:
    """A rate that rises, stays for a part of the run, and falls along half a cosine.

    Parameters
    ----------
    steps
        How many there are, unless `seconds` are given.
    peak
        The highest rate.
    steady
        The step from which on it falls; 0: it does not stay, and rises for a twentieth of the steps.
    seconds
        How long the run may take. It falls from half of them on, over as many steps as the rest allows.
    """

    def __init__(self, steps: int, peak: float, steady: int = 0, seconds: float | None = None) -> None:
        self.steps: int | None = steps if seconds is None else None
        self._peak = peak
        twentieth = seconds is None and not steady
        self._rising = max(steps // 20, 1) if twentieth else min(_RISING, steady or _RISING)
        self.steady = max(steady, self._rising)
        self._seconds = seconds
        self._began = time.monotonic()
        self._quarter: tuple[int, float] | None = None

    def passed(self) -> float:
        """Return for how many seconds the run has gone on."""
        return time.monotonic() - self._began

    def rate(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        if step < self._rising:
            return self._peak * (_FIRST + (1 - _FIRST) * step / self._rising)
        if self.steps is None or step <= self.steady:
            return self._peak
        share = min((step - self.steady) / (self.steps - self.steady), 1)
        return self._peak * (_LAST + (1 - _LAST) * (1 + math.cos(math.pi * share)) / 2)

    def half_way(self, step: int) -> bool:
        """Return whether so many steps are half of the run; to be asked after each."""
        if self._seconds is None:
            return step == (self.steps or 0) // 2
        passed = self.passed()
        if self._quarter is None and self._seconds / 4 <= passed < self._seconds / 2:
            self._quarter = (step, passed)
        return self.steps is None and passed >= self._seconds / 2

    def decide(self, step: int, pause: float) -> None:
        """Settle how many steps there are, half way; `pause` are the seconds of a measurement, which the end takes."""
        if self._seconds is None or self.steps is not None:
            return
        first, since = self._quarter or (0, 0.0)
        now = self.passed()
        speed = (step - first) / max(now - pause - since, 1e-3)
        self.steady, self._rising = step, min(step, self._rising)
        self.steps = step + max(int(_SURE * speed * (self._seconds - now - pause)), 1)
