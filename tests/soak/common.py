"""Shared by the soak scripts: their arguments, and how long pytest runs them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

#: For how many minutes each test runs its script; more by the environment variable.
MINUTES: Final = float(os.environ.get("ROLLCALL_SOAK_MINUTES", "") or 1 / 12)
CHILD: Final = [sys.executable, str(Path(__file__).with_name("child.py"))]


def parser(purpose: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all scripts."""
    result = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--minutes", type=float, default=1.0, help="for how long to run (default 1)")
    result.add_argument("--seed", type=int, default=0, help="the same seed makes the same inputs (default 0)")
    result.add_argument("--keep", type=Path, metavar="FOLDER", help="work in this folder, and leave it")
    return result


def environment(home: Path) -> dict[str, str]:
    """Return an environment in which nothing of the user's is read or written."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    return given | {"HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home), "COLUMNS": "200"}


class Clock:
    """The time that a script has."""

    def __init__(self, minutes: float) -> None:
        self.until = time.monotonic() + minutes * 60

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.until


def report(values: dict[str, Any]) -> None:
    """Print a report, a line a value."""
    for name, value in values.items():
        print(f"{name}: {value}", flush=True)
