"""Addresses of remote folders: `scheme://place/folder`, without anything secret in them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from rollcall.errors import AddressError

_FORM: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
_HOST_WITH_PORT: Final = re.compile(r"[^@:]+@[^@:]+:[0-9]{1,5}")
#: Schemes of storage and servers. Others of fsspec name this computer, wrap another scheme, or fetch any page.
SCHEMES: Final = frozenset(
    {"s3", "gs", "gcs", "az", "abfs", "sftp", "ssh", "smb", "webdav", "webdavs", "memory"}  # the last is for tests
)


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
    # A password may hold an @ itself, or a slash; a folder has no colon before the first slash, but the host's port.
    first = unquote(rest.split("/")[0])
    if "@" in rest and ":" in first and not _HOST_WITH_PORT.fullmatch(first):
        raise AddressError(f"{scheme}://...", "a password must not stand in an address; leave it to the environment")
    if "?" in rest or "#" in rest:
        raise AddressError(
            f"{scheme}://{re.split('[?#]', rest)[0]}", "an address has no parameters; remove what follows ? or #"
        )
    if scheme not in SCHEMES or "::" in rest:
        known = ", ".join(sorted(SCHEMES - {"memory"}))
        raise AddressError(f"{scheme}://...", f"this is no scheme of remote folders; they are {known}")
    place = rest.rstrip("/")
    if {"", ".", ".."}.intersection(place.split("/")):
        raise AddressError(f"{scheme}://{place}", "the address names no folder; write it as s3://bucket/folder")
    return Address(scheme, place)
