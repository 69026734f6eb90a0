"""The error of remote folders; it joins the tree of `rollcall.errors` when the plugin raises it."""

from __future__ import annotations

from typing import ClassVar

from rollcall.errors import LibraryError
from rollcall.sentences import Sentence


class RemoteError(LibraryError):
    """A remote folder cannot be read: `address` names it without a password, `reason` is why and what to do."""

    status: ClassVar[int] = 503

    def __init__(self, address: object, reason: str) -> None:
        super().__init__(str(address), reason)
        # A path has one slash where an address has two.
        self.address = str(address)
        self.args = (Sentence("%(path)s: %(reason)s", path=self.address, reason=reason),)
