"""What can go wrong, as a tree.

::

    RollcallError                 what failed, why, what to do: one sentence
    ├── SettingsError             a setting is unknown or has a value that cannot be
    ├── PictureError              one picture cannot be used (`path`, `reason`); a run goes on
    │   ├── UnreadableError       missing, no permission, vanished while being read
    │   ├── NotAPictureError      empty, truncated, corrupt, or no picture at all
    │   ├── TooLargeError         more pixels than `decode.max_megapixels` allows
    │   └── UnsupportedFormatError  needs an extra that is not installed
    ├── LibraryError              a library root cannot be used (`path`, `reason`)
    ├── StoreError                the database cannot be opened, migrated or written (`url`, `reason`)
    │   └── NewerDatabaseError    written by a newer Rollcall than this one
    ├── ModelError                weights missing, changed or of another shape
    ├── QueryError                a search that cannot be understood (`query`, `position`, `expected`)
    ├── CorrectionError           a correction that cannot be, or of what is not there
    ├── ForgetError               what is to be forgotten is not there, or cannot be named so
    └── WatchError                the watcher cannot watch (`path`, `reason`)

An error carries its facts as attributes and says them in one sentence: what failed, why, and
what to do. Errors become exit codes in `cli.py` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class RollcallError(Exception):
    """The root of all errors that Rollcall raises on purpose."""

    #: The exit code that `cli.py` leaves with when this error ends a command.
    exit_code = 1


class SettingsError(RollcallError):
    """A setting is unknown or has a value that cannot be."""

    exit_code = 2


class PictureError(RollcallError):
    """One picture cannot be used; the run goes on without it."""

    def __init__(self, path: str | Path, reason: str, hint: str = "") -> None:
        self.path = Path(path)
        self.reason = reason
        self.hint = hint
        super().__init__(f"{self.path}: {reason}" + (f"; {hint}" if hint else ""))


class UnreadableError(PictureError):
    """The file is missing, may not be read, or vanished while being read."""


class NotAPictureError(PictureError):
    """The file is empty, truncated, corrupt, or no picture at all."""


class TooLargeError(PictureError):
    """The picture has more pixels than `decode.max_megapixels` allows."""


class UnsupportedFormatError(PictureError):
    """The format needs an extra that is not installed."""


class LibraryError(RollcallError):
    """A library root cannot be used."""

    exit_code = 3

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{self.path}: {reason}")


class StoreError(RollcallError):
    """The database cannot be opened, migrated or written."""

    exit_code = 4

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"{url}: {reason}")


class NewerDatabaseError(StoreError):
    """The database was written by a newer Rollcall than this one."""


class ModelError(RollcallError):
    """Weights are missing, changed, or do not fit the network."""

    exit_code = 5


class QueryError(RollcallError):
    """A search that cannot be understood.

    `position` is the zero-based index of the offending character in `query`; `expected` names what
    would have been understood there; `suggestion` is a word that is known and close, or empty.
    """

    exit_code = 2

    def __init__(
        self, query: str, position: int, message: str, expected: Sequence[str] = (), suggestion: str = ""
    ) -> None:
        self.query = query
        self.position = position
        self.expected = tuple(expected)
        self.suggestion = suggestion
        text = f"{message} at position {position + 1} of {query!r}"
        if suggestion:
            text += f"; did you mean {suggestion!r}?"
        elif expected:
            text += f"; expected {', '.join(self.expected)}"
        super().__init__(text)


class CorrectionError(RollcallError):
    """A correction that cannot be, or of a face, photo or point in the log that is not there."""

    exit_code = 2


class ForgetError(RollcallError):
    """What is to be forgotten is not there, or is not named in a way that is understood."""

    exit_code = 2


class WatchError(RollcallError):
    """The watcher cannot watch a folder."""

    exit_code = 6

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{self.path}: {reason}")
