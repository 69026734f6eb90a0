"""The errors that Rollcall raises on purpose, as a tree.

::

    RollcallError                    what failed, why, what to do: one sentence
    ├── SettingsError                a setting is unknown or has an invalid value
    ├── PictureError                 one picture cannot be used (`path`, `reason`); a run goes on
    │   ├── UnreadableError          missing, no permission, vanished while being read
    │   ├── NotAPictureError         empty, truncated, corrupt, or no picture at all
    │   ├── TooLargeError            more pixels, memory or time than the settings allow
    │   │   └── NotEnoughMemoryError more memory than the machine has free now
    │   └── UnsupportedFormatError   needs an extra that is not installed
    ├── LibraryError                 a library root cannot be used (`path`, `reason`)
    │   └── RemoteError              a remote folder, its server or the network does not serve (`address`, `reason`)
    │       └── AddressError         an address is none of a remote folder, or holds a password
    ├── StoreError                   the database cannot be opened, migrated or written (`url`, `reason`)
    │   ├── NewerDatabaseError       written by a newer Rollcall than this one
    │   └── BusyError                another piece of work holds what this one needs (`running`)
    ├── ModelError                   weights missing, changed or of another shape
    ├── BridgeError                  another program's server or file cannot be used (`server`, `reason`)
    ├── LifecycleError               the plugin is not started, or was started in another process
    └── RequestError                 the request itself cannot be served
        ├── InvalidQueryError        a search that cannot be understood (`query`, `position`, `suggestions`)
        ├── InvalidCorrectionError   a correction with invalid values
        ├── InvalidTargetError       the target of an erasure or a correction cannot be parsed
        ├── NotFoundError            no such photo, face, folder or line of the log (`kind`, `key`)
        └── ConflictError            the state does not allow it: nothing left to undo, no embedding to compare

An error carries its facts as attributes; its message is one sentence: what failed, why, and what to do.
`exit_code` is what the command line ends with (`cli.py`), `status` what the HTTP API answers with (`web/app.py`).
Both are attributes of the classes, so that no caller chooses a code by the text of a message.
"""

from __future__ import annotations

import errno
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from rollcall.sentences import Sentence


class RollcallError(Exception):
    """The root of all errors that Rollcall raises on purpose."""

    #: The exit code of a command that this error ends.
    exit_code: ClassVar[int] = 1
    #: The status of an HTTP answer that this error ends.
    status: ClassVar[int] = 500


class SettingsError(RollcallError):
    """A setting is unknown or has an invalid value."""

    exit_code = 2
    status = 422


class PictureError(RollcallError):
    """One picture cannot be used; the run goes on without it.

    `path` is the file, `reason` why it cannot be used, `hint` what to do about it or empty.
    """

    status = 404

    def __init__(self, path: str | Path, reason: str, hint: str = "") -> None:
        self.path = Path(path)
        self.reason = reason
        self.hint = hint
        super().__init__(
            Sentence("%(path)s: %(reason)s; %(hint)s", path=str(self.path), reason=reason, hint=hint)
            if hint
            else Sentence("%(path)s: %(reason)s", path=str(self.path), reason=reason)
        )


class UnreadableError(PictureError):
    """The file is missing, may not be read, or vanished while being read."""


class NotAPictureError(PictureError):
    """The file is empty, truncated, corrupt, or no picture at all."""


class TooLargeError(PictureError):
    """The picture needs more pixels, memory or time than the settings (`decode.*`) or the machine allow."""


class NotEnoughMemoryError(TooLargeError):
    """The picture needs more memory than the machine has free; the file is not to blame, and it may pass by itself."""


class UnsupportedFormatError(PictureError):
    """The format needs an extra that is not installed."""


class LibraryError(RollcallError):
    """A library root cannot be used: `path` is the folder, `reason` why and what to do."""

    exit_code = 3
    status = 422

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(Sentence("%(path)s: %(reason)s", path=str(self.path), reason=reason))


class RemoteError(LibraryError):
    """A remote folder, its server, the network or the credentials do not serve; no photo is to blame.

    `address` names it without a password, `reason` is why and what to do.
    """

    status = 503

    def __init__(self, address: object, reason: str) -> None:
        super().__init__(str(address), reason)
        # A path has one slash where an address has two.
        self.address = str(address)
        self.args = (Sentence("%(path)s: %(reason)s", path=self.address, reason=reason),)

    def __reduce__(self) -> tuple[type[RemoteError], tuple[str, str]]:
        # Workers send it from other processes, with its facts.
        return type(self), (self.address, self.reason)


class AddressError(RemoteError):
    """An address is none of a remote folder, or holds what does not belong there; `reason` repeats nothing secret."""

    status = 422


class StoreError(RollcallError):
    """The database cannot be opened, migrated or written.

    `url` is the database, without a password; `reason` is why and what to do.
    """

    exit_code = 4
    status = 503

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(Sentence("%(path)s: %(reason)s", path=url, reason=reason))


class NewerDatabaseError(StoreError):
    """The database was written by a newer Rollcall than this one."""


class BusyError(StoreError):
    """Another piece of work holds what this one needs, and did not end in time.

    `running` names it: "index", "update", "erase", or "another process".
    """

    status = 409

    def __init__(self, url: str, reason: str, running: str) -> None:
        self.running = running
        super().__init__(url, reason)


class ModelError(RollcallError):
    """Weights are missing, changed, or do not fit the network."""

    exit_code = 5
    status = 503


class BridgeError(RollcallError):
    """Another program's server or file cannot be reached or read, or refuses.

    `server` is its address or file, `reason` why and what to do, `status_there` the status that it answered with, or 0.
    """

    exit_code = 6
    status = 502

    def __init__(self, server: str | Path, reason: str, status_there: int = 0) -> None:
        self.server = str(server)
        self.reason = reason
        self.status_there = status_there
        super().__init__(f"{self.server}: {reason}")


class LifecycleError(RollcallError):
    """The plugin is not started, or is used in a process that was forked from the one that started it."""

    status = 503


class RequestError(RollcallError):
    """The request itself cannot be served."""

    exit_code = 2
    status = 422


class InvalidQueryError(RequestError):
    """A search that cannot be understood.

    `position` is the zero-based index of the offending character in `query`; `suggestions` holds up to three complete
    queries that are understood, and `suggestion` the first of them or is empty; `expected` names what would have been
    understood there, in a few words.
    """

    #: How much of a query an error repeats.
    _SHOWN: ClassVar[int] = 80

    def __init__(
        self,
        query: str,
        position: int,
        message: str,
        expected: Sequence[str] = (),
        suggestion: str = "",
        suggestions: Sequence[str] = (),
    ) -> None:
        self.query = query
        self.position = position
        self.message = message
        self.expected = tuple(expected)
        self.suggestions = tuple(suggestions) or ((suggestion,) if suggestion else ())
        self.suggestion = self.suggestions[0] if self.suggestions else ""
        shown = query if len(query) <= self._SHOWN else f"{query[: self._SHOWN]}..."
        text = f"{message} at position {position + 1} of {shown!r}"
        if self.suggestions:
            *first, last = map(repr, self.suggestions)
            text += f"; did you mean {', '.join(first)}{' or ' if first else ''}{last}?"
        elif expected:
            text += f"; expected {', '.join(self.expected)}"
        super().__init__(text)


class InvalidCorrectionError(RequestError):
    """A correction with invalid values: an age that nobody has, a box outside of the picture, a tag without a name."""


class InvalidTargetError(RequestError):
    """The target of an erasure or a correction cannot be parsed."""


#: What the system says where there is no room: on the disk, or for this user.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Return whether a file could not be written because its disk, or this user's share of it, is full."""
    return error.errno in _NO_ROOM


#: What the system, and the libraries for connections, put around their words.
_NUMBERS: Final = re.compile(r"\[(?:Errno|WinError|SSL)[^\]]*\]\s*|\s*\(_ssl\.c:\d+\)")


def reason_of(error: Exception) -> str:
    """Return why something failed in plain words: without the system's numbers, the path again, or a parser's terms."""
    if getattr(error, "strerror", None):
        return str(error.strerror)  # type: ignore[attr-defined]
    if isinstance(error, UnicodeError):
        return "it holds bytes that are no text in UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} is no JSON at column {error.colno}"
    if isinstance(error, tomllib.TOMLDecodeError):
        return _of_toml(str(error))
    if isinstance(error, KeyError):
        return f"its {error.args[0]!r} is missing" if error.args else "something is missing in it"
    return _NUMBERS.sub("", str(error)).strip() or type(error).__name__


#: What the parser says, and where; without a line, the text ended.
_TOML: Final = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.S)


def _of_toml(message: str) -> str:
    found = _TOML.fullmatch(message)
    if found is None:
        return message
    what = found["what"][:1].lower() + found["what"][1:]
    if found["line"] is None:
        return f"its last line is no TOML: {what}"
    return f"line {found['line']} is no TOML at column {found['column']}: {what}"


def not_written(error: OSError | ValueError, advice: str) -> str:
    """Return the end of a sentence about a file that cannot be written: why, and what to do.

    On a full disk `advice` would lead nowhere: there has to be room.
    """
    if isinstance(error, OSError) and is_full(error):
        return "cannot be written, as the disk is full; make room, or choose another place"
    return f"cannot be written ({reason_of(error)}); {advice}"


_HINTS: Final = {
    "photo": Sentence("`rollcall search --json` shows the photos' numbers"),
    "face": Sentence("it may have been dismissed; `rollcall search --json` shows the faces' numbers"),
    "person": Sentence("`rollcall people list` shows the people's numbers"),
    "line": Sentence("`rollcall corrections list` shows the log"),
}


def _missing(kind: str, key: int | str | Path) -> Sentence | str:
    match kind:
        case "photo":
            return Sentence("there is no photo %(number)s", number=key)
        case "face":
            return Sentence("there is no face %(number)s", number=key)
        case "person":
            return Sentence("there is no person %(number)s", number=key)
        case "line":
            return Sentence("the log has no line %(number)s", number=key)
        case "album":
            return Sentence("there is no album %(number)s", number=key)
        case "device":
            return Sentence("there is no device %(number)s", number=key)
        case "path":
            return str(key)
    return Sentence("there is no %(kind)s %(number)s", kind=kind, number=key)


class NotFoundError(RequestError):
    """There is no such photo, face, person, folder or line of the log.

    `kind` is "photo", "face", "person", "line" or "path"; `key` is the number or path that was asked for.
    """

    status = 404

    def __init__(self, kind: str, key: int | str | Path, hint: str = "") -> None:
        self.kind = kind
        self.key = key
        hint = hint or _HINTS.get(kind, "")
        missing = _missing(kind, key)
        if hint and kind == "path":
            missing = Sentence("%(path)s: %(reason)s", path=missing, reason=hint)
        elif hint:
            missing = Sentence("%(problem)s; %(hint)s", problem=missing, hint=hint)
        super().__init__(missing)


class ConflictError(RequestError):
    """The state of the library does not allow it: nothing is left to undo, a face has no embedding to compare."""

    status = 409


# Names of version 0.1.0, for hosts that catch them.
QueryError = InvalidQueryError
CorrectionError = ForgetError = RequestError
