"""A file shown in its folder, by the system's file manager.

No shell reads any of it: programs are started with lists of arguments, and a path is one of them, absolute and so never
taken for an option.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: A file manager that has not failed by then is there: some run for as long as their window is open.
_SECONDS: Final = 5.0
_SERVICE: Final = (
    *("dbus-send", "--session", "--print-reply", "--type=method_call", "--dest=org.freedesktop.FileManager1"),
    *("/org/freedesktop/FileManager1", "org.freedesktop.FileManager1.ShowItems"),
)


def show_in_folder(path: Path) -> bool:
    """Show a file in its folder on the screen of this machine; return False where no file manager can be asked.

    Parameters
    ----------
    path
        The file, absolute.
    """
    if sys.platform == "win32":
        # It reads its own line, in which a comma ends a path without quotes; no name has a quote in it. What it
        # returns tells nothing.
        explorer = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "explorer.exe"
        return _started(f'"{explorer}" /select,"{path}"')
    if sys.platform == "darwin":
        return _started(["open", "-R", str(path)])
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    # Only the first selects the file; a URI has no sign in it that the list of dbus-send gives a meaning.
    return _started([*_SERVICE, f"array:string:{path.as_uri()}", "string:"]) or _started(["xdg-open", str(path.parent)])


def _started(command: Sequence[str] | str) -> bool:
    """Start a program; return whether it is there and has not failed."""
    if not isinstance(command, str) and shutil.which(command[0]) is None:
        return False
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError):
        return False
    try:
        return process.wait(_SECONDS) == 0 or sys.platform == "win32"
    except subprocess.TimeoutExpired:
        return True
