"""How good groups are after somebody typed names and answered proposals, on people with labels.

A person names the largest groups, one after another, by who the face on the cover is (a name that was typed before
makes two groups one person), and then answers proposals with yes or no, the likeliest first or the least likely first.
After each step all faces are grouped anew, as `rollcall people group` does. Scores are B-cubed.

    python benchmarks/simulated_user.py --crops FOLDER [--split train] [--names 61] [--answers 60] [--draws 5]

With `--draws` so many tests of 61 people are drawn from either half of the training people, and only questions are
answered, by one face each and in rows, with yes or no alone, and with whom the faces are instead where a question
tells them as somebody else whom they may be. The models of the questions are fitted on the first half (`posterior.py`),
and on other draws of it was chosen how many a question tells, so that the second half is of people whom nothing was
chosen on.

FOLDER is what `rollcall_model.training.prepare` wrote; faces are those of CelebA in it, with the labels it has.
"""

from __future__ import annotations

import argparse
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np

from rollcall.people.clusters import Clustered, Faces, cluster
from rollcall.people.evidence import evidence
from rollcall.people.linkage import UNKNOWN
from rollcall.people.questions import Question, in_rows, questions
from rollcall.search.nuisance import directions, without
from rollcall_model import weights
from rollcall_model.evaluation.grouping import GroupingScores, grouping_scores
from rollcall_model.evaluation.people import PEOPLE, Labelled, read, tests

#: Groups without a name have numbers from here on.
OF_NOBODY = 1_000_000


class User:
    """Somebody who knows everybody, and what they have said so far."""

    def __init__(self, test: Labelled) -> None:
        # As they are read from a library.
        self.test = test._replace(vectors=without(test.vectors, directions(evidence().weights)))
        self.truth = np.unique(test.person, return_inverse=True)[1]
        n = len(self.truth)
        self.labels = np.full(n, UNKNOWN, np.int64)
        self.rejected: list[frozenset[int]] = [frozenset()] * n
        self.found = self.group()

    def copy(self) -> User:
        """Return somebody who has said the same."""
        other = copy(self)
        other.labels, other.rejected = self.labels.copy(), list(self.rejected)
        return other

    def group(self) -> Clustered:
        """Group all faces anew under what was said."""
        n = len(self.truth)
        ages = np.asarray(self.test.ages, np.float32)
        self.found = cluster(
            Faces(self.test.vectors, np.arange(n), ages, labels=self.labels.copy(), rejected=self.rejected)
        )
        return self.found

    def name_largest(self, count: int) -> None:
        """Name so many groups, the largest first: the face of the cover is confirmed."""
        sizes = np.bincount(self.found.group[self.found.group >= 0])
        for group in np.argsort(-sizes, kind="stable")[:count].tolist():
            faces = np.flatnonzero(self.found.group == group)
            cover = int(faces[np.argmax(self.found.probability[faces])])
            self.labels[cover] = self.truth[cover]
        self.group()

    def answer(self, count: int, likeliest_first: bool) -> None:
        """Answer so many proposals: faces in a group with a name that nobody confirmed."""
        names = self.names()
        open_ = [
            face
            for face in np.flatnonzero((names != UNKNOWN) & (self.labels == UNKNOWN)).tolist()
            if names[face] not in self.rejected[face]
        ]
        open_.sort(key=lambda face: self.found.probability[face] * (-1 if likeliest_first else 1))
        for face in open_[:count]:
            if names[face] == self.truth[face]:
                self.labels[face] = self.truth[face]
            else:
                self.rejected[face] = self.rejected[face] | {int(names[face])}
        self.group()

    def answer_questions(self, count: int, each: int = 5, row: int = 1, choices: bool = True) -> int:
        """Answer so many questions of `rollcall people questions`; return about how many faces.

        With a `row` of 1 each is answered by the face that is shown first; else as the page shows them, in rows of up
        to so many faces of which each is ticked or not. With `choices` an answer may choose one of the candidates, or
        none of them all. The library is grouped anew, and asked anew, after each `each` answers.
        """
        answered = 0
        for start in range(0, count, each):
            names = self.names()
            person = np.where(
                names != UNKNOWN, names, np.where(self.found.group >= 0, OF_NOBODY + self.found.group, -1)
            )
            faces = Faces(self.test.vectors, np.arange(len(names)), labels=self.labels, rejected=self.rejected)
            asked = questions(faces, person, self.labels != UNKNOWN, set(self.labels[self.labels != UNKNOWN].tolist()))
            if not choices:
                asked = sorted((replace(one, candidates=()) for one in asked), key=lambda one: -one.worth)
            shown = asked if row == 1 else in_rows(asked, row)
            for one in shown[: min(each, count - start)]:
                answered += self.answer_question(one, row)
            self.group()
        return answered

    def answer_question(self, asked: Question, row: int) -> int:
        """Answer a question by up to so many of its faces, with one key; return about how many."""
        faces = list(asked.faces[:row])
        who = {asked.person, *(one.person for one in asked.candidates)}
        first = int(self.truth[faces[0]])
        if any(self.truth[face] == asked.person for face in faces):
            meant = asked.person
        else:
            meant = first if first in who else UNKNOWN
        if meant not in (UNKNOWN, asked.person):
            # Who is unticked is not spoken of.
            faces = [face for face in faces if self.truth[face] == meant]
        for face in faces:
            if self.truth[face] == meant:
                self.labels[face] = meant
            wrong = {asked.person} if meant != UNKNOWN else who - {int(self.truth[face])}
            self.rejected[face] = self.rejected[face] | (wrong - {int(self.labels[face])})
        return len(faces)

    def names(self) -> np.ndarray:
        """Return the name of the group that each face is in, or UNKNOWN, (n,)."""
        of_group = np.full(int(self.found.group.max(initial=-1)) + 2, UNKNOWN, np.int64)
        known = np.flatnonzero((self.labels != UNKNOWN) & (self.found.group >= 0))
        of_group[self.found.group[known]] = self.labels[known]
        names = np.where(self.found.group >= 0, of_group[self.found.group], UNKNOWN)
        wrong = [int(name) in some for name, some in zip(names, self.rejected, strict=True)]
        return np.where(wrong, UNKNOWN, names)

    def scores(self) -> GroupingScores:
        """Return the scores of the groups as they are."""
        n = len(self.truth)
        groups = np.where(self.found.group >= 0, self.found.group, n + np.arange(n))
        return grouping_scores(groups, self.truth)


def line(step: str, scores: GroupingScores) -> str:
    """Return one line of the report."""
    return f"{step:<48} precision {scores.precision:.3f}  recall {scores.recall:.3f}  F {scores.f:.3f}"


def halves(faces: Labelled) -> dict[str, np.ndarray]:
    """Return the people of either half of the training celebrities, by name."""
    names = np.unique(faces.person[(faces.source == "celeba") & faces.train])
    names = np.random.default_rng(5).permutation(names)
    return {"first half": names[: len(names) // 2], "second half": names[len(names) // 2 :]}


def drawn(faces: Labelled, draws: int, given: argparse.Namespace) -> None:
    """Print the scores of drawn tests, before and after names and questions."""
    for half, people in halves(faces).items():
        for seed in range(draws):
            some = np.random.default_rng([seed, ord("A" if half == "first half" else "B")])
            chosen = some.choice(people, min(PEOPLE, len(people)), replace=False)
            test = faces.take(np.flatnonzero((faces.source == "celeba") & np.isin(faces.person, chosen)))
            print(f"{half}, draw {seed + 1}: {len(test.vectors):,} faces of {len(chosen)} people")
            print(line("automatic", User(test).scores()))
            named = User(test)
            named.name_largest(given.names)
            print(line(f"{given.names} names typed", named.scores()))
            for row, choices in ((1, False), (1, True), (12, False), (12, True)):
                user = named.copy()
                count = user.answer_questions(given.answers, row=row, choices=choices)
                how = "yes, no or who" if choices else "yes or no"
                print(line(f"{given.answers} questions ({how}), {count} faces", user.scores()), flush=True)


def main() -> None:
    """Print the scores after each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "val"), default="train")
    parser.add_argument("--names", type=int, default=PEOPLE)
    parser.add_argument("--answers", type=int, default=60)
    parser.add_argument("--draws", type=int, default=0, help="Draw so many tests from either half of the people.")
    given = parser.parse_args()
    faces = read(given.crops, weights.PATH, None, few=given.split == "train")
    if given.draws:
        drawn(faces, given.draws, given)
        return
    for name, test in tests(faces, given.split == "train").items():
        if not name.startswith("celebrities"):
            continue
        print(f"{name}: {len(test.vectors):,} faces of {len(np.unique(test.person))} people ({given.split})")
        print(line("automatic", User(test).scores()))
        for first in (True, False):
            user = User(test)
            user.name_largest(given.names)
            if first:
                print(line(f"{given.names} names typed", user.scores()))
            user.answer(given.answers, likeliest_first=first)
            order = "likeliest" if first else "least likely"
            print(line(f"{given.answers} proposals, the {order} first", user.scores()))
        user = User(test)
        user.name_largest(given.names)
        user.answer_questions(given.answers)
        print(line(f"{given.answers} questions, the most worth first", user.scores()))


if __name__ == "__main__":
    main()
