"""Exclusions: files and folders that are not indexed, because they were erased or have an opt-out marker."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rollcall import events
from rollcall.errors import PictureError, RemoteError, StoreError
from rollcall.media import decode, paths
from rollcall.media.formats import SUFFIXES, VIDEO_SUFFIXES
from rollcall.privacy import deletion, erasure, tombstones
from rollcall.privacy.tombstones import ErasedPaths
from rollcall.records import FileStat
from rollcall.remote.copies import at_hand
from rollcall.remote.paths import is_remote
from rollcall.settings import OPT_OUT_MARKER, Settings
from rollcall.storage.database import Database
from rollcall.storage.library import PendingPhoto, Place, photo_at, photo_ids_under, resolved

#: How long a run waits at its end for readers that block a scrub, in seconds; the next run tries again.
_SCRUB_WAIT_SECONDS: Final = 5.0


class FileIdentity(NamedTuple):
    """The properties by which a tombstone identifies a file."""

    size: int  # bytes
    mtime_ns: int
    content_hash: str


class Exclusions:
    """The exclusions of a database. The caller holds its lock for indexing (`Database.indexing`)."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    def erased_paths(self) -> ErasedPaths:
        """Return the files and folders that were erased."""
        with self.database.read() as session:
            return tombstones.erased_paths(session)

    @staticmethod
    def not_erased(place: Place, files: Iterable[FileStat], erased: ErasedPaths) -> Iterator[FileStat]:
        """Yield the files of a place that were not erased."""
        root = paths.to_text(str(place.root)).rstrip("/")
        for file in files:
            if not erased.covers(f"{root}/{file.relative_path}", file.size, file.mtime_ns):
                yield file

    def erase_opted_out(self, place: Place, folders: Collection[str]) -> list[tuple[Path, int]]:
        """Delete the photos of folders, relative to the root, that have an opt-out marker.

        Corrections stay in the log, without embeddings, to wait for the marker's removal. Returns the folders that had
        photos, with their numbers of photos.
        """
        result = []
        for folder in sorted(folders):
            of_folder = place._replace(prefix=folder)
            with self.database.erase() as session:
                photo_ids = session.scalars(photo_ids_under(of_folder)).all()
                if photo_ids:
                    deletion.delete_photos(session, photo_ids, tombstone=False, keep_log=True)
                    deletion.set_scrub_due(session, True)
                    result.append((of_folder.folder, len(photo_ids)))
        return result

    def erased_contents(self, hashes: Sequence[str]) -> set[str]:
        """Return which of some content hashes were erased."""
        with self.database.read() as session:
            return tombstones.erased_contents(session, hashes)

    def erased_file(self, path: Path, stat: FileStat) -> FileIdentity | None:
        """Return what identifies a file whose content was erased; None of any other.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        with self.database.read() as session:
            erased = tombstones.contents_of_size(session, stat.size)
        digest = decode.content_hash(path) if erased else None
        return FileIdentity(stat.size, stat.mtime_ns, digest) if digest is not None and digest in erased else None

    def drop(self, photos: Mapping[PendingPhoto, FileIdentity]) -> None:
        """Delete the rows of files that turned out to be erased photos, and set tombstones for their paths."""
        with self.database.erase() as session:
            for photo, file in photos.items():
                deletion.delete_photos(session, [photo_at(session, photo)], tombstone=False, keep_log=True)
                tombstones.add_photo(session, paths.to_text(str(photo.path)), *file)
            deletion.set_scrub_due(session, True)

    def lift(self, named: Iterable[Path]) -> None:
        """Remove the tombstones of folders and files that a person names, and of faces in these files."""
        for path in named:
            real = resolved(path)
            shown = paths.to_text(str(real))
            if is_remote(real):
                self._lift_remote(real, shown)
            elif real.is_file():
                try:
                    digest = decode.content_hash(real)
                except OSError:
                    continue
                with self.database.write() as session:
                    tombstones.lift_file(session, shown, digest)
            else:
                with self.database.write() as session:
                    tombstones.lift_folder(session, shown)

    def _lift_remote(self, path: Path, shown: str) -> None:
        """Do so for a remote path, of which only the server knows whether it is a file; one that is away is skipped."""
        with self.database.write() as session:
            tombstones.lift_folder(session, shown)
        if path.suffix.lower() not in SUFFIXES | VIDEO_SUFFIXES:
            return
        try:
            with at_hand(path, self.settings) as file:
                digest = decode.content_hash(file)
        except (OSError, PictureError, RemoteError):
            return
        with self.database.write() as session:
            tombstones.lift_file(session, shown, digest)

    def scrub_if_due(self, publish: events.Listener) -> None:
        """Scrub all files if rows were deleted; an error becomes a warning, since the next run tries again."""
        with self.database.read() as session:
            due = deletion.is_scrub_due(session)
        if due:
            try:
                erasure.scrub(self.database, self.settings, _SCRUB_WAIT_SECONDS)
            except StoreError as error:
                publish(events.Warned(str(error)))


def opted_out_above(place: Place) -> str | None:
    """Return the topmost folder at or above a place, relative to the root, that has an opt-out marker; else None."""
    parts = Path(paths.from_text(place.prefix)).parts
    for count in range(len(parts) + 1):
        if os.path.lexists(place.root.joinpath(*parts[:count], OPT_OUT_MARKER)):
            return paths.to_text("/".join(parts[:count]))
    return None
