"""Addresses of remote folders: `scheme://place/folder`, without anything secret in them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from rollcall.errors import AddressError

_FORM: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
#: Schemes of fsspec that name this computer, wrap another scheme or run a command.
_REFUSED: Final = frozenset({"file", "local", "simplecache", "filecache", "blockcache", "dir", "reference"})


class Address(NamedTuple):
    """A remote folder."""

    scheme: str  # in lower case
    place: str  # what follows `://`: bucket or host and the folder, without a slash at its end

    def __str__(self) -> str:
        """Return the address as it is shown and stored."""
        return f"{self.scheme}://{self.place}"


def is_address(text: str) -> bool:
    """Return whether a text is an address and not a path; drive letters of Windows are none."""
    return _FORM.fullmatch(text) is not None


def parse(text: str) -> Address:
    """Return the address that a text is.

    Raises
    ------
    AddressError
        If it is none, names this computer, or holds a password; the message does not repeat what may be secret.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise AddressError("the address", "it has no scheme; write it as s3://bucket/folder")
    scheme, rest = found["scheme"].lower(), found["rest"]
    # From the last @ before the folder: a password may hold one itself, or a slash.
    user, at, _ = rest.rpartition("@")
    if at and ":" in unquote(user):
        raise AddressError(f"{scheme}://...", "a password must not stand in an address; leave it to the environment")
    if "?" in rest or "#" in rest:
        raise AddressError(
            f"{scheme}://{re.split('[?#]', rest)[0]}", "an address has no parameters; remove what follows ? or #"
        )
    if scheme in _REFUSED or "::" in rest:
        raise AddressError(f"{scheme}://...", "this scheme is not for remote folders; give the folder's path instead")
    place = rest.rstrip("/")
    if ".." in place.split("/") or (not place and scheme != "memory"):
        raise AddressError(f"{scheme}://{place}", "the address names no folder; write it as s3://bucket/folder")
    return Address(scheme, place)
