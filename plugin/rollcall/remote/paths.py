"""Remote files as paths: `s3://bucket/folder/photo.jpg`, with the parts, parents and names that local ones have."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from rollcall.remote.address import SCHEMES, Address, parse

#: As `Path` leaves an address: with one slash of the two.
_FORM: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/+(?P<rest>.*)", re.DOTALL)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+:")

if TYPE_CHECKING:
    _Path = Path
else:
    # That of this system: `Path` itself cannot be made a subclass of before Python 3.12.
    _Path = type(Path())


class RemotePath(_Path):
    """The path of a remote file or folder; nothing is there for functions of the local file system."""

    def __str__(self) -> str:
        """Return the address."""
        text = super().__str__().replace("\\", "/") if os.name == "nt" else super().__str__()
        scheme = _SCHEME.match(text)
        return text if scheme is None else f"{scheme[0]}//{text[scheme.end() :].lstrip('/')}"

    # A path below is a plain one: what it is below of has a scheme.
    def relative_to(self, other: Any, *more: Any, **options: Any) -> Any:  # type: ignore[override]
        """Return the path below a folder, which is no address.

        Raises
        ------
        ValueError
            If the folder does not hold it.
        """
        folder = self.__class__(other, *more)
        if not self.is_relative_to(folder):
            raise ValueError(f"{self} does not lie in {folder}")
        return PurePosixPath(*self.parts[len(folder.parts) :])

    def is_relative_to(self, other: Any, *more: Any) -> bool:
        """Return whether a folder is this one or holds it."""
        parts = Path(other, *more).parts
        return bool(self.parts[: len(parts)] == parts)

    def resolve(self, strict: bool = False) -> RemotePath:
        """Return it as it is: there are no links."""
        return self

    def absolute(self) -> RemotePath:
        """Return it as it is: it names its place."""
        return self

    def expanduser(self) -> RemotePath:
        """Return it as it is: no part of it stands for a home folder."""
        return self

    def is_absolute(self) -> bool:
        """Return whether it names its place, as every one does."""
        return True

    # A local file of this name would be another one, so nothing is there for those who ask this computer.

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Raise `FileNotFoundError`."""
        raise self._not_here()

    def lstat(self) -> os.stat_result:
        """Raise `FileNotFoundError`."""
        raise self._not_here()

    def open(self, *arguments: Any, **options: Any) -> Any:
        """Raise `FileNotFoundError`."""
        raise self._not_here()

    def iterdir(self) -> Any:
        """Raise `FileNotFoundError`."""
        raise self._not_here()

    def exists(self, **options: Any) -> bool:
        """Return False."""
        return False

    def is_file(self, **options: Any) -> bool:
        """Return False."""
        return False

    def is_dir(self, **options: Any) -> bool:
        """Return False."""
        return False

    def is_symlink(self) -> bool:
        """Return False."""
        return False

    def _not_here(self) -> FileNotFoundError:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))


def is_remote(path: Path) -> bool:
    """Return whether a path of the library is that of a remote file or folder."""
    return isinstance(path, RemotePath)


def named(given: Path | str) -> Path:
    """Return the path that a person or a host names: a remote one of an address, else the local one as it is.

    Raises
    ------
    AddressError
        If it is an address that holds a password or names no remote folder.
    """
    if isinstance(given, RemotePath):
        return given
    found = _FORM.fullmatch(given if isinstance(given, str) else given.as_posix())
    if found is None or (found["scheme"].lower() not in SCHEMES and os.path.lexists(given)):
        return Path(given)
    return RemotePath(str(parse(f"{found['scheme']}://{found['rest']}")))


def stored(text: str) -> Path:
    """Return the path that a text of the database is."""
    # All local ones are absolute, and drive letters have no second character.
    return RemotePath(text) if _SCHEME.match(text) else Path(text)


def split(path: Path) -> tuple[Address, str]:
    """Return the bucket or server of a remote path, and what is below it, with `/` between folders."""
    scheme, *rest = path.parts
    return Address(scheme.rstrip(":"), rest[0] if rest else ""), "/".join(rest[1:])
