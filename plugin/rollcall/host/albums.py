"""The methods of a plugin about albums: saved searches, photos chosen by hand, and both together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall import corrections
from rollcall.corrections import archive, log
from rollcall.corrections.kinds import Correction
from rollcall.errors import InvalidCorrectionError, NotFoundError, RollcallError, not_written
from rollcall.host.base import PluginBase
from rollcall.media.zipping import named, zipped
from rollcall.remote.paths import is_remote
from rollcall.search import Hit, albums, engine, library
from rollcall.search.albums import Album
from rollcall.search.grammar import parse
from rollcall.search.references import references
from rollcall.search.roster import roster_of
from rollcall.sentences import Sentence
from rollcall.storage.album_tables import AlbumRow
from rollcall.storage.parts import completed
from rollcall.storage.private import create
from rollcall.storage.tables import PersonRow

#: Photos of a search belong to an album from this probability on, unless another one is given.
AT_LEAST: Final = 0.5


class AlbumsMixin(PluginBase):
    """Albums of a plugin.

    All that is stated here is a batch of corrections: `undo` takes it back, and exports hold it. The numbers of albums
    are those of this database; `Album.uid` names them everywhere.
    """

    def albums(self) -> list[Album]:
        """Return all albums, by name."""
        with self.database.read() as session:
            return albums.albums(session)

    def album(self, album_id: int) -> Album:
        """Return the album of the number `album_id`.

        Raises
        ------
        NotFoundError
            If there is none of this number.
        """
        with self.database.read() as session:
            return albums.album(session, album_id)

    def album_photos(
        self, album_id: int, *, limit: int | None = None, offset: int = 0, faces: bool = False
    ) -> list[Hit]:
        """Return the photos of an album, the newest first.

        Parameters
        ----------
        album_id
            Which album.
        limit, offset
            How many photos at most, and how many to leave out first.
        faces
            Return the photos' faces, too.

        Raises
        ------
        NotFoundError
            If there is no such album.
        InvalidQueryError
            If its query cannot be understood any more.
        """
        one = self.album(album_id)
        return engine.search(
            self.database,
            "",
            album=album_id,
            limit=limit,
            offset=offset,
            min_probability=one.min_probability,
            order="date",
            faces=faces,
        )

    def album_count(self, album_id: int) -> int:
        """Return how many photos are in the album of the number `album_id`.

        Raises
        ------
        NotFoundError
            If there is no such album.
        InvalidQueryError
            If its query cannot be understood any more.
        """
        one = self.album(album_id)
        return engine.count(self.database, "", album=album_id, min_probability=one.min_probability)

    # ---- Changing

    def save_album(
        self,
        name: str,
        query: str | None = None,
        *,
        photos: Sequence[int] = (),
        min_probability: float = AT_LEAST,
        language: str | None = None,
        by: str = "user",
        origin: str | None = None,
    ) -> Album:
        """Make an album of a search, of photos, or of both, and return it.

        The query stays valid when somebody whom it names is called otherwise later.

        Parameters
        ----------
        name
            What it is called.
        query
            The search; None: only `photos`.
        photos
            Photos that are in it whatever the query means, by number.
        min_probability
            Photos that the query means with a lower probability are not in it.
        language
            The language of the query to prefer, such as "de"; None finds it out.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        InvalidCorrectionError
            If the name is empty or too long.
        InvalidQueryError
            If the query cannot be understood.
        NotFoundError
            If one of the photos is not there.
        """
        uid = corrections.new_uid()

        def given(session: Session) -> list[Correction]:
            lines: list[Correction] = [corrections.album_name(uid, name)]
            if query is not None and query.strip():
                lines.append(_of_query(session, uid, query.strip(), min_probability, language))
            return lines + [corrections.album_photo(uid, one) for one in dict.fromkeys(photos)]

        self._record_albums((by, origin), given)
        with self.database.read() as session:
            return albums.album(session, session.scalars(select(AlbumRow.id).where(AlbumRow.uid == uid)).one())

    def rename_album(self, album_id: int, name: str, *, by: str = "user", origin: str | None = None) -> Album:
        """Call an album otherwise, and return it.

        Parameters
        ----------
        album_id
            Which album.
        name
            Its new name.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such album.
        InvalidCorrectionError
            If the name is empty or too long.
        """
        self._record_albums((by, origin), lambda s: [corrections.album_name(_uid(s, album_id), name)])
        return self.album(album_id)

    def search_album(
        self, album_id: int, query: str, *, language: str | None = None, by: str = "user", origin: str | None = None
    ) -> Album:
        """Give an album another search, and return it; what was put in or taken out by hand stays so.

        From which probability on photos are in it stays as well.

        Parameters
        ----------
        album_id
            Which album.
        query
            The search.
        language
            The language of the query to prefer, such as "de"; None finds it out.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such album.
        InvalidQueryError
            If the query cannot be understood.
        InvalidCorrectionError
            If it is empty or too long.
        """
        if not query.strip():
            raise InvalidCorrectionError(Sentence("there is no search to save; type one, or choose photos"))

        def given(session: Session) -> list[Correction]:
            before = albums.album(session, album_id)
            return [_of_query(session, before.uid, query.strip(), before.min_probability, language)]

        self._record_albums((by, origin), given)
        return self.album(album_id)

    def share_album(self, album_id: int, shared: bool = True, *, by: str = "user", origin: str | None = None) -> Album:
        """Let guests of the home network see an album, and return it; with `shared` of False no longer.

        Parameters
        ----------
        album_id
            Which album.
        shared
            False: only the owner sees it.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such album.
        """
        self._record_albums((by, origin), lambda s: [corrections.album_shared(_uid(s, album_id), shared)])
        return self.album(album_id)

    def remove_album(self, album_id: int, *, by: str = "user", origin: str | None = None) -> None:
        """Remove an album; its photos stay, and `undo` brings it back.

        Parameters
        ----------
        album_id
            Which album.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such album.
        """
        self._record_albums((by, origin), lambda s: [corrections.album_removed(_uid(s, album_id))])

    def add_to_album(
        self, album_id: int, *photo_ids: int, inside: bool = True, by: str = "user", origin: str | None = None
    ) -> Album:
        """Put photos into an album, and return it; with `inside` of False take them out, though its query means them.

        Parameters
        ----------
        album_id
            Which album.
        photo_ids
            The photos.
        inside
            False takes them out.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such album or photo.
        """

        def given(session: Session) -> list[Correction]:
            uid = _uid(session, album_id)
            return [corrections.album_photo(uid, one, inside) for one in dict.fromkeys(photo_ids)]

        self._record_albums((by, origin), given)
        return self.album(album_id)

    # ---- Giving away

    def export_album(self, album_id: int, file: Path) -> int:
        """Write the originals of an album into a ZIP file, and return how many; those that are not there are left out.

        So are those of remote folders.

        Parameters
        ----------
        album_id
            Which album.
        file
            Where to write; it must not exist.

        Raises
        ------
        NotFoundError
            If there is no such album.
        RollcallError
            If the file exists or cannot be written.
        """
        photos = [hit.photo_id for hit in self.album_photos(album_id)]
        found = list(named(self._originals(photos)))
        if file.exists():
            raise RollcallError(f"{file}: there is such a file; choose another name")
        try:
            with completed(file) as part:
                create(part)
                with part.open("wb") as out:
                    out.writelines(zipped(found))
        except OSError as error:
            raise RollcallError(f"{file}: {not_written(error, 'choose another place')}") from error
        return len(found)

    def _originals(self, photo_ids: Sequence[int]) -> Iterator[tuple[int, Path]]:
        """Yield the files of photos that are there, and do not lead out of the library."""
        for photo_id in photo_ids:
            with self.database.read() as session:
                found = library.photo_file(session, photo_id)
            if found is None or is_remote(found.path):
                continue
            real = Path(os.path.realpath(found.path))
            if real.is_file() and real.is_relative_to(os.path.realpath(found.root)):
                yield photo_id, real

    def _record_albums(self, source: tuple[str, str | None], given: Callable[[Session], list[Correction]]) -> None:
        with self.database.write() as session:
            log.record(session, given(session), source[0], self.settings.tags, source[1])
        archive.append(self.database)


def _uid(session: Session, album_id: int) -> str:
    uid = session.scalar(select(AlbumRow.uid).where(AlbumRow.id == album_id, ~AlbumRow.removed))
    if uid is None:
        raise NotFoundError("album", album_id)
    return uid


def _of_query(session: Session, uid: str, query: str, at_least: float, language: str | None) -> Correction:
    """Return the correction that gives an album its query, with the uids of the people whom it names."""
    roster = roster_of(session)
    parse(query, language, roster)  # a search that is not understood is no album
    names = []
    for one in references(query, roster):
        uids = session.scalars(select(PersonRow.uid).where(PersonRow.id.in_(one.people)).order_by(PersonRow.id)).all()
        if uids:
            names.append((one.start, one.end, uids))
    return corrections.album_query(uid, query, language=language, at_least=at_least, names=names)
