"""What a command writes to standard error: sentences for people, or one JSON object a line for programs.

Libraries write to the same place, of damaged pictures a lot and without the file's name. A command passes on only what
Rollcall itself says; the rest is in `--verbose`.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import io
import json
import logging
import os
import re
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal

from rollcall import events
from rollcall.commands.interrupts import interrupts

LogFormat = Literal["text", "json"]
_EVENTS: Final = logging.getLogger("rollcall.events")
_PRINTED: Final = logging.getLogger("rollcall.command")
_NATIVE: Final = logging.getLogger("libraries")


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON: time, level, logger, message, and what the record's `fields` hold."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # In ASCII: a path may hold what no encoding has.
        return json.dumps(entry, default=_plain)


class _TextFormatter(logging.Formatter):
    """A sentence, as the progress listener prints its warnings."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.capitalize()}: {super().format(record)}"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else repr(value)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or record.name.partition(".")[0] == "rollcall"


class _Printed(io.TextIOBase):
    """A stream for the console, each of whose lines becomes a log record."""

    def __init__(self) -> None:
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line.strip():
                _PRINTED.info(line.strip())
        return len(text)


_format: LogFormat = "text"


def configure(log_format: LogFormat, *, verbose: bool) -> None:
    """Set up logging for this process.

    Only in the program `rollcall` itself what libraries write is taken from standard error.
    """
    global _format  # noqa: PLW0603  a process has one standard error
    _format = log_format
    if interrupts.installed and (log_format == "json" or not verbose):
        _capture_native_output()
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    elif verbose:
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    else:
        handler.setFormatter(_TextFormatter())
    if not verbose:
        # On the handler: others, such as the watcher, listen to what libraries log.
        handler.addFilter(_is_ours)
    root = logging.getLogger()
    # As `logging.basicConfig`: a process that embeds the commands keeps its own handlers.
    if not root.handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)
    logging.captureWarnings(True)
    if log_format == "json":
        logging.getLogger("rollcall").setLevel(logging.DEBUG if verbose else logging.INFO)
        _print_as_log()


def _print_as_log() -> None:
    from rollcall.commands.common import console

    console.file = _Printed()  # type: ignore[assignment]  # a stream that is written to, which is all it needs
    interrupts.encode = lambda message: JsonFormatter().format(_record(message, {"exit_code": interrupts.exit_code}))
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _PRINTED.critical("%s: %s; please report this", kind.__name__, error, exc_info=(kind, error, trace))


def _record(message: str, fields: dict[str, Any]) -> logging.LogRecord:
    record = logging.LogRecord(_PRINTED.name, logging.WARNING, "", 0, message, None, None)
    record.__dict__["fields"] = fields
    return record


def print_error(message: str, exit_code: int) -> bool:
    """Log the error that ends a command; return False, and do nothing, where text is printed."""
    if _format == "text":
        return False
    _PRINTED.error(message, extra={"fields": {"exit_code": exit_code}})
    return True


def listener(given: events.Listener | None) -> events.Listener | None:
    """Return what is to be called with events: a logger in the place of what prints them, where logs are JSON."""
    return given if _format == "text" else _log_event


def _log_event(event: events.Event) -> None:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    level = logging.WARNING if isinstance(event, events.Warned | events.PhotoFailed) else logging.INFO
    values = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    message = values.pop("message", None) or name
    _EVENTS.log(level, "%s", message, extra={"fields": {"event": name, **values}})


def _capture_native_output() -> None:
    """Let what libraries write to standard error become log records, and what Python writes reach it."""
    if sys.stderr is None or os.name != "posix":
        return
    try:
        own = os.dup(2)
    except OSError:  # there is none
        return
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    sys.stderr = open(own, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")  # noqa: PTH123, SIM115
    interrupts.stderr = own
    # What a crash in a library leaves is more than what it would have written.
    faulthandler.enable(sys.stderr)
    threading.Thread(target=_log_native, args=(os.fdopen(reader, "rb"),), name="stderr", daemon=True).start()


def _log_native(stream: IO[bytes]) -> None:
    for line in stream:
        _NATIVE.debug("%s", line.decode(errors="replace").rstrip())
