"""The methods of a plugin that read: photos, faces, statistics."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

from rollcall.host.base import PluginBase, Status
from rollcall.search import browsing, details, library, memories
from rollcall.search.browsing import Month, VideoSeen
from rollcall.search.details import FaceDetails, PhotoDetails
from rollcall.search.library import FaceCrop, LibraryStatistics, PhotoFile, TagSuggestions
from rollcall.search.memories import Memory
from rollcall.storage.library import roots

#: How many failures an overview lists.
LISTED_FAILURES: Final = 20


class ReadingMixin(PluginBase):
    """Photos, faces and statistics of a plugin."""

    _video_seen = VideoSeen()

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

    def has_videos(self) -> bool:
        """Return whether the library has any video: without one, none have to be counted."""
        with self.database.read() as session:
            self._video_seen = browsing.video_seen(session, self._video_seen)
        return self._video_seen.photo_id is not None

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
        """Return the photo and box of a face, also of one that a person dismissed; None if there is no such face."""
        with self.database.read() as session:
            return library.face_crops(session, [face_id]).get(face_id) or library.dismissed_crop(session, face_id)

    def dismissed_faces(self, photo_id: int) -> dict[int, FaceCrop]:
        """Return the boxes of the faces of a photo that are said to be none or are ignored, by their numbers.

        `rollcall.corrections.take_back` of "not_a_face" and "ignore" shows one again.
        """
        with self.database.read() as session:
            return library.dismissed_of_photo(session, photo_id)

    def face_crops(self, face_ids: Collection[int]) -> dict[int, FaceCrop]:
        """Return the photos and boxes of the visible ones of `face_ids`, by their numbers; others are left out."""
        with self.database.read() as session:
            return library.face_crops(session, face_ids)

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
