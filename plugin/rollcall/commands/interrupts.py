"""Ctrl-C: the first one ends the program within two seconds, the second one at once, wherever it is.

Python runs signal handlers on the main thread between two of its steps, so one that waits for a compiler or a decoder
does not answer. The signal's number is therefore also written to a socket by the system's own handler, and a thread
that reads it there keeps the promise: it ends the process where the main thread has not. That is safe at any moment;
the database takes a transaction whole or not at all, and what was not stored is still pending.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, Literal

#: The exit code of a program that Ctrl-C ended.
EXIT_CODE: Final = 130
MESSAGE: Final = "rollcall: stopped; what was done is kept"
#: How long after the first signal the program may take to end by itself, in seconds.
GRACE_SECONDS: Final = 1.5
_FLUSH_SECONDS: Final = 0.1
_SHOW_CURSOR: Final = "\x1b[?25h"

#: What the first Ctrl-C does: end the process (nothing was begun yet), raise KeyboardInterrupt, or set an event.
Mode = Literal["exit", "raise", "event"]


def _nothing() -> None:
    pass


class Interrupts:
    """What Ctrl-C does in this process. `install` and `listening` are for the main thread."""

    def __init__(self) -> None:
        self.mode: Mode = "exit"
        self.count = 0
        self.exit_code = EXIT_CODE
        self._on_first: Callable[[], None] = _nothing
        self.installed = False
        #: Where the last message goes, and how it is written.
        self.stderr = 2
        self.encode: Callable[[str], str] = str

    def install(self) -> None:
        """Make this process the program `rollcall`: until `began` is called, Ctrl-C ends it at once."""
        self._listen()
        self.installed = True

    def _listen(self) -> Callable[[], None]:
        """Read signals on a thread from now on; return what ends it."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        before = signal.signal(signal.SIGINT, self._handle)
        descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._read, args=(reader,), name="rollcall-signals", daemon=True).start()
        # Held, or it would be closed; the thread ends when it is.
        self._writer = writer

        def end() -> None:
            signal.set_wakeup_fd(descriptor)
            signal.signal(signal.SIGINT, before)
            writer.close()

        return end

    def began(self) -> None:
        """Raise KeyboardInterrupt on Ctrl-C from now on: files may be open that are to be removed."""
        self.mode = "raise"

    @contextmanager
    def listening(self, on_first: Callable[[], None], exit_code: int = EXIT_CODE) -> Iterator[None]:
        """Call `on_first` on the first Ctrl-C or SIGTERM instead, on any thread, while the `with` lasts.

        Parameters
        ----------
        exit_code
            The code of a process that has to be ended: 0 for a command that runs until it is stopped.
        """
        # Where commands are called by another program, it has its own handlers back afterwards.
        end: Callable[[], None] = _nothing if self.installed else self._listen()
        before, mode = signal.getsignal(signal.SIGTERM), self.mode
        self.mode, self._on_first, self.exit_code = "event", on_first, exit_code
        signal.signal(signal.SIGTERM, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            self.mode, self._on_first, self.exit_code = mode, _nothing, EXIT_CODE
            end()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Do the main thread's part, whenever it comes to it."""
        if self.mode == "raise":
            raise KeyboardInterrupt

    def _read(self, reader: socket.socket) -> None:
        while numbers := reader.recv(64):
            for number in numbers:
                if number == signal.SIGINT or (number == signal.SIGTERM and self.mode == "event"):
                    self.notice()

    def notice(self) -> None:
        """Note one signal; also called by servers that handle Ctrl-C in their own way."""
        self.count += 1
        if self.count > 1 or self.mode == "exit":
            end_now(self.exit_code)
        timer = threading.Timer(GRACE_SECONDS, end_now, (self.exit_code,))
        timer.daemon = True
        timer.start()
        self._on_first()


def end_now(exit_code: int = EXIT_CODE, message: str = MESSAGE) -> None:
    """End the process without waiting for any thread; what was printed is flushed."""
    # The main thread may hold a stream's lock, and is not waited for.
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(_FLUSH_SECONDS)
    with suppress(OSError):
        cursor = _SHOW_CURSOR if os.isatty(interrupts.stderr) else ""
        line = f"{interrupts.encode(message)}\n" if message else ""
        os.write(interrupts.stderr, f"{cursor}{line}".encode())
    os._exit(exit_code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


#: A process has one.
interrupts: Final = Interrupts()
