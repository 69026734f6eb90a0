"""On what the networks compute, for reports of errors; and what their runtime keeps, on disk too."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

from rollcall.storage.private import private_folder

log = logging.getLogger(__name__)

#: How long the networks' runtime may take to start, in seconds: a driver that hangs must not hang the report.
_PATIENCE = 60.0


def describe() -> list[str]:
    """Return the devices of the networks' runtime, a line each, or why there are none."""
    found: list[str] = []

    def ask() -> None:
        try:
            import jax

            found.extend(f"{device.platform}: {device.device_kind}" for device in jax.devices())
        except Exception as error:  # whatever is wrong with an installation or a driver belongs into the report
            found.append(f"the runtime does not start ({type(error).__name__}: {error})")

    asking = threading.Thread(target=ask, name="devices", daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    return found or [f"the runtime did not start within {_PATIENCE:.0f} s"]


def programs_made_of() -> str:
    """Return a hash of the source that the networks' programs are made of; the runtime is not started for it."""
    from rollcall_model import stored

    return stored.source()


def programs_made() -> int:
    """Return how many programs of networks this process has compiled or loaded so far."""
    runtime = sys.modules.get("rollcall_model.runtime")
    return 0 if runtime is None else int(runtime.programs_made())


def forget_traces() -> bool:
    """Drop what the networks' runtime keeps beside compiled programs; return whether there was some of ours.

    For processes that only analyse: programs that others made with the same runtime would be made anew.
    """
    runtime = sys.modules.get("rollcall_model.runtime")  # an analyzer of a host's own may do without
    return runtime is not None and bool(runtime.forget_traces())


def usable(folder: Path) -> Path | None:
    """Return a cache folder, created if needed; None, with a warning, where nothing can be written."""
    try:
        # What is loaded from there is run: it is for its owner alone, whatever the umask.
        private_folder(folder)
    except OSError as error:
        log.warning(
            "%s: the folder of the compilation cache cannot be created (%s), so the networks are compiled at every"
            " start; set cache.folder to one that can be written",
            folder,
            error.strerror or error,
        )
        return None
    return folder if os.access(folder, os.W_OK) else None
