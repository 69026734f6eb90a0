"""The methods of a plugin that search."""

from __future__ import annotations

from rollcall import events
from rollcall.host.base import PluginBase
from rollcall.privacy.switches import search_notices
from rollcall.search import MIN_PROBABILITY, Hit, Interpretation, Order, engine, similarity
from rollcall.search.columns import columns_of
from rollcall.search.ranking import Ranked


class SearchingMixin(PluginBase):
    """Searches of a plugin."""

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
