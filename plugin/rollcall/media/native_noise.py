"""Keep what decoders written in C print on the terminal out of a program's error output.

libjpeg inside OpenCV reports damage there, without a file's name, and no setting of OpenCV's stops it. Only a program
that owns its error output may do this: `rollcall` does, a host that uses the library may.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import sys
import threading
from typing import IO, Final

_LOG: Final = logging.getLogger(__name__)
_NOISE: Final = re.compile(
    rb"(Corrupt JPEG data|Premature end of JPEG|Invalid SOS parameters|Inconsistent progression sequence"
    rb"|Unsupported marker|Unknown Adobe color|Warning: unknown JFIF|Application transferred too many scanlines"
    rb"|libpng (warning|error):|TIFF[A-Z][A-Za-z]+: |.*jpeg.*warning)"
)
#: How long the end of the program waits for what was printed last.
_LAST_WORDS_SECONDS: Final = 1.0


def divert() -> None:
    """Send lines of decoders to the log, at the level DEBUG, and all others where they went before.

    `sys.stderr` goes on to where it went, without a detour. Does nothing on Windows, or where there is no error output.
    """
    if sys.platform == "win32":
        return
    try:
        real = os.dup(2)
    except OSError:
        return
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    sys.stderr = os.fdopen(real, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    thread = threading.Thread(target=_forward, args=(os.fdopen(reader, "rb"), real), name="stderr", daemon=True)
    thread.start()
    atexit.register(_restore, real, thread)


def _forward(lines: IO[bytes], real: int) -> None:
    with lines:
        for line in lines:
            if _NOISE.match(line):
                _LOG.debug("%s", line.decode("utf-8", "replace").rstrip())
            else:
                with contextlib.suppress(OSError):
                    os.write(real, line)


def _restore(real: int, thread: threading.Thread) -> None:
    # Nobody writes into the pipe any more, so its reader comes to its end.
    os.dup2(real, 2)
    thread.join(_LAST_WORDS_SECONDS)
