"""Throttling: lower priorities on a computer in use, and waits on battery."""

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
from rollcall.sentences import Sentence
from rollcall.settings import PowerSettings

#: How often the power supply is checked, in seconds.
CHECK_SECONDS: Final = 10.0
#: By how much the priority of decoding threads is lower than that of the rest of a run.
THREAD_STEP: Final = 5


def on_battery() -> bool:
    """Return whether this computer runs on its battery; a computer without one does not."""
    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except (OSError, RuntimeError):  # some systems have the files and no answer in them
        return False
    return battery is not None and battery.power_plugged is False


def lower_process_priority(level: int) -> None:
    """Lower the priority of this process to a Unix nice level: 0 changes nothing, 19 leaves it only idle time."""
    if level <= 0:
        return
    if hasattr(os, "setpriority"):
        # A service may have been started with a still lower priority.
        os.setpriority(os.PRIO_PROCESS, 0, max(level, os.getpriority(os.PRIO_PROCESS, 0)))
    else:
        idle = level >= 10
        psutil.Process().nice(psutil.IDLE_PRIORITY_CLASS if idle else psutil.BELOW_NORMAL_PRIORITY_CLASS)


def lower_thread_priority() -> None:
    """Lower the priority of the calling thread below the process's other threads, on Linux only.

    A run is as fast as the one thread that analyses; decoding runs ahead of it and can wait.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + THREAD_STEP, 19))


class Throttle:
    """Makes a run wait between batches while the computer is on battery, as `power.on_battery` demands."""

    def __init__(
        self,
        settings: PowerSettings,
        publish: events.Listener = events.ignore,
        battery: Callable[[], bool] = on_battery,
    ) -> None:
        self.settings = settings
        self.publish = publish
        self._battery = battery
        self._checked = -CHECK_SECONDS
        self._unplugged = False

    def resting(self) -> bool:
        """Return whether processes that analyse shall rest as long as they work: on battery, with "slow"."""
        return self.settings.on_battery == "slow" and self._on_battery()

    def wait_after(self, worked: float, stop: threading.Event | None) -> None:
        """Wait after `worked` seconds of work: as long again with "slow", until the power is back with "pause"."""
        if self.settings.on_battery == "full" or not self._on_battery():
            return
        stop = stop or threading.Event()
        if self.settings.on_battery == "slow":
            stop.wait(worked)
            return
        self.publish(events.Warned(Sentence("running on battery: paused until the power is back (power.on_battery)")))
        while not stop.wait(CHECK_SECONDS) and self._on_battery():
            pass

    def _on_battery(self) -> bool:
        """Return whether the computer was on battery at the last check, at most `CHECK_SECONDS` ago."""
        if time.monotonic() - self._checked >= CHECK_SECONDS:
            self._checked, self._unplugged = time.monotonic(), self._battery()
        return self._unplugged
