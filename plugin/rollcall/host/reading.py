"""The methods of a plugin that read: searches, photos, faces, statistics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

from rollcall import events
from rollcall.host.base import PluginBase, Status
from rollcall.privacy.switches import search_notices
from rollcall.search import (
    MIN_PROBABILITY,
    Hit,
    Interpretation,
    Order,
    browsing,
    details,
    engine,
    library,
    memories,
    similarity,
)
from rollcall.search.browsing import Month
from rollcall.search.columns import columns_of
from rollcall.search.details import FaceDetails, PhotoDetails
from rollcall.search.library import FaceCrop, LibraryStatistics, PhotoFile, TagSuggestions
from rollcall.search.memories import Memory
from rollcall.search.ranking import Ranked
from rollcall.storage.library import roots

#: How many failures an overview lists.
LISTED_FAILURES: Final = 20


class ReadingMixin(PluginBase):
    """Searches, photos, faces and statistics of a plugin."""

    def search(
        self,
        words: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        min_probability: float = MIN_PROBABILITY,
        order: Order = "probability",
        faces: bool = True,
        after: int | None = None,
        language: str | None = None,
        album: int | None = None,
    ) -> list[Hit]:
        """Return the photos that match a query.

        Listeners get the event `Warned` where the query needs ages, genders or embeddings that are switched off.

        Parameters
        ----------
        words
            The query, such as "photos of children"; empty: all photos.
        limit, offset
            How many photos at most, and how many to leave out first.
        min_probability
            Leave out photos with a lower probability.
        order
            "probability": the most probable first; "date": the newest first.
        faces
            Return the photos' faces, too.
        after
            The number of a photo: return the photos behind it. For queries of all photos in the order of dates, where
            it is as fast at the end of a large library as at its beginning.
        language
            The language to prefer, such as "de"; None finds it out. English is always understood.
        album
            Only photos of the album of this number.

        Raises
        ------
        InvalidQueryError
            If the query cannot be understood.
        NotFoundError
            If there is no such album.
        """
        if self.settings.attributes.switched_off:
            for notice in self.notices(words, readings=False, language=language):
                self._bus.publish(events.Warned(notice))
        return engine.search(
            self.database,
            words,
            limit=limit,
            offset=offset,
            min_probability=min_probability,
            order=order,
            faces=faces,
            after=after,
            language=language,
            album=album,
        )

    def ranked(
        self,
        words: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        min_probability: float = MIN_PROBABILITY,
        order: Order = "probability",
        language: str | None = None,
        album: int | None = None,
        behind: Ranked | None = None,
    ) -> list[Ranked]:
        """Return the numbers and probabilities of the photos that match a query: of thousands quicker than `search`.

        Parameters
        ----------
        words
            The query, such as "photos of children"; empty: all photos.
        limit, offset
            How many photos at most, and how many to leave out first.
        min_probability
            Leave out photos with a lower probability.
        order
            "probability": the most probable first; "date": the newest first.
        language
            The language to prefer, such as "de"; None finds it out. English is always understood.
        album
            Only photos of the album of this number.
        behind
            What stands before `offset` in the same results, if that is known: far down it is quicker then.

        Raises
        ------
        InvalidQueryError
            If the query cannot be understood.
        NotFoundError
            If there is no such album.
        """
        return engine.ranked(
            self.database,
            words,
            limit=limit,
            offset=offset,
            min_probability=min_probability,
            order=order,
            language=language,
            album=album,
            behind=behind,
        )

    def is_match(
        self,
        photo_id: int,
        words: str,
        *,
        min_probability: float = MIN_PROBABILITY,
        language: str | None = None,
        album: int | None = None,
    ) -> bool:
        """Return whether a photo is among those that match a query; quicker than to look for it among all.

        Parameters
        ----------
        photo_id, words, min_probability, language, album
            The photo, and what is searched for, as of `ranked`.

        Raises
        ------
        InvalidQueryError
            If the query cannot be understood.
        NotFoundError
            If there is no such album.
        """
        return engine.is_match(
            self.database, words, photo_id, min_probability=min_probability, language=language, album=album
        )

    def prepare_searches(self) -> None:
        """Read what searches keep of the whole library, so that the first of them need not.

        Where that was never done it takes a second or two for each 50,000 photos.
        """
        with self.database.read() as session:
            columns_of(self.database).tidy(session)

    def count(
        self,
        words: str,
        *,
        min_probability: float = MIN_PROBABILITY,
        language: str | None = None,
        album: int | None = None,
    ) -> int:
        """Return how many photos match the query `words` with at least the probability `min_probability`.

        Parameters
        ----------
        language
            The language to prefer, such as "de"; None finds it out. English is always understood.
        album
            Only photos of the album of this number.

        Raises
        ------
        InvalidQueryError
            If the query cannot be understood.
        NotFoundError
            If there is no such album.
        """
        return engine.count(self.database, words, min_probability=min_probability, language=language, album=album)

    def interpret(self, words: str, *, language: str | None = None) -> Interpretation:
        """Return how a query is understood: its tree, and notes with the query of another reading where there is one.

        Parameters
        ----------
        words
            A query of `docs/search.md`, such as "photos of children".
        language
            The language to prefer, such as "de"; None finds it out. English is always understood.

        Raises
        ------
        InvalidQueryError
            If the query cannot be understood.
        """
        return engine.read(self.database, words, language)

    def notices(self, words: str, *, readings: bool = True, language: str | None = None) -> list[str]:
        """Return what a person should know of a query's answer, a sentence each.

        That are the notes of `interpret`, and the estimates that it needs and that are switched off.

        Parameters
        ----------
        words
            A query of `docs/search.md`, such as "photos of children".
        readings
            Return the notes too.
        language
            The language to prefer, such as "de"; None finds it out. English is always understood.

        Raises
        ------
        InvalidQueryError
            If the query cannot be understood.
        """
        term, notes = engine.read(self.database, words, language)
        found = [str(note) for note in notes] if readings else []
        if not self.settings.attributes.switched_off:
            return found
        with self.database.read() as session:
            return found + search_notices(session, term, self.settings.attributes)

    def similar(self, face_id: int, *, limit: int = 24) -> list[tuple[int, float]]:
        """Return the faces most similar to one, the most similar first.

        Each is the number of a visible face and the calibrated probability, 0..1, that both are of one person.
        Only embeddings of the same weights are compared.

        Raises
        ------
        NotFoundError
            If there is no such face.
        ConflictError
            If it has no embedding.
        """
        with self.database.read() as session:
            return similarity.most_similar(self.database, session, face_id, limit)

    def photo(self, photo_id: int) -> PhotoDetails:
        """Return a photo with its faces and tags.

        Raises
        ------
        NotFoundError
            If there is no such photo.
        """
        with self.database.read() as session:
            return details.photo(session, photo_id)

    def photos(self, photo_ids: Sequence[int], *, brief: bool = False) -> list[PhotoDetails]:
        """Return some photos with their faces and tags, in the given order; unknown numbers are left out.

        Parameters
        ----------
        photo_ids
            Which photos.
        brief
            Leave out what a list of pictures does not show: tags, and of faces landmarks and distributions of ages.
        """
        with self.database.read() as session:
            return details.photos(session, photo_ids, brief=brief)

    def face(self, face_id: int) -> FaceDetails:
        """Return one visible face.

        Raises
        ------
        NotFoundError
            If there is no such face, or it was dismissed.
        """
        with self.database.read() as session:
            return details.face(session, face_id)

    def neighbours(self, photo_id: int) -> tuple[int | None, int | None]:
        """Return the numbers of the next newer and the next older photo by capture time; None at an end."""
        with self.database.read() as session:
            return library.neighbours(session, photo_id)

    def newer_photos(self, photo_id: int, *, limit: int) -> list[int]:
        """Return the numbers of the `limit` photos just newer than one by capture time, the newest first."""
        with self.database.read() as session:
            return browsing.newer(session, photo_id, limit)

    def photos_until(self, month: str, *, limit: int) -> list[int]:
        """Return the numbers of the newest photos up to the end of a month, the newest first.

        Parameters
        ----------
        month
            Such as "2019-06"; "" for the photos without a capture time, which come last.
        limit
            How many photos at most.
        """
        with self.database.read() as session:
            return browsing.until(session, month, limit)

    def months(self) -> list[Month]:
        """Return the months that have photos with their numbers of photos, the newest first."""
        with self.database.read() as session:
            return browsing.months(session)

    def on_this_day(self, day: date | None = None, *, limit: int = 24) -> list[Memory]:
        """Return photos of a day and month in earlier years, the best of each year first.

        Photos with people are better than those without, then sharper faces; pictures saved twice come once.

        Parameters
        ----------
        day
            Which day; None: today, on this machine's clock.
        limit
            How many photos at most.
        """
        with self.database.read() as session:
            return memories.on_this_day(session, day or datetime.now().astimezone().date(), limit)

    def subfolders(self, *, limit: int = 200) -> list[str]:
        """Return the names of the folders just below the library's, at most `limit`."""
        with self.database.read() as session:
            return browsing.folders(session, limit)

    def suggestions(self, tag: str, above: float, *, limit: int) -> TagSuggestions:
        """Return the photos for which a tag is suggested with at least the probability `above`, lowest first.

        `tag` is the tag's full name, such as People/Children; the report counts all, whatever `limit` is.
        """
        with self.database.read() as session:
            return library.suggestions(session, tag, above, limit)

    def photo_file(self, photo_id: int) -> PhotoFile | None:
        """Return where a photo's file is; None if there is no such photo."""
        with self.database.read() as session:
            return library.photo_file(session, photo_id)

    def face_crop(self, face_id: int) -> FaceCrop | None:
        """Return the photo and box of a visible face; None if there is no such face."""
        with self.database.read() as session:
            return library.face_crop(session, face_id)

    def statistics(self) -> LibraryStatistics:
        """Return statistics of the library: ages, years, coverage, failures, model versions."""
        with self.database.read() as session:
            return library.statistics(session)

    def overview(self) -> tuple[list[str], list[tuple[str, str]]]:
        """Return the folders that photos are in, and path and reason of the first photos that failed."""
        with self.database.read() as session:
            return library.root_names(session), library.failures(session, LISTED_FAILURES)[0]

    def folders(self) -> list[Path]:
        """Return the folders of the library."""
        with self.database.read() as session:
            return [place.root for place in roots(session)]

    def state(self) -> int | None:
        """Return a number that is another one after each commit to the database, also by other processes.

        While it is the same every answer is; it says nothing beyond this start. None where that is not known: for a
        database in memory or on a server.
        """
        return self.database.state()

    def status(self) -> Status:
        """Return the state of the plugin and the content of its database; the plugin need not be started."""
        if self._database is None:
            return Status("stopped", "", {}, 0, None)
        with self.database.read() as session:
            photos, faces = library.counts(session)
        return Status(self.service.state, self.database.url, photos, faces, self.service.error)
