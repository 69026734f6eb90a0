"""The methods of a plugin that read what pages show of people: faces by time, company, proposals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rollcall.host.base import PluginBase
from rollcall.people import persons, portrait
from rollcall.people.persons import FaceState, Person
from rollcall.people.portrait import FaceIdentity, FaceOrder, Kind, PortraitFace

#: Faces of the strip from the youngest to the oldest, best shots, and people of the company.
STRIP: Final = 14
BEST: Final = 6
COMPANIONS: Final = 12


class Portrait(NamedTuple):
    """Somebody with what a page shows first."""

    person: Person
    strip: list[PortraitFace]  # from the youngest to the oldest
    best: list[PortraitFace]  # large, sharp and surely the person
    companions: list[tuple[Person, int]]  # who is on most photos with them, and on how many
    relatives: list[tuple[str, Person]]  # child_of, parent_of or partner_of, and whom


class PeopleReadingMixin(PluginBase):
    """People of a plugin, as pages show them."""

    def people_counts(self) -> dict[Kind, int]:
        """Return how many people there are: "named", "unnamed" and "hidden"."""
        with self.database.read() as session:
            return portrait.counts(session)

    def person_names(self) -> list[tuple[int, str]]:
        """Return all names with the numbers of their people, in the order of the alphabet."""
        with self.database.read() as session:
            return portrait.names(session)

    def person_portrait(self, person_id: int) -> Portrait:
        """Return the person of the number `person_id` with faces through the years, best shots, company, relatives.

        Raises
        ------
        NotFoundError
            If there is no such person.
        """
        with self.database.read() as session:
            person = persons.person(session, person_id)
            others = {one.person_id: one for one in persons.read(session, [other for _, other in person.relations])}
            return Portrait(
                person,
                portrait.through_the_years(session, person_id, STRIP),
                portrait.best_shots(session, person_id, BEST),
                portrait.companions(session, person_id, COMPANIONS),
                [(relation, others[other]) for relation, other in person.relations],
            )

    def videos_of_people(self, person_ids: Sequence[int], *, beside: int | None = None) -> dict[int, int]:
        """Return how many of the photos of people are videos, by the person's number; those with none are left out.

        Parameters
        ----------
        person_ids
            The numbers of the people.
        beside
            Somebody's number: only the videos that show them as well, as `Portrait.companions` counts photos.
        """
        with self.database.read() as session:
            return portrait.videos(session, person_ids, beside)

    def person_timeline(
        self,
        person_id: int,
        *,
        order: FaceOrder = "newest",
        state: FaceState | None = None,
        limit: int,
        offset: int = 0,
    ) -> list[PortraitFace]:
        """Return the faces of a person that are shown, by time.

        Parameters
        ----------
        person_id
            Who; nobody of that number has no faces.
        order
            "newest" or "oldest" first by capture time, or "likeliest" first.
        state
            Only the "confirmed", "proposed" or "automatic" ones; None: all.
        limit, offset
            How many at most, and how many to leave out first.
        """
        with self.database.read() as session:
            return portrait.timeline(session, person_id, order=order, state=state, limit=limit, offset=offset)

    def face_identities(self, photo_id: int) -> dict[int, FaceIdentity]:
        """Return who the faces of a photo are, by the face's number; those of nobody are left out."""
        with self.database.read() as session:
            return portrait.identities(session, photo_id)

    def people_seen_on_one_day(self) -> list[int]:
        """Return the groups without a name, by number, whose photos are all of one day: strangers, mostly."""
        with self.database.read() as session:
            return portrait.seen_on_one_day(session)

    def proposals(self) -> list[tuple[int, int]]:
        """Return the people whose proposals wait for an answer, and how many wait, the most first."""
        with self.database.read() as session:
            return portrait.waiting(session)
