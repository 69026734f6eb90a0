"""What goes wrong with remote folders: what is tried again, and which errors are the environment's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from rollcall.errors import RemoteError
from rollcall.remote.address import Address

_Result = TypeVar("_Result")
#: What another try does not change.
_FINAL: Final = (FileNotFoundError, NotADirectoryError, PermissionError, ImportError, ValueError, NotImplementedError)


#: What has to be installed beside the extra.
_PACKAGES: Final = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "smb": "smbprotocol"}


class Retries(NamedTuple):
    """How often and how soon something is tried again."""

    tries: int = 4  # in all
    first: float = 0.5  # seconds before the second try; each further one waits twice as long
    sleep: Callable[[float], None] = time.sleep


class ChangedError(OSError):
    """A file is not the one that was listed; the next listing has it."""


class CutShortError(OSError):
    """A server ended a file before its end."""


def retried(
    work: Callable[[], _Result], address: Address, retries: Retries, reconnect: Callable[[], None] | None = None
) -> _Result:
    """Return what `work` returns, tried again after trouble that may pass, and after connecting again.

    Raises
    ------
    FileNotFoundError, ChangedError
        If what was asked for is not there, or not as it was.
    RemoteError
        If the server, the network or the credentials do not serve: no photo is to blame.
    """
    for left in reversed(range(retries.tries)):
        try:
            if reconnect is not None:
                reconnect()
            return work()
        except (FileNotFoundError, ChangedError, RemoteError):
            raise
        except Exception as error:  # each package of fsspec has errors of its own
            if left == 0 or isinstance(error, _FINAL):
                raise RemoteError(address, reason(error, address.scheme)) from error
        retries.sleep(retries.first * 2 ** (retries.tries - 1 - left))
    raise ValueError("at least one try is needed")


def reason(error: Exception, scheme: str) -> str:
    """Return why something failed and what to do; never the error's own text, which may hold keys or signed URLs."""
    name = type(error).__name__
    if isinstance(error, PermissionError) or "Credential" in name or "Auth" in name or _status(error) in (401, 403):
        return "access is refused; check the credentials of this computer and what they may read"
    if isinstance(error, ImportError):
        package = _PACKAGES.get(scheme)
        return f"a package for {scheme} is missing; install rollcall[remote]{f' and {package}' if package else ''}"
    if isinstance(error, CutShortError):
        return "the server ends files before their end; try again later"
    if isinstance(error, TimeoutError) or "Timeout" in name:
        return "the server takes too long; try again later"
    return f"the server cannot be read ({name}); check the address and the network, and try again"


def _status(error: Exception) -> int | None:
    """Return the status of HTTP that a WebDAV server gave."""
    found = getattr(error, "status_code", None)
    return found if isinstance(found, int) else None
