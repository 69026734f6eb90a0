"""The methods of a plugin that ask about people with names, and take the answers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from rollcall.corrections.kinds import Correction
from rollcall.errors import InvalidCorrectionError
from rollcall.host.people import PeopleMixin
from rollcall.people import questions, stating
from rollcall.people.kept import kept_faces_of
from rollcall.people.persons import Person
from rollcall.people.questions import Question
from rollcall.sentences import Sentence


class PeopleQuestionsMixin(PeopleMixin):
    """Questions about people, first what settles the most faces."""

    def people_questions(self, limit: int = 20) -> list[Question]:
        """Return what to ask about people with names, first what settles the most faces, as far as one can tell.

        A question of kind "join" is about a face or group of nobody, one of kind "check" about faces of the person.
        Each tells up to five others whom the faces may be: an answer that chooses among them settles more.
        All faces of the library are read and compared, which takes seconds in a large one; up to 500,000 are kept in
        memory for the next call, which reads what changed.

        Parameters
        ----------
        limit
            How many questions at most.
        """
        with self.database.read() as session:
            return questions.of_library(session, limit, kept_faces_of(self.database))

    def answer_question(
        self,
        question: Question,
        yes: bool,
        *,
        seen: Sequence[int] | None = None,
        others: Sequence[int] = (),
        instead: int | None = None,
        nor: Sequence[int] = (),
        by: str = "user",
        origin: str | None = None,
    ) -> Person:
        """Record the answer to a question of `people_questions`; return whom it asked for, or who it is instead.

        A group of nobody that is the person becomes one with them: what was seen and its cover are confirmed, the
        others are proposals. Else the answer is about what was seen, and others like it follow at the next grouping.

        Parameters
        ----------
        question
            What was asked.
        yes
            Whether the faces are the person.
        seen
            The faces that the answer is about, of the question's; None: the first.
        others
            Faces of the question's that are not the person, whatever the answer about those that were seen.
        instead
            Who the faces that were seen are, if not the person: one of the candidates, or anybody.
        nor
            People whom they are not, either: the candidates that were shown with a no.
        by, origin
            Who states it, and from where, as of `correct`.

        Raises
        ------
        NotFoundError
            If a person or a face is gone.
        InvalidCorrectionError
            If the faces are the person and somebody else, too, or somebody whom they are not.
        """
        if instead is not None and (yes or instead == question.person or instead in nor):
            raise InvalidCorrectionError(Sentence("faces are one person; say either yes or who they are instead"))

        def given(session: Session, _: str) -> list[Correction]:
            return stating.answer(session, question, yes, seen, others, instead, nor)

        return self._state_of(question.person if instead is None else instead, (by, origin), given)
