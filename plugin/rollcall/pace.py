"""How fast a long run goes on a computer that others use, or that runs on its battery."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psutil

from rollcall import events
from rollcall.settings import PowerSettings

#: How often the power supply is asked for, in seconds.
LOOK_EVERY: Final = 10.0
#: How much further back than the rest of a run its decoding threads stand.
STEP: Final = 5


def on_battery() -> bool:
    """Say whether this computer runs on its battery; a computer without one does not."""
    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except (OSError, RuntimeError):  # some systems have the files and no answer in them
        return False
    return battery is not None and battery.power_plugged is False


def be_nice(level: int) -> None:
    """Let other programs go first: 0 changes nothing, 19 takes only what nobody else wants."""
    if level <= 0:
        return
    if hasattr(os, "setpriority"):
        # Of two wishes the more modest holds: a service may have been started at a lower priority already.
        os.setpriority(os.PRIO_PROCESS, 0, max(level, os.getpriority(os.PRIO_PROCESS, 0)))
    else:
        idle = level >= 10
        psutil.Process().nice(psutil.IDLE_PRIORITY_CLASS if idle else psutil.BELOW_NORMAL_PRIORITY_CLASS)


def step_back() -> None:
    """Let the other threads of this process go before the calling one; only Linux can.

    A run is as quick as the one thread that leads all the others, and decoding, which runs ahead of it, may wait.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + STEP, 19))


class Pace:
    """Makes a run wait where the settings say so."""

    def __init__(
        self,
        settings: PowerSettings,
        listener: events.Listener = events.ignore,
        battery: Callable[[], bool] = on_battery,
    ) -> None:
        self.settings = settings
        self.listener = listener
        self._battery = battery
        self._looked = -LOOK_EVERY
        self._unplugged = False

    def keep(self, worked: float, stop: threading.Event | None) -> None:
        """Wait after so many seconds of work: as long again when slow, until the power is back when paused."""
        if self.settings.on_battery == "full" or not self._on_battery():
            return
        stop = stop or threading.Event()
        if self.settings.on_battery == "slow":
            stop.wait(worked)
            return
        self.listener(events.Warned("running on battery: paused until the power is back (power.on_battery)"))
        while not stop.wait(LOOK_EVERY) and self._on_battery():
            pass

    def _on_battery(self) -> bool:
        if time.monotonic() - self._looked >= LOOK_EVERY:
            self._looked, self._unplugged = time.monotonic(), self._battery()
        return self._unplugged
