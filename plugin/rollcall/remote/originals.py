"""Remote files that the page shows, kept on this computer up to a limit: the one that was not shown longest goes first.

They lie among the page's small pictures, in the folder that erasure empties.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from rollcall.errors import RemoteError
from rollcall.remote.files import RemoteStat, files_of
from rollcall.remote.trouble import ChangedError
from rollcall.settings import Settings

_FOLDER: Final = "originals"


class Originals:
    """The copies of one cache folder. May be used from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.thumbnail_folder / _FOLDER
        self.limit = settings.remote.cache_megabytes * 1_000_000

    def file(
        self,
        path: Path,
        version: str,
        listed: RemoteStat | None = None,
        is_right: Callable[[Path], bool] = lambda copy: True,
    ) -> Path:
        """Return a copy of a remote file, which is fetched if it is not here.

        Parameters
        ----------
        version
            Changes with the file's content.
        listed
            As the last listing had it; None: whatever it is now.
        is_right
            Returns whether a copy has the content of the version; another one is not kept.

        Raises
        ------
        FileNotFoundError
            If the remote file is gone.
        ChangedError
            If it has another content.
        RemoteError
            If the server, the network or the disk here does not serve.
        """
        name = hashlib.blake2b(f"{path}\n{version}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        copy = self.folder / f"{name}{path.suffix.lower()}"
        with suppress(FileNotFoundError):
            os.utime(copy)
            return copy
        server, below = files_of(path)
        part = copy.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part{copy.suffix}")
        try:
            for one in (self.folder.parent, self.folder):
                one.mkdir(mode=0o700, parents=True, exist_ok=True)
            server.fetch(below, part, listed)
            right = is_right(part)
            if right:
                part.replace(copy)
        except (FileNotFoundError, ChangedError):
            raise
        except OSError as error:
            raise RemoteError(path, f"{self.folder} cannot hold a copy ({error.strerror or error})") from error
        finally:
            part.unlink(missing_ok=True)
        if not right:
            raise ChangedError(f"{below} changed since it was found")
        delete_oldest(self.folder.iterdir(), self.limit, self.limit, spared=copy)
        return copy


def delete_oldest(files: Iterable[Path], limit: float, until: float, spared: Path | None = None) -> None:
    """Delete those files that were not used longest, if all together have more than `limit` bytes, down to `until`.

    A file counts as used at its time of change; one that cannot be deleted is left.
    """
    found = []
    for file in files:
        with suppress(OSError):
            info = file.stat()
            found.append((info.st_mtime, info.st_size, file))
    total = sum(size for _, size, _ in found)
    if total <= limit:
        return
    for _, size, file in sorted(found):
        if total <= until:
            return
        if file != spared:
            with suppress(OSError):
                file.unlink()
            total -= size
