"""The methods of a plugin about people: who they are, and what a person says about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall import corrections
from rollcall.corrections import archive, log
from rollcall.corrections.kinds import Correction
from rollcall.corrections.person_kinds import FacePerson, Relation
from rollcall.errors import InvalidCorrectionError
from rollcall.host.base import PluginBase
from rollcall.people import grouping, persons, stating
from rollcall.people.grouping import GroupingReport
from rollcall.people.persons import FaceState, Person, PersonFace
from rollcall.people.stating import uid_of
from rollcall.sentences import Sentence
from rollcall.storage.tables import PersonRow

#: Who states something, and from where.
_Source = tuple[str, str | None]


class PeopleMixin(PluginBase):
    """People of a plugin: named persons, and groups of faces without a name.

    All that is said here is a batch of corrections: it survives every analysis, `undo` takes it back, and exports hold
    it. The numbers of people are those of this database; `Person.uid` names them everywhere.
    """

    # ---- Reading

    def people(
        self,
        *,
        named: bool | None = None,
        hidden: bool | None = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Person]:
        """Return people, those with a name first, then by the number of their faces.

        Parameters
        ----------
        named
            True: only people with a name; False: only groups without one; None: both.
        hidden
            False: only those that are shown; True: only hidden ones; None: both.
        limit, offset
            How many at most, and how many to leave out first.
        """
        with self.database.read() as session:
            return persons.people(session, named=named, hidden=hidden, limit=limit, offset=offset)

    def person(self, person_id: int) -> Person:
        """Return the person of the number `person_id`.

        Raises
        ------
        NotFoundError
            If there is none of this number.
        """
        with self.database.read() as session:
            return persons.person(session, person_id)

    def person_faces(
        self, person_id: int, *, state: FaceState | None = None, limit: int | None = None, offset: int = 0
    ) -> list[PersonFace]:
        """Return the faces of a person, the confirmed ones first, then the likeliest.

        Parameters
        ----------
        person_id
            Who.
        state
            Only confirmed, proposed or automatic ones; None: all.
        limit, offset
            How many at most, and how many to leave out first.

        Raises
        ------
        NotFoundError
            If there is no such person.
        """
        with self.database.read() as session:
            return persons.faces(session, person_id, state=state, limit=limit, offset=offset)

    def people_named(self, name: str) -> list[Person]:
        """Return the people who have a name, whatever its case."""
        with self.database.read() as session:
            return persons.read(session, persons.with_name(session, name))

    # ---- Saying who somebody is

    def name_person(self, person_id: int, *names: str, by: str = "user", origin: str | None = None) -> Person:
        """Name a person; the first of `names` is shown, and no name takes the names away.

        The faces of a group that gets its first name become proposals, apart from its cover, which is confirmed.

        Parameters
        ----------
        person_id
            Who.
        names
            All their names.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such person.
        InvalidCorrectionError
            If a name is empty or too long.
        """
        return self._state_of(person_id, (by, origin), lambda session, _: stating.name(session, person_id, names))

    def name_face(self, face_id: int, name: str, *, by: str = "user", origin: str | None = None) -> Person:
        """State who a face is, by name; somebody of a new name is added.

        Parameters
        ----------
        face_id
            The face.
        name
            Who it is.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such face.
        ConflictError
            If several people have the name; `confirm_faces` takes a number instead.
        InvalidCorrectionError
            If the name is empty or too long.
        """

        def given(session: Session) -> tuple[list[Correction], str]:
            lines = stating.name_face(session, face_id, name)
            last = lines[-1]
            assert isinstance(last, FacePerson)
            return lines, last.person

        return self._state((by, origin), given)

    def confirm_faces(
        self, person_id: int, face_ids: Sequence[int], *, by: str = "user", origin: str | None = None
    ) -> Person:
        """State that faces are a person, such as a row of proposals.

        Parameters
        ----------
        person_id
            Who.
        face_ids
            The faces.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such person or face.
        """
        return self._state_of(person_id, (by, origin), lambda session, _: stating.confirm(session, person_id, face_ids))

    def reject_faces(
        self, person_id: int, face_ids: Sequence[int], *, by: str = "user", origin: str | None = None
    ) -> Person:
        """State that faces are not a person, and never propose them again.

        Parameters
        ----------
        person_id
            Who.
        face_ids
            The faces.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such person or face.
        """
        return self._state_of(person_id, (by, origin), lambda session, _: stating.reject(session, person_id, face_ids))

    def merge_people(self, person_id: int, *others: int, by: str = "user", origin: str | None = None) -> Person:
        """State that others are the same as a person, who gets their faces and names.

        Parameters
        ----------
        person_id
            Who they all are.
        others
            The others, by their numbers.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If one of them is not there.
        InvalidCorrectionError
            If somebody is to be merged with themselves.
        """
        return self._state_of(person_id, (by, origin), lambda session, _: stating.merge(session, person_id, others))

    def split_faces(
        self, face_ids: Sequence[int], name: str | None = None, *, by: str = "user", origin: str | None = None
    ) -> Person:
        """State that some faces are somebody else, and return who: one of this name, or somebody new.

        Faces of the group that are more like these go with them, as proposals.

        Parameters
        ----------
        face_ids
            The faces.
        name
            Who they are; None: somebody new, without a name.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If one of the faces is not there.
        ConflictError
            If several people have the name.
        InvalidCorrectionError
            If no faces are given, or the name is empty.
        """

        def given(session: Session) -> tuple[list[Correction], str]:
            uid, lines = stating.split(session, face_ids, name)
            return lines, uid

        return self._state((by, origin), given)

    def hide_people(self, *person_ids: int, hidden: bool = True, by: str = "user", origin: str | None = None) -> None:
        """Leave people out of lists, or with `hidden` of False show them again, all as one batch.

        Parameters
        ----------
        person_ids
            Who.
        hidden
            False shows them again.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If one of them is not there.
        """
        self._record(
            (by, origin),
            lambda session: [corrections.person_hidden(uid_of(session, one), hidden) for one in person_ids],
        )

    def set_birth_date(
        self, person_id: int, birth_date: str | None, *, by: str = "user", origin: str | None = None
    ) -> Person:
        """State when a person was born: YYYY, YYYY-MM or YYYY-MM-DD; None: not known.

        The ages of their faces follow from it and the photos' dates, in searches, tags and views.

        Parameters
        ----------
        person_id
            Who.
        birth_date
            YYYY, YYYY-MM or YYYY-MM-DD; None: not known.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such person.
        InvalidCorrectionError
            If it is no date.
        """
        return self._state_of(person_id, (by, origin), lambda _, uid: [corrections.person_birth(uid, birth_date)])

    def set_me(self, person_id: int, me: bool = True, *, by: str = "user", origin: str | None = None) -> Person:
        """State that a person is the one who uses the library, for searches such as *my daughter*.

        Parameters
        ----------
        person_id
            Who.
        me
            False withdraws it.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If there is no such person.
        """
        return self._state_of(person_id, (by, origin), lambda _, uid: [corrections.person_me(uid, me)])

    def relate(
        self,
        person_id: int,
        relation: Relation,
        other_id: int,
        *,
        holds: bool = True,
        by: str = "user",
        origin: str | None = None,
    ) -> Person:
        """State that a person is the child (`child_of`) or the partner (`partner_of`) of another.

        Parameters
        ----------
        person_id, other_id
            The two.
        relation
            child_of or partner_of.
        holds
            False withdraws it.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If one of them is not there.
        InvalidCorrectionError
            If there is no such relation, the two are one, or they are related otherwise.
        """
        return self._state_of(
            person_id,
            (by, origin),
            lambda session, _: [stating.relation(session, person_id, relation, other_id, holds)],
        )

    # ---- Grouping

    def group_people(self) -> GroupingReport:
        """Group all faces of the library anew; what persons stated stays as it is.

        Raises
        ------
        StoreError
            If the database cannot be written.
        """
        return grouping.group_all(self.database, self.settings.tags)

    def _state_of(self, person_id: int, source: _Source, given: Callable[[Session, str], list[Correction]]) -> Person:
        """Record corrections that `given` makes of a person's uid, and return the person as they are then."""

        def lines(session: Session) -> tuple[list[Correction], str]:
            uid = uid_of(session, person_id)
            return given(session, uid), uid

        return self._state(source, lines)

    def _state(self, source: _Source, given: Callable[[Session], tuple[list[Correction], str]]) -> Person:
        """Record corrections, and return the person of a uid as they are then."""
        uid = ""

        def lines(session: Session) -> list[Correction]:
            nonlocal uid
            found, uid = given(session)
            return found

        self._record(source, lines)
        with self.database.read() as session:
            person_id = session.scalar(select(PersonRow.id).where(PersonRow.uid == uid))
            if person_id is None:
                # Nothing is said of a group without faces any more.
                raise InvalidCorrectionError(Sentence("the person has no name and no faces left, and is gone"))
            return persons.person(session, person_id)

    def _record(self, source: _Source, given: Callable[[Session], list[Correction]]) -> None:
        """Record corrections that depend on the database, in one transaction with what they depend on."""
        with self.database.write() as session:
            log.record(session, given(session), source[0], self.settings.tags, source[1])
            grouping.regroup(session, self.database, self.settings.tags)
        archive.append(self.database)
