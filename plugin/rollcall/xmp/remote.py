"""Sidecars beside remote photos, which are read and never written: the listing of their folder stands for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.media import paths
from rollcall.media.formats import SUFFIXES, VIDEO_SUFFIXES
from rollcall.remote import homes
from rollcall.remote.copies import SHARED
from rollcall.remote.files import files_of
from rollcall.settings import Settings
from rollcall.storage.library import locate
from rollcall.storage.tables import HostMetadataRow, PhotoRow
from rollcall.xmp import files, packets
from rollcall.xmp.files import SidecarStat


class RemoteSidecar(NamedTuple):
    """The sidecar of a remote photo, and a copy of it."""

    path: Path
    stat: SidecarStat
    copy: Path


@contextmanager
def existing(photo: Path, settings: Settings) -> Iterator[RemoteSidecar | None]:
    """Give the sidecar that stands beside a remote photo, as `files.existing` finds it; None if there is none.

    Raises
    ------
    ChangedError, FileNotFoundError
        If it is not as it was listed; the next listing has it.
    RemoteError
        If the server or the network does not serve.
    """
    listed = SHARED.listed(photo.parent)
    names = [name for name in listed if name.casefold() in _sidecar_names(photo)]
    if not names:
        yield None
        return
    with homes.folder(settings, photo) as folder:
        # Whose sidecar it is depends on the pictures beside it, of which the names are enough.
        for name in listed:
            one = Path(name)
            if one.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES and one.stem == photo.stem:
                Path(folder, name).touch()
        for name in names:
            if listed[name].size <= packets.LONGEST:
                server, below = files_of(photo.with_name(name))
                server.fetch(below, Path(folder, name), listed[name])
            else:
                with suppress(OSError), Path(folder, name).open("wb") as large:
                    large.truncate(listed[name].size)
        found = files.existing(Path(folder, photo.name))
        if found is None:
            yield None
            return
        stat = listed.get(found.name) or listed[next(one for one in names if one.casefold() == found.name.casefold())]
        yield RemoteSidecar(
            photo.with_name(stat.name), SidecarStat(stat.size, stat.mtime_ns, stat.version or 0, 0), found
        )


def is_as_read(photo: Path, row: HostMetadataRow | None) -> bool:
    """Return whether a remote photo has the sidecar that was read last, unchanged, and no other.

    Raises
    ------
    RemoteError
        If the server or the network does not serve.
    """
    listed = SHARED.listed(photo.parent)
    found = [listed[name] for name in listed if name.casefold() in _sidecar_names(photo)]
    if row is None or len(found) != 1:
        return row is None and not found
    known = (row.file, row.size, row.mtime_ns, row.ctime_ns)
    return known == (paths.to_text(found[0].name), found[0].size, found[0].mtime_ns, found[0].version or 0)


def _sidecar_names(photo: Path) -> tuple[str, str]:
    return (photo.name + files.SUFFIX).casefold(), (photo.stem + files.SUFFIX).casefold()


def photos_of(session: Session, sidecar: Path) -> set[int]:
    """Return the stored photos that a remote sidecar may belong to, by its name."""
    place = locate(session, sidecar.parent)
    if place is None:
        return set()
    folder = f"{place.prefix}/" if place.prefix else ""
    stem = folder + paths.to_text(sidecar.stem)
    # "/" is the character behind ".".
    found = session.execute(
        select(PhotoRow.id, PhotoRow.path).where(
            PhotoRow.root_id == place.root_id,
            (PhotoRow.path == stem) | ((PhotoRow.path >= f"{stem}.") & (PhotoRow.path < f"{stem}/")),
        )
    )
    return {photo_id for photo_id, path in found if "/" not in path[len(folder) :]}
