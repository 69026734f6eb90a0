"""What the indexer leaves alone because it was forgotten, and what it forgets because a folder opted out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rollcall import decode, discovery, events, forget, names
from rollcall.errors import StoreError
from rollcall.records import FileFacts
from rollcall.settings import Settings
from rollcall.store import forgetting, forgotten
from rollcall.store.database import Database
from rollcall.store.forgotten import KeptAway
from rollcall.store.photos import PendingPhoto, Place, at, under

#: How long a reader is waited for at the end of a run; what it keeps from being cleaned is cleaned by the next run.
_PATIENCE = 5.0


class OptingOut:
    """Asked by the indexer before it looks at files and before it stores them; the caller has the right to index."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    def kept_away(self) -> KeptAway:
        """Return the files and folders that were forgotten."""
        with self.database.read() as session:
            return forgotten.kept_away(session)

    def visible(self, place: Place, files: Iterable[FileFacts], kept: KeptAway) -> Iterator[FileFacts]:
        """Yield those of a place's files that were not forgotten."""
        root = names.to_text(str(place.root)).rstrip("/")
        for one in files:
            if not kept.hides(f"{root}/{one.relative_path}", one.size, one.mtime_ns):
                yield one

    def leave(self, place: Place, folders: Collection[str]) -> list[tuple[Path, int]]:
        """Forget what is stored of folders that hold a file `.rollcall-ignore`; returns those of which something was.

        What a person said stays in the log, without embeddings: the file may go again.
        """
        result = []
        for folder in sorted(folders):
            of_folder = place._replace(prefix=folder)
            with self.database.erase() as session:
                photo_ids = session.scalars(under(of_folder)).all()
                if photo_ids:
                    forgetting.photos(session, photo_ids, keep_away=False, keep_log=True)
                    forgetting.set_due(session, True)
                    result.append((of_folder.folder, len(photo_ids)))
        return result

    def hidden(self, contents: Sequence[str]) -> set[str]:
        """Return which of some contents were forgotten."""
        with self.database.read() as session:
            return forgotten.contents(session, contents)

    def drop(self, photos: Mapping[PendingPhoto, tuple[int, int, str]]) -> None:
        """Delete the rows of files that turned out to be forgotten photos; each with size, mtime and content hash."""
        with self.database.erase() as session:
            for photo, (size, mtime_ns, content_hash) in photos.items():
                forgetting.photos(session, [at(session, photo)], keep_away=False, keep_log=True)
                forgetting.keep_photo_away(session, names.to_text(str(photo.path)), size, mtime_ns, content_hash)
            forgetting.set_due(session, True)

    def remember(self, paths: Iterable[Path]) -> None:
        """Let folders and files that a person names be stored again, whatever was forgotten of them."""
        for path in paths:
            real = Path(os.path.realpath(path))
            shown = names.to_text(str(real))
            if real.is_file():
                try:
                    digest = decode.content_hash(real)
                except OSError:
                    continue
                with self.database.write() as session:
                    forgotten.lift_file(session, shown, digest)
            else:
                with self.database.write() as session:
                    forgotten.lift_folder(session, shown)

    def finish(self, listener: events.Listener) -> None:
        """Leave nothing of what was deleted in any file, if something was."""
        with self.database.read() as session:
            due = forgetting.is_due(session)
        if due:
            try:
                forget.clean(self.database, self.settings, _PATIENCE)
            except StoreError as error:
                listener(events.Warned(str(error)))


def ignoring(place: Place) -> str | None:
    """Return the topmost folder at or above a place, up to its root, that holds a file `.rollcall-ignore`."""
    parts = Path(names.from_text(place.prefix)).parts
    for count in range(len(parts) + 1):
        if os.path.lexists(place.root.joinpath(*parts[:count], discovery.IGNORE)):
            return names.to_text("/".join(parts[:count]))
    return None
