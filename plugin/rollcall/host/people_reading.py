"""The methods of a plugin that read people: lists, faces, company, proposals."""

from __future__ import annotations

from typing import NamedTuple

from rollcall.host.base import PluginBase
from rollcall.search import person_details
from rollcall.search.person_details import FaceIdentity, FaceOrder, Kind, PersonFace, PersonSummary, Relative

#: Faces of the strip from the youngest to the oldest, best shots, and people of the company.
STRIP: int = 14
BEST: int = 6
COMPANY: int = 12


class PersonPortrait(NamedTuple):
    """Somebody with what a page shows first."""

    person: PersonSummary
    strip: list[PersonFace]  # from the youngest to the oldest
    best: list[PersonFace]  # large, sharp and surely the person
    company: list[tuple[PersonSummary, int]]  # who is on most photos with them, and on how many
    relatives: list[Relative]


class PeopleReadingMixin(PluginBase):
    """People of a plugin, as pages show them."""

    def people_list(self, kind: Kind, *, limit: int, offset: int = 0) -> list[PersonSummary]:
        """Return people, those with the most faces first.

        Parameters
        ----------
        kind
            "named", "unnamed": groups without a name, or "hidden".
        limit, offset
            How many at most, and how many to leave out first.
        """
        with self.database.read() as session:
            return person_details.people(session, kind, limit=limit, offset=offset)

    def people_counts(self) -> dict[Kind, int]:
        """Return how many people there are: "named", "unnamed" and "hidden"."""
        with self.database.read() as session:
            return person_details.counts(session)

    def person_names(self) -> list[tuple[int, str]]:
        """Return all names with the numbers of their people, in the order of the alphabet."""
        with self.database.read() as session:
            return person_details.names(session)

    def person_summary(self, person_id: int) -> PersonSummary:
        """Return one person.

        Raises
        ------
        NotFoundError
            If there is no such person.
        """
        with self.database.read() as session:
            return person_details.person(session, person_id)

    def person_portrait(self, person_id: int) -> PersonPortrait:
        """Return one person with a strip from youngest to oldest, best shots, company and relatives.

        Raises
        ------
        NotFoundError
            If there is no such person.
        """
        with self.database.read() as session:
            return PersonPortrait(
                person_details.person(session, person_id),
                person_details.through_the_years(session, person_id, STRIP),
                person_details.best_shots(session, person_id, BEST),
                person_details.company(session, person_id, COMPANY),
                person_details.relatives(session, person_id),
            )

    def person_faces(
        self, person_id: int, *, order: FaceOrder = "newest", state: str | None = None, limit: int, offset: int = 0
    ) -> list[PersonFace]:
        """Return the faces of a person that are shown.

        Parameters
        ----------
        order
            "newest" or "oldest" first by capture time, or "likeliest" first.
        state
            Only the "confirmed", "proposed" or "automatic" ones.
        limit, offset
            How many at most, and how many to leave out first.
        """
        with self.database.read() as session:
            return person_details.faces(session, person_id, order=order, state=state, limit=limit, offset=offset)

    def face_identities(self, photo_id: int) -> dict[int, FaceIdentity]:
        """Return who the faces of a photo are, by the face's number; those of nobody are left out."""
        with self.database.read() as session:
            return person_details.identities(session, photo_id)

    def people_seen_on_one_day(self) -> list[str]:
        """Return the uids of the groups without a name whose photos are all of one day: strangers, mostly."""
        with self.database.read() as session:
            return person_details.seen_on_one_day(session)

    def proposals(self) -> list[tuple[int, int]]:
        """Return the people whose proposals wait for an answer, and how many wait, the most first."""
        with self.database.read() as session:
            return person_details.waiting(session)
