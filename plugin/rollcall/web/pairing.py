"""Codes by which a device of the home network is paired: short-lived, for one device each, and hard to guess."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

#: How long a code holds, in seconds.
LIFETIME: Final = 300
#: Digits of a code: a guess meets it once in a hundred million.
DIGITS: Final = 8
#: After so many wrong codes all codes are void: the owner makes a new one.
MOST_WRONG: Final = 5
#: At most so many codes hold at a time.
_MOST_CODES: Final = 20


class Code(NamedTuple):
    """A code that was made."""

    digits: str
    everything: bool  # the device sees all photos, not those of shared albums alone
    expires: float  # on the clock of `Pairing`

    @property
    def shown(self) -> str:
        """The code in two groups, as people read it out."""
        return f"{self.digits[: DIGITS // 2]} {self.digits[DIGITS // 2 :]}"


class Pairing:
    """The codes of one server. May be used from any thread.

    Parameters
    ----------
    clock
        Returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: list[Code] = []
        self._wrong = 0
        self._lock = threading.Lock()

    def make(self, everything: bool = False) -> Code:
        """Return a new code, which one device may use."""
        code = Code("".join(secrets.choice("0123456789") for _ in range(DIGITS)), everything, self._clock() + LIFETIME)
        with self._lock:
            self._codes = [*self._valid(), code][-_MOST_CODES:]
            self._wrong = 0
        return code

    def redeem(self, given: str) -> Code | None:
        """Return the code that was typed, and void it; None if there is no such code, or it is too late."""
        digits = "".join(c for c in given if c in "0123456789")
        with self._lock:
            self._codes = self._valid()
            found = None
            for code in self._codes:
                # All are compared, so that the time tells nothing.
                if hmac.compare_digest(code.digits, digits):
                    found = code
            if found is None:
                self._wrong += 1
                if self._wrong >= MOST_WRONG:
                    self._codes.clear()
                return None
            self._codes.remove(found)
            return found

    def _valid(self) -> list[Code]:
        now = self._clock()
        return [code for code in self._codes if code.expires > now]
