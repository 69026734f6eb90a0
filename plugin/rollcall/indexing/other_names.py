"""Files that have several names: hard links, and links to pictures. They are one photo, under the name known first."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.media import paths
from rollcall.records import FileStat, PhotoState
from rollcall.remote.paths import is_remote
from rollcall.storage.library import Place, roots
from rollcall.storage.tables import PhotoRow


def left_out(session: Session, place: Place, files: Sequence[FileStat]) -> set[FileStat]:
    """Return those of some new files that the library has under another name, which is there.

    Names that the library knows already stay, so that nothing a person entered for one of them goes. Names that differ
    in letters' case or composition alone are one name on some file systems, and a file that was renamed.
    """
    found: set[FileStat] = set()
    if is_remote(place.root):
        return found
    names = _known(session, files)
    counts = Counter(map(_facts, files))
    # The names of files come before links to them.
    for file in sorted(files, key=lambda one: counts[_facts(one)] > 1 and paths.is_link(_path(place, one))):
        path, others = _path(place, file), names[_facts(file)]
        if any(_is_same(path, other) for other in others):
            found.add(file)
        else:
            others.append(path)
    return found


def _known(session: Session, files: Sequence[FileStat]) -> defaultdict[tuple[int, int], list[Path]]:
    """Return the paths of photos with the sizes and times of some files."""
    folders = {one.root_id: one.root for one in roots(session)}
    names: defaultdict[tuple[int, int], list[Path]] = defaultdict(list)
    rows = session.execute(
        select(PhotoRow.root_id, PhotoRow.path, PhotoRow.size, PhotoRow.mtime_ns).where(
            PhotoRow.size.in_({file.size for file in files}),
            PhotoRow.mtime_ns.in_({file.mtime_ns for file in files}),
            PhotoRow.state != PhotoState.MISSING,
        )
    )
    for root_id, path, size, mtime_ns in rows:
        if not is_remote(folders[root_id]):
            names[size, mtime_ns].append(folders[root_id] / paths.from_text(path))
    return names


def _facts(file: FileStat) -> tuple[int, int]:
    return file.size, file.mtime_ns


def _path(place: Place, file: FileStat) -> Path:
    return place.root / paths.from_text(file.relative_path)


def _is_same(one: Path, other: Path) -> bool:
    if _folded(one) == _folded(other):
        return False
    try:
        here, there = os.stat(one), os.stat(other)
    except (OSError, ValueError):
        return False
    # Where a file system gives no numbers, all are 0.
    return here.st_ino != 0 and os.path.samestat(here, there)


def _folded(path: Path) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()
