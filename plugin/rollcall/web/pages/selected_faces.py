"""What is said of the faces of several photos at once: each answer is one batch, which one undo takes back."""

from __future__ import annotations

from typing import Literal, NamedTuple

from rollcall import corrections
from rollcall.errors import ConflictError
from rollcall.sentences import Sentence
from rollcall.web import names
from rollcall.web.history import History
from rollcall.web.people_forms import name_faces, set_ages
from rollcall.web.translation import ngettext

Answer = Literal["ignore", "age_group", "name"]


class _Faces(NamedTuple):
    every: list[int]  # of all the photos
    only: list[int]  # of the photos with a single face
    crowded: int  # photos with several faces
    empty: int  # photos without any


def say(past: History, photos: list[int], what: Answer, label: str, name: str) -> str:
    """Record an answer for all faces of photos (`ignore`) or the only face of each, and return what was done.

    Raises
    ------
    InvalidCorrectionError
        If there is no such answer, or no name.
    ConflictError
        If there is no such face, or several people have the name.
    """
    faces = _faces(past, photos)
    if what == "ignore":
        if not faces.every:
            raise ConflictError(Sentence("there is no face in what is selected; select photos with faces"))
        past.correct(*(corrections.ignore(one) for one in faces.every))
        return ngettext("%(num)s face ignored", "%(num)s faces ignored", len(faces.every))
    if not faces.only:
        raise ConflictError(
            Sentence("nothing that is selected has exactly one face; open a photo to answer for each of its faces")
        )
    done = _name(past, faces.only, name) if what == "name" else _ages(past, faces.only, label)
    return "; ".join([done, *_left(faces)])


def _faces(past: History, photos: list[int]) -> _Faces:
    found = [
        [face.face_id for face in one.faces] for one in past.plugin.photos(list(dict.fromkeys(photos)), brief=True)
    ]
    every = [face for faces in found for face in faces]
    only = [faces[0] for faces in found if len(faces) == 1]
    return _Faces(every, only, sum(len(faces) > 1 for faces in found), sum(not faces for faces in found))


def _name(past: History, faces: list[int], name: str) -> str:
    person = name_faces(past, faces, name)
    return ngettext("%(num)s face is %(name)s", "%(num)s faces are %(name)s", len(faces), name=person)


def _ages(past: History, faces: list[int], label: str) -> str:
    set_ages(past, faces, label)
    answer = names.answer(label)
    return ngettext("Age of %(num)s face: %(answer)s", "Age of %(num)s faces: %(answer)s", len(faces), answer=answer)


def _left(faces: _Faces) -> list[str]:
    """Return what was left as it was, and why."""
    left = []
    if faces.crowded:
        left.append(
            ngettext("%(num)s with several faces is left", "%(num)s with several faces are left", faces.crowded)
        )
    if faces.empty:
        left.append(ngettext("%(num)s without a face is left", "%(num)s without a face are left", faces.empty))
    return left
