"""Files fetched ahead of those who read them, side by side, on a bounded part of the disk."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rollcall.remote.files import ChangedError, RemoteFiles, RemoteStat


class Fetched(NamedTuple):
    """A remote file that is here until the next one is asked for, or why it is not."""

    stat: RemoteStat
    file: Path | None
    error: FileNotFoundError | ChangedError | None = None  # gone, or not as listed


class _Copy(NamedTuple):
    stat: RemoteStat
    file: Path
    work: Future[None]


def fetched(
    files: RemoteFiles, stats: Iterable[RemoteStat], *, ahead: int, budget: int, folder: Path | None = None
) -> Iterator[Fetched]:
    """Yield files in their order; each copy is deleted when the next is asked for, all of them at the end.

    Parameters
    ----------
    ahead
        How many are fetched side by side, at least 1.
    budget
        Bytes that the copies may take together; a file that is larger is fetched while there is no other.
    folder
        Where the temporary folder is made; None: where the system has its own.

    Raises
    ------
    RemoteError
        If the server, the network or the disk here does not serve.
    """
    waiting: deque[_Copy] = deque()
    with (
        tempfile.TemporaryDirectory(prefix="rollcall-", dir=folder) as place,
        ThreadPoolExecutor(ahead, thread_name_prefix="fetch") as threads,
    ):
        try:
            # Room is taken here, in the order of the files: a later one can never hold what an earlier one waits for.
            for number, stat in enumerate(stats):
                while waiting and (len(waiting) >= ahead or _bytes(waiting) + stat.size > budget):
                    yield from _first(waiting)
                # The suffix stays, by which decoders tell raw files apart.
                file = Path(place, f"{number}{PurePosixPath(stat.path).suffix}")
                waiting.append(_Copy(stat, file, threads.submit(files.fetch, stat, file)))
            while waiting:
                yield from _first(waiting)
        finally:
            for copy in waiting:
                copy.work.cancel()


def _bytes(copies: Iterable[_Copy]) -> int:
    return sum(copy.stat.size for copy in copies)


def _first(waiting: deque[_Copy]) -> Iterator[Fetched]:
    """Yield the first copy while it still counts, then delete it."""
    copy = waiting[0]
    try:
        copy.work.result()
        yield Fetched(copy.stat, copy.file)
    except (FileNotFoundError, ChangedError) as error:
        yield Fetched(copy.stat, None, error)
    finally:
        copy.file.unlink(missing_ok=True)
        waiting.popleft()
