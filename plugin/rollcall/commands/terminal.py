"""Text for a terminal: what names of files and of people hold has no effect there but to be read."""

from __future__ import annotations

import re
import sys
from typing import Any, Final, TextIO

from rollcall.media.paths import readable

#: Ends of lines, tabs and colours are the program's own.
_OURS: Final = re.compile(r"(\n|\t|\x1b\[[0-9;]*m)")


def harmless(text: str) -> str:
    """Return a text whose control and direction characters are escaped, but for ends of lines, tabs and colours."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(part if at % 2 else readable(part) for at, part in enumerate(_OURS.split(text)))


class Terminal:
    """A terminal that is written to; what a pipe or a file gets stays as it is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        return self._stream.write(harmless(text))


def guard_output() -> None:
    """Escape what is printed from now on, if a person reads it."""
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout = Terminal(sys.stdout)
